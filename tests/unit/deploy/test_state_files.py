"""Backups of the state, and the note that names the state a stack was last applied from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import state_files
from deploy.console import Failure
from deploy.state_files import Version


def write(path: Path, lineage: str = "a", serial: int = 3) -> Path:
    path.write_text(json.dumps({"version": 4, "lineage": lineage, "serial": serial}))
    return path


def test_a_backup_is_the_state_and_only_its_owner_may_read_it(tmp_path: Path):
    state = write(tmp_path / "terraform.tfstate")
    state_files.back_up(state)
    (copy,) = (tmp_path / "state-backups").iterdir()
    assert copy.read_text() == state.read_text()
    assert [path.stat().st_mode & 0o077 for path in (state, copy, copy.parent)] == [0, 0, 0]


def test_old_backups_are_deleted(tmp_path: Path):
    for serial in range(state_files.KEPT + 5):
        state_files.back_up(write(tmp_path / "terraform.tfstate", serial=serial))
    kept = sorted(path.name.rpartition("-")[2] for path in (tmp_path / "state-backups").iterdir())
    assert (len(kept), kept[-1]) == (state_files.KEPT, f"{state_files.KEPT + 4:06}.tfstate")


def test_no_state_needs_no_backup(tmp_path: Path):
    state_files.back_up(tmp_path / "terraform.tfstate")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_of_a_killed_first_apply_is_no_state(tmp_path: Path):
    (tmp_path / "terraform.tfstate").write_text("")
    assert Version.read(tmp_path / "terraform.tfstate") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lineage": "a"}'])
def test_a_damaged_state_is_named_with_its_last_backup(tmp_path: Path, text: str):
    state = write(tmp_path / "terraform.tfstate")
    state_files.back_up(state)
    state.write_text(text)
    with pytest.raises(Failure, match=r"is damaged.*cp \S+000003.tfstate \S+terraform.tfstate"):
        Version.read(state)


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (Version("a", 7), None),
        (Version("a", 8), None),
        (Version("a", 6), r"older \(serial 6\) than the last apply \(serial 7\)"),
        (Version("b", 9), "from another state"),
        (None, "from another state"),
    ],
)
def test_only_the_last_state_or_a_newer_one_may_be_applied(account, here: Version | None, words: str | None):
    s3 = account.client("s3")
    state_files.require_same_state(s3, "pawprint-test", here, "pawprint")  # no note: nothing was applied
    state_files.write_note(s3, "pawprint-test", Version("a", 7))
    if words is None:
        state_files.require_same_state(s3, "pawprint-test", here, "pawprint")
        return
    with pytest.raises(Failure, match=f"{words}.*(.|\n)*make apply CONFIRM=pawprint"):
        state_files.require_same_state(s3, "pawprint-test", here, "pawprint")


def test_a_bucket_that_does_not_exist_has_no_note(account):
    state_files.require_same_state(account.client("s3"), "there-is-no-such-bucket", None, "pawprint")
