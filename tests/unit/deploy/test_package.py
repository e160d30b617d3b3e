from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from deploy.build import package


@pytest.fixture
def payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(package, "BUILD", tmp_path / "build")
    (tmp_path / "build").mkdir()
    folder = tmp_path / "payload"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.py").write_text("b = 1\n")
    (folder / "a.sh").write_text("#!/bin/sh\n")
    (folder / "a.sh").chmod(0o744)
    (folder / "sub" / "c.txt").write_text("c\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "b.pyc").write_bytes(b"\0")
    return folder


def test_the_bytes_depend_on_contents_only(payload: Path):
    members = package.members_below(payload)
    package.pack_tar("p", members, known={})
    package.pack_zip("p", members, known={})
    first = (package.BUILD / "p.tar.gz").read_bytes(), (package.BUILD / "p.zip").read_bytes()

    os.utime(payload / "b.py", (1, 1))
    (payload / "b.py").chmod(0o600)
    package.pack_tar("p", package.members_below(payload), known={})
    package.pack_zip("p", package.members_below(payload), known={})

    assert first == ((package.BUILD / "p.tar.gz").read_bytes(), (package.BUILD / "p.zip").read_bytes())


def test_a_build_waits_for_another_one_of_the_same_checkout(payload: Path):
    program = (
        "import pathlib; from deploy.build import package\n"
        f"package.BUILD = pathlib.Path({str(package.BUILD)!r})\n"
        "package._build = lambda kind: print((package.BUILD / 'first').is_file())\n"
        "print('started', flush=True); package.build()"
    )
    with (package.BUILD / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=package.ROOT)
        assert second.stdout.readline() == "started\n"
        time.sleep(0.2)  # a build that does not wait looks for the file now
        (package.BUILD / "first").touch()
    assert second.communicate()[0] == "True\n"


def test_an_archive_that_is_being_written_does_not_replace_the_finished_one(payload: Path):
    package.pack_tar("p", package.members_below(payload), known={})
    finished = (package.BUILD / "p.tar.gz").read_bytes()

    with pytest.raises(FileNotFoundError):
        package.pack_tar("p", [*package.members_below(payload), ("gone", payload / "gone")], known={})

    assert (package.BUILD / "p.tar.gz").read_bytes() == finished


def test_unchanged_archives_are_not_written_again(payload: Path):
    made = package.pack_tar("p", package.members_below(payload), known={})
    os.utime(package.BUILD / "p.tar.gz", (1, 1))

    again = package.pack_tar("p", package.members_below(payload), known={"p": made})

    assert again == made
    assert (package.BUILD / "p.tar.gz").stat().st_mtime == 1


@pytest.mark.parametrize("change", ["content", "name", "mode"])
def test_any_change_of_the_contents_gives_another_key(payload: Path, change: str):
    before = package.content_hash(package.members_below(payload))

    if change == "content":
        (payload / "b.py").write_text("b = 2\n")
    elif change == "name":
        (payload / "b.py").rename(payload / "d.py")
    else:
        (payload / "b.py").chmod(0o755)

    assert package.content_hash(package.members_below(payload)) != before


def test_archives_contain_the_files_and_nothing_of_this_machine(payload: Path):
    package.pack_tar("p", package.members_below(payload), known={})
    package.pack_zip("p", package.members_below(payload), known={})

    with tarfile.open(package.BUILD / "p.tar.gz") as archive:
        members = archive.getmembers()
    assert [(member.name, member.mode, member.uid, member.uname, member.mtime) for member in members] == [
        ("a.sh", 0o755, 0, "", 0),
        ("b.py", 0o644, 0, "", 0),
        ("sub/c.txt", 0o644, 0, "", 0),
    ]
    with zipfile.ZipFile(package.BUILD / "p.zip") as archive:
        assert archive.namelist() == ["a.sh", "b.py", "sub/c.txt"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_function_ships_the_contract_and_no_other_module_of_the_classifier():
    names = [name for name, _ in package.payload_members("lambda", only=package.LAMBDA_MODULES)]

    assert [name for name in names if name.startswith("classifier/")] == [
        "classifier/__init__.py",
        "classifier/contract.py",
    ]
    assert "handler.py" in names


def test_training_and_serving_ship_the_whole_classifier():
    for payload in ("train", "inference", "ec2"):
        names = [name for name, _ in package.payload_members(payload)]
        assert "classifier/artifact.py" in names
        assert "classifier/dataset/folders.py" in names
