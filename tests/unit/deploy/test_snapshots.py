"""`make snapshot` and `make restore`: a state comes back whole, and a file of somebody else runs nothing."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import pickle
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deploy import environment, rehearsal_files
from deploy.commands import snapshots
from deploy.console import Failure
from deploy.environment import Environment
from deploy.snapshots import contents, manifest, restore, store, swap
from localaws.ports import free_port

STATE = "localaws/state/backends.pickle"


@pytest.fixture
def rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A rehearsal that does not run: the files of a local AWS, a Terraform state and what belongs to a process."""
    monkeypatch.setenv("PAWPRINT_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAWS_PORT", str(free_port()))
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("CONFIRM", "yes")
    monkeypatch.setattr(rehearsal_files, "counts", lambda _: "1 dataset, 2 runs")
    put(tmp_path, STATE, pickle.dumps(manifest.own_versions()) + pickle.dumps("the rest"))
    photograph = b"photograph"
    digest = hashlib.sha256(photograph).hexdigest()
    put(tmp_path, f"localaws/s3/{digest[:2]}/{digest}", photograph)
    put(tmp_path, "local/terraform.tfstate", b'{"lineage": "a", "serial": 1}')
    put(tmp_path, "local/reports/run.html", b"report")
    put(tmp_path, "localaws/instances/i-1/root/program", b"#!/bin/sh")
    (tmp_path / "localaws/instances/i-1/root/program").chmod(0o755)
    (tmp_path / "localaws/instances/i-1/root/python").symlink_to("/usr/bin/python3")
    for name in ("server.lock", "processes.json", "training/job/log", "endpoints/x/model", "state/reserved"):
        put(tmp_path, f"localaws/{name}", b"of a process")
    for name in ("logs/up.log", "terraform/providers/x"):
        put(tmp_path, f"local/{name}", b"kept")
    return environment.current()


def put(home: Path, name: str, content: bytes) -> None:
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_bytes(content)


def kept(env: Environment) -> dict[str, bytes]:
    """The files of the rehearsal that a snapshot has."""
    home = env.home.parent
    roots = (home / "local", home / "localaws")
    return {
        str(path.relative_to(home)): path.read_bytes()
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and b"of a process" not in path.read_bytes()
    }


def as_kind(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def take(env: Environment, name: str) -> Path:
    with store.exclusive(env):
        return store.take(env, name)


def bring_back(env: Environment, name: str) -> None:
    with store.exclusive(env):
        restore.restore(env, name)


def left(env: Environment) -> set[str]:
    return {path.name for path in store.folder(env).iterdir()} - {"key", "lock"}


def test_a_state_comes_back_as_it_was_and_logs_stay(rehearsal):
    before, home = kept(rehearsal), rehearsal.home.parent
    take(rehearsal, "first")
    for path in (STATE, "local/terraform.tfstate", "localaws/instances/i-1/root/program"):
        (home / path).write_bytes(b"changed")
    put(home, "localaws/instances/i-2/root/new", b"new")
    put(home, "local/logs/later.log", b"kept")

    bring_back(rehearsal, "first")

    assert kept(rehearsal) == before | {"local/logs/later.log": b"kept"}
    assert (home / "localaws/instances/i-1/root/program").stat().st_mode & 0o777 == 0o755
    assert (home / "localaws/instances/i-1/root/python").readlink() == Path("/usr/bin/python3")
    assert (home / "local/terraform.tfstate").stat().st_mode & 0o777 == 0o600
    assert not (home / "localaws/processes.json").exists(), "it belongs to a server that has ended"
    assert left(rehearsal) == {"first.tar.gz"}


def test_dress_rehearsals_share_a_snapshot_as_they_share_a_local_aws(rehearsal, monkeypatch):
    home = rehearsal.home.parent
    local = kept(rehearsal)
    monkeypatch.setenv("ENV", "aws")
    monkeypatch.setenv("REHEARSE", "1")
    for name in ("aws-rehearsal/terraform.tfstate", "dev-rehearsal/terraform.tfstate"):
        put(home, name, b"before")
    put(home, f"aws-rehearsal/{STATE}", pickle.dumps(manifest.own_versions()) + pickle.dumps("before"))
    dress = environment.current()
    take(dress, "dress")
    shutil.rmtree(home / "aws-rehearsal")
    put(home, "dev-rehearsal/terraform.tfstate", b"changed")
    put(home, "new-rehearsal/terraform.tfstate", b"a stack that the snapshot does not have")
    environment.current()

    bring_back(dress, "dress")

    assert (home / "aws-rehearsal/terraform.tfstate").read_bytes() == b"before"
    assert (home / "dev-rehearsal/terraform.tfstate").read_bytes() == b"before"
    assert (home / "aws-rehearsal" / STATE).read_bytes().endswith(pickle.dumps("before"))
    assert list((home / "new-rehearsal").iterdir()) == []
    assert kept(rehearsal) == local
    monkeypatch.setenv("ENV", "local")
    with pytest.raises(Failure, match="Restore it there"):
        bring_back(environment.current(), "dress")


def test_a_snapshot_of_another_version_is_refused_with_words(rehearsal):
    put(rehearsal.home.parent, STATE, pickle.dumps({"moto": "4.0.0", "format": 1}) + pickle.dumps("the rest"))
    take(rehearsal, "old")
    before = kept(rehearsal)
    with pytest.raises(Failure, match=r"moto 4\.0\.0, format 1.*Nothing was changed"):
        bring_back(rehearsal, "old")
    assert kept(rehearsal) == before


class Harm:
    def __reduce__(self):
        return Path.touch, (Path("harm-was-done"),)


def test_a_state_that_runs_code_is_not_unpickled(rehearsal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(rehearsal.home.parent, STATE, pickle.dumps({"moto": Harm(), "format": 5}))
    with pytest.raises(Failure, match="cannot be read"):
        take(rehearsal, "harmful")
    assert not Path("harm-was-done").exists()
    assert left(rehearsal) == set()


def test_a_file_of_another_machine_is_shown_and_not_restored(rehearsal, tmp_path):
    path = take(rehearsal, "foreign").rename(tmp_path / "foreign.tar.gz")
    (store.folder(rehearsal) / "key").write_text("another machine's")
    before = kept(rehearsal)
    with pytest.raises(Failure, match="was not made on this machine"):
        bring_back(rehearsal, str(path))
    assert kept(rehearsal) == before
    name, _, _, details = snapshots.row(rehearsal, path)
    assert name == "foreign"
    assert "it is not restored" in details
    assert "1 dataset, 2 runs" in details


@pytest.mark.parametrize("change", ["content", "manifest", "added", "folder", "link", "cut"])
def test_a_changed_file_is_refused_before_anything_changes(rehearsal, change):
    path = take(rehearsal, "first")
    with tarfile.open(path) as archive:
        members = [(each, archive.extractfile(each).read()) for each in archive]
    if change == "content":
        members = [(each, b"X" * len(data) if each.name.endswith("run.html") else data) for each, data in members]
    elif change == "manifest":
        members = [(each, data.replace(b"1 dataset", b"9 dataset")) for each, data in members]
    elif change == "added":
        members += [(tarfile.TarInfo("localaws/instances/i-1/root/more"), b"")]
    elif change == "folder":  # it would take the place of the folder of the snapshots, with the key
        members += [(as_kind("homes/snapshots", tarfile.DIRTYPE), b"")]
    elif change == "link":
        members += [(as_kind("homes/snapshots", tarfile.SYMTYPE, "../localaws"), b"")]
    with tarfile.open(path, "w:gz") as archive:
        for entry, data in members:
            archive.addfile(entry, io.BytesIO(data))
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    before = kept(rehearsal)
    with pytest.raises(Failure, match=r"damaged|changed|cannot be unpacked"):
        bring_back(rehearsal, "first")
    assert kept(rehearsal) == before
    assert left(rehearsal) == {"first.tar.gz"}


def test_an_interrupted_copy_leaves_no_snapshot(rehearsal, monkeypatch):
    def interrupted(part: Path, *_: object) -> None:
        part.write_bytes(b"a part of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        take(rehearsal, "first")
    assert left(rehearsal) == set()


def test_what_a_killed_copy_left_is_removed_by_the_next_command(rehearsal):
    (store.folder(rehearsal) / ".first.files.part" / "localaws").mkdir(parents=True)
    take(rehearsal, "second")
    assert left(rehearsal) == {"second.tar.gz"}


def test_a_restore_that_was_killed_between_two_folders_is_finished(rehearsal, monkeypatch):
    before, home = kept(rehearsal), rehearsal.home.parent
    take(rehearsal, "first")
    put(home, STATE, b"changed")
    put(home, "local/terraform.tfstate", b"changed")
    renames = []
    rename = Path.rename

    def killed(path: Path, target: Path) -> Path:
        if Path(target).name == "localaws":
            raise SystemExit("killed")
        renames.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(SystemExit):
        bring_back(rehearsal, "first")
    monkeypatch.undo()
    assert renames
    assert kept(rehearsal) != before

    with store.exclusive(rehearsal):
        pass

    assert kept(rehearsal) == before
    assert left(rehearsal) == {"first.tar.gz"}


def test_while_terraform_has_the_state_nothing_is_saved(rehearsal):
    hold = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'rb+')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\nsys.stdin.read()"
    )
    state = rehearsal.home / contents.TERRAFORM_STATE
    argv = [sys.executable, "-c", hold, str(state)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(Failure, match="Terraform is changing"):
            take(rehearsal, "first")
    assert left(rehearsal) == set()


def test_terraform_is_locked_out_during_the_copy(rehearsal):
    attempt = "import fcntl, sys\nfcntl.lockf(open(sys.argv[1], 'rb+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    argv = [sys.executable, "-c", attempt, str(rehearsal.home / contents.TERRAFORM_STATE)]
    with contents.terraform_locked(rehearsal):
        assert subprocess.run(argv, capture_output=True).returncode != 0
    assert subprocess.run(argv, capture_output=True).returncode == 0


def test_a_restore_asks_first(rehearsal, monkeypatch):
    take(rehearsal, "first")
    before = kept(rehearsal)
    monkeypatch.delenv("CONFIRM")
    with pytest.raises(Failure, match=r"make restore NAME=first CONFIRM=yes"):
        bring_back(rehearsal, "first")
    assert kept(rehearsal) == before


def test_two_commands_do_not_work_on_snapshots_at_once(rehearsal):
    with (store.folder(rehearsal) / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Failure, match="Another command"):
            take(rehearsal, "first")


@pytest.mark.parametrize("name", ["../up", "", "a b", "x" * 65, "/etc/x"])
def test_a_name_that_is_not_a_name_is_refused(rehearsal, name):
    with pytest.raises(Failure, match="cannot be the name"):
        take(rehearsal, name)


def test_a_snapshot_is_not_replaced_but_deleted(rehearsal):
    take(rehearsal, "first")
    with pytest.raises(Failure, match="make snapshot-delete NAME=first"):
        take(rehearsal, "first")
    store.delete(rehearsal, "first")
    assert store.listed(rehearsal) == []
    with pytest.raises(Failure, match="There is no snapshot first"):
        store.delete(rehearsal, "first")


def test_a_text_of_a_foreign_file_cannot_control_the_terminal():
    assert manifest.shown("\x1b[2Jname\n") == "?[2Jname?"


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"format": 1, "\\u001b[2J": 1}', b"[]", b'{"format": 1}'])
def test_a_manifest_that_is_not_one_is_refused_in_words(rehearsal, tmp_path, content):
    with pytest.raises(Failure, match="is not a snapshot, or is damaged") as refused:
        manifest.read(with_manifest(tmp_path / "foreign.tar.gz", content), store.folder(rehearsal))
    assert str(refused.value).isprintable()


def test_a_format_of_a_later_version_is_named(rehearsal, tmp_path):
    path = with_manifest(tmp_path / "later.tar.gz", json.dumps({"format": 99}).encode())
    with pytest.raises(Failure, match="format 99"):
        manifest.read(path, store.folder(rehearsal))
    assert swap.JOURNAL not in left(rehearsal)


def with_manifest(path: Path, content: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in ((manifest.MANIFEST, content), (manifest.SIGNATURE, b"x")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path
