"""The breaking-change check, on a repository of its own: a refreshed record hides no change."""

import shutil
import subprocess
from pathlib import Path

import pytest

from protos.check import broken, committed_contracts
from protos.generate import ROOT, tool

FIRST = 'syntax = "proto3";\npackage pingxi.v1;\nmessage Promise {\n  string id = 1;\n  string due = 2;\n}\n'


class Repository:
    """A clone in small: one proto and its record, committed together."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "protos" / "pingxi" / "v1").mkdir(parents=True)
        shutil.copy(ROOT / "buf.yaml", root)
        self.git("init", "-q", ".")

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self, proto: str) -> None:
        """The proto, its record refreshed, both in one commit."""
        (self.root / "protos" / "pingxi" / "v1" / "promise.proto").write_text(proto)
        subprocess.run([tool("buf"), "build", "-o", "protos/contract.binpb"], cwd=self.root, check=True)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "c", "--no-verify")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit(FIRST)
    return made


@pytest.mark.parametrize(
    ("proto", "said"),
    [
        (FIRST.replace("  string due = 2;\n", ""), 'field "2" with name "due"'),
        (FIRST.replace("due = 2", "due = 3"), 'field "2" with name "due"'),
        (FIRST.replace("string due", "int64 due"), 'from "string" to "int64"'),
    ],
    ids=["a removed field", "a changed number", "a changed type"],
)
def test_a_breaking_change_is_found_though_its_commit_refreshed_the_record(
    repository: Repository, tmp_path: Path, proto: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    repository.commit(proto)
    newest, before = committed_contracts(tmp_path, repository.root)
    assert not broken([newest], repository.root), "which alone shows nothing"
    assert broken([newest, before], repository.root)
    printed = capfd.readouterr()
    assert said in (printed.out + printed.err).lower()


def test_an_added_field_breaks_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.commit(FIRST.replace("due = 2;\n", "due = 2;\n  string by = 3;\n"))
    contracts = committed_contracts(tmp_path, repository.root)
    assert len(contracts) == 2
    assert not broken(contracts, repository.root)


def test_commits_that_leave_the_record_alone_do_not_hide_the_one_before(repository: Repository, tmp_path: Path) -> None:
    repository.commit(FIRST.replace("due = 2", "due = 3"))
    (repository.root / "README.md").write_text("later\n")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "later", "--no-verify")
    assert broken(committed_contracts(tmp_path, repository.root), repository.root)


def test_a_shallow_clone_and_no_git_have_no_older_record(repository: Repository, tmp_path: Path) -> None:
    repository.commit(FIRST.replace("due = 2", "due = 3"))
    shallow = tmp_path / "shallow"
    repository.git("clone", "-q", "--depth", "1", repository.root.as_uri(), str(shallow))
    assert len(committed_contracts(tmp_path, shallow)) == 1
    bare = tmp_path / "unversioned"
    bare.mkdir()
    assert committed_contracts(tmp_path, bare) == []
