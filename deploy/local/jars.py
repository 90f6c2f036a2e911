"""Fetches the jars of Apache Kafka: each pinned by SHA-256, kept in a cache outside of the data folder."""

import fcntl
import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

JARS_FILE = Path(__file__).with_name("kafka-jars.txt")
ATTEMPTS = 3
PARALLEL = 8
TIMEOUT_SECONDS = 30.0
Report = Callable[[str], None]


class FetchError(Exception):
    """A jar couldn't be had; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Jar:
    """`path` is the place in a Maven repository."""

    path: str
    sha256: str

    @property
    def file_name(self) -> str:
        return self.path.rpartition("/")[2]


def read_pins(text: str) -> list[Jar]:
    """The jars of a file with lines `<sha256>  <path>`; `#` starts a comment line."""
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return [Jar(path=path, sha256=sha256) for sha256, path in rows]


def kafka_jars() -> list[Jar]:
    """What the embedded broker runs on."""
    return read_pins(JARS_FILE.read_text())


def jar_folder(cache: Path) -> Path:
    """Where the jars lie within the cache."""
    return cache / "jars"


def default_repository() -> str:
    """The address of Maven Central, as the Maven client `jgo` knows it."""
    from jgo.constants import MAVEN_CENTRAL_URL

    return str(MAVEN_CENTRAL_URL)


def fetch(jars: Iterable[Jar], folder: Path, mirror: str | None, report: Report) -> list[Path]:
    """Makes every jar present in `folder`, checked, and returns their paths.

    Downloads to `<name>.part` and renames after the check, so an interrupted download is simply done again. Several
    processes may fetch into one folder: one does, the others wait. Proxy and certificate variables apply.
    Raises FetchError, and OSError where the folder can't be written.
    """
    wanted = list(jars)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [jar for jar in wanted if not _is_good(folder / jar.file_name, jar)]
        if missing:
            repository = (mirror or default_repository()).rstrip("/")
            _download_all(missing, folder, repository, report)
    return [folder / jar.file_name for jar in wanted]


def _download_all(jars: list[Jar], folder: Path, repository: str, report: Report) -> None:
    report(f"Fetching {len(jars)} jars of Apache Kafka (about 43 MB in all, once) …")
    with ThreadPoolExecutor(PARALLEL) as pool:
        futures = [pool.submit(_download, jar, folder, repository) for jar in jars]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if done % 10 == 0 or done == len(jars):
                    report(f"  {done} of {len(jars)} jars")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _download(jar: Jar, folder: Path, repository: str) -> None:
    part = folder / f"{jar.file_name}.part"
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(f"{repository}/{jar.path}", timeout=TIMEOUT_SECONDS) as answer:
                part.write_bytes(answer.read())
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code}"
            error.close()
            if error.code < 500 and error.code != 429:
                break
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error))
        else:
            if _is_good(part, jar):
                part.rename(folder / jar.file_name)
                return
            reason = "what came doesn't have the pinned SHA-256"
    with suppress(OSError):
        part.unlink()
    raise FetchError(
        f"{jar.path} couldn't be fetched from {repository} ({reason}). "
        "The first start needs a Maven repository; PINGXI_MAVEN_MIRROR names another one."
    )


def _is_good(path: Path, jar: Jar) -> bool:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False
