"""Jars come from the mirror that is named, checked, and heal; where they can't come, a sentence says so."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local.jars import FetchError, Jar, fetch
from deploy.local.ports import free_addresses
from deploy.local.settings import ROOT


class Repository:
    """A small Maven repository on this machine that counts what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.jars = []
        for name in ("a", "b", "c"):
            path = f"org/example/{name}/1/{name}-1.jar"
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_bytes(name.encode() * 5000)
            self.jars.append(Jar(path, hashlib.sha256((folder / path).read_bytes()).hexdigest()))
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, code: object = "-", size: object = "-") -> None:
                asked.append(self.path)

            def log_error(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    repository = Repository(tmp_path / "repository")
    thread = threading.Thread(target=repository.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield repository
    repository.server.shutdown()
    thread.join()
    repository.server.server_close()


def test_jars_come_from_the_mirror_once(repository: Repository, tmp_path: Path) -> None:
    said: list[str] = []
    paths = fetch(repository.jars, tmp_path / "cache", repository.url + "/", said.append)
    assert [path.read_bytes() for path in paths] == [b"a" * 5000, b"b" * 5000, b"c" * 5000]
    assert said[-1] == "  3 of 3 jars"
    fetch(repository.jars, tmp_path / "cache", repository.url, said.append)
    assert len(repository.asked) == 3


def test_a_half_finished_and_a_damaged_download_heal(repository: Repository, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    paths = fetch(repository.jars, cache, repository.url, lambda _: None)
    paths[0].write_bytes(b"a" * 10)
    paths[1].rename(cache / "b-1.jar.part")
    fetch(repository.jars, cache, repository.url, lambda _: None)
    assert [path.stat().st_size for path in paths] == [5000, 5000, 5000]
    assert not list(cache.glob("*.part"))
    assert len(repository.asked) == 5


def test_a_jar_that_is_not_the_pinned_one_is_never_put_in_place(repository: Repository, tmp_path: Path) -> None:
    wrong = Jar(repository.jars[0].path, "0" * 64)
    with pytest.raises(FetchError, match=r"a-1\.jar .*SHA-256"):
        fetch([wrong], tmp_path / "cache", repository.url, lambda _: None)
    assert not (tmp_path / "cache" / "a-1.jar").exists()


def test_a_repository_without_the_jar_is_named(repository: Repository, tmp_path: Path) -> None:
    absent = Jar("org/example/d/1/d-1.jar", "0" * 64)
    with pytest.raises(FetchError, match=r"d-1\.jar .*HTTP 404.*PINGXI_MAVEN_MIRROR"):
        fetch([absent], tmp_path / "cache", repository.url, lambda _: None)


def test_no_network_on_the_first_run_is_one_sentence(tmp_path: Path) -> None:
    (nobody,) = free_addresses(1)
    environment = {
        **os.environ,
        "PINGXI_CACHE": str(tmp_path / "cache"),
        "PINGXI_LOCAL": str(tmp_path / "local"),
        "PINGXI_MAVEN_MIRROR": f"http://{nobody}",
    }
    command = [sys.executable, "-m", "deploy.local", "fetch"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert ".jar couldn't be fetched from http://127.0.0.1" in done.stderr
    assert "PINGXI_MAVEN_MIRROR" in done.stderr
