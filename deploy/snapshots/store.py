"""The snapshots of this machine: one file each, `.local/snapshots/NAME.tar.gz`, whole or not there."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

from deploy import console, environment, rehearsal_files
from deploy.console import Failure
from deploy.environment import Environment
from deploy.snapshots import contents, manifest, swap
from deploy.snapshots.manifest import MANIFEST, SIGNATURE, Manifest
from localaws.__main__ import ask
from localaws.files import sync_to_disk

SUFFIX = ".tar.gz"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def folder(env: Environment) -> Path:
    """Where the snapshots of all environments are. Only the owner may read it: it has the key."""
    path = env.home.parent / "snapshots"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def file_of(env: Environment, name: str) -> Path:
    """The file of a snapshot: by its name, or by a path. Raises Failure if it is neither."""
    if name.endswith(SUFFIX):
        return Path(name).expanduser()
    if not NAME.fullmatch(name):
        raise Failure(
            f"{name!r} cannot be the name of a snapshot: it takes 1 to 64 letters, digits, dots, hyphens and "
            "underscores, and begins with a letter or a digit."
        )
    return folder(env) / f"{name}{SUFFIX}"


@contextlib.contextmanager
def exclusive(env: Environment) -> Generator[None]:
    """Have the snapshots alone, and finish or remove what an interrupted command left. Raises Failure."""
    with (folder(env) / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failure("Another command works on the snapshots. Wait until it has ended.") from None
        swap.recover(folder(env))
        for left in folder(env).glob(".*.part"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield


def take(env: Environment, name: str) -> Path:
    """Write a snapshot of the rehearsal; returns its file. Raises Failure, and leaves no file then."""
    target = file_of(env, name)
    if target.parent != folder(env):
        raise Failure(f"Give a name without a folder and without {SUFFIX}, for example NAME=before-the-demo.")
    if target.exists():
        raise Failure(f"There is a snapshot {name}. Delete it first: {console.make(f'snapshot-delete NAME={name}')}")
    staged, part = (folder(env) / f".{name}.{kind}.part" for kind in ("files", "archive"))
    staged.mkdir(mode=0o700)
    try:
        _save_local_aws(env)
        contents.copy(env, staged)
        if not (staged / contents.LOCAL_AWS / "state").exists():
            raise Failure(f"The rehearsal of {env} is empty. Start it: {console.make('up')}")
        _write(part, staged, _describe(env, name, staged))
        part.chmod(0o600)
        part.replace(target)
        sync_to_disk(target.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        part.unlink(missing_ok=True)
    return target


def _save_local_aws(env: Environment) -> None:
    """Have the local AWS bring its state to the disk, if it runs. Raises Failure if it cannot, or is another's."""
    if ask(environment.local_port()) is None:
        return
    env.require_own_local_aws()
    environment.ask_local_aws("save", "POST")


def _describe(env: Environment, name: str, staged: Path) -> Manifest:
    files, links, folders = contents.table(staged)
    state = manifest.versions_of(staged / contents.LOCAL_AWS / "state" / "backends.pickle")
    created = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    summary = rehearsal_files.counts(env) or ""
    port = environment.local_port()
    about = (name, str(env), place(env), created, port, state, summary, _commit())
    return Manifest(*about, files=files, links=links, folders=folders)


def place(env: Environment) -> str:
    """Where the local AWS of an environment has its home, which tells the two rehearsals apart."""
    return str(contents.local_aws().relative_to(env.home.parent))


def _commit() -> str:
    """The commit of this checkout; empty if there is no Git."""
    with contextlib.suppress(OSError):
        asked = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=environment.ROOT, capture_output=True, text=True
        )
        return asked.stdout.strip()
    return ""


def _write(path: Path, staged: Path, described: Manifest) -> None:
    """Write the archive: the manifest, its signature, then the files. Raises OSError."""
    encoded = described.encoded()
    with path.open("wb") as file:
        # Most of it is photographs and models, which do not get smaller.
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
            for name, content in ((MANIFEST, encoded), (SIGNATURE, manifest.signature(path.parent, encoded))):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            for name in described.files:
                entry = tarfile.TarInfo(name)
                entry.size = described.files[name][0]
                with (staged / name).open("rb") as source:
                    archive.addfile(entry, source)
        file.flush()
        os.fsync(file.fileno())


def listed(env: Environment) -> list[Path]:
    """The files of all snapshots, the newest first."""
    return sorted(folder(env).glob(f"[!.]*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)


def delete(env: Environment, name: str) -> None:
    """Delete a snapshot of this machine. Raises Failure if there is none."""
    path = file_of(env, name)
    if path.parent != folder(env) or not path.exists():
        raise Failure(f"There is no snapshot {name}. To list them: {console.make('snapshots')}")
    path.unlink()
