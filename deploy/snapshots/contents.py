"""The files of a rehearsal that a snapshot has, and a copy of them that does not change any more.

The local AWS goes on meanwhile. It has brought its state to the disk, and what that names stays on the disk until the
next start: objects of S3 are files that are named by their contents. A job that runs is in the state as a job that
runs, and the start after a restore ends it as after a crash. The disks of instances and notebooks are copied as after a
power failure. Terraform is locked out while its state is copied.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO

from deploy import console
from deploy.console import Failure
from deploy.environment import Environment
from localaws.archives import MAX_MEMBERS

TERRAFORM_STATE = "terraform.tfstate"
LOCAL_AWS = "localaws"  # its home, in the archive
# In the home of the environment: Terraform's working data, which `terraform init` makes again.
KEPT = ("logs", "terraform", "stack")
# In the home of the local AWS: what belongs to its process, and what its start makes again from the state.
OF_THE_PROCESS = ("server.json", "server.lock", "processes.json")
MADE_AGAIN = ("training", "endpoints", "lambda", "lambda-logs")
METRICS = "state/metrics.json"
SAVED_METRICS = "state/metrics-of-snapshot.json"  # localaws.services.snapshots writes it


def local_aws() -> Path:
    """The home of the local AWS."""
    return Path(os.environ["LOCALAWS_HOME"])


def homes(env: Environment) -> dict[str, Path]:
    """The homes of the environments that share the local AWS, by their names in the archive."""
    return {f"homes/{home.name}": home for home in env.homes_in_account}


def copy(env: Environment, folder: Path) -> None:
    """Copy a rehearsal to an empty folder. Raises Failure if Terraform runs, or if a file vanishes meanwhile."""
    with terraform_locked(env) as states:
        for name, home in homes(env).items():
            _copy_all(home, folder / name, {home / each for each in (*KEPT, TERRAFORM_STATE)} | {local_aws()})
            _copy_all(home / "logs", folder / "logs" / home.name, set())
            if home in states:
                (folder / name / TERRAFORM_STATE).write_bytes(states[home])
                (folder / name / TERRAFORM_STATE).chmod(0o600)
        left_out = {local_aws() / each for each in (*OF_THE_PROCESS, *MADE_AGAIN, "state/reserved")}
        _copy_all(local_aws(), folder / LOCAL_AWS, left_out, living=True)
    saved = folder / LOCAL_AWS / SAVED_METRICS
    if saved.exists():
        saved.replace(folder / LOCAL_AWS / METRICS)
        (local_aws() / SAVED_METRICS).unlink(missing_ok=True)


def _copy_all(root: Path, target: Path, left_out: set[Path], living: bool = False) -> None:
    """Copy a folder. In one that is `living`, only the objects of S3 may not vanish meanwhile."""
    for path in _files(root, left_out):
        _copy(path, target / path.relative_to(root), must_exist=not living or _is_content(path))


def _is_content(path: Path) -> bool:
    """Whether a file is an object of S3."""
    return path.parent.parent.name == "s3"


def _files(root: Path, left_out: set[Path]) -> Iterator[Path]:
    """Everything below a folder, folders before what is in them. Files that are still being written are left out."""
    if not root.exists():
        return
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if here / name not in left_out and not name.startswith("plan-")]
        yield here
        yield from (here / name for name in folders if (here / name).is_symlink())
        yield from (here / name for name in names if here / name not in left_out and not name.endswith(".part"))


def _copy(path: Path, target: Path, must_exist: bool) -> None:
    try:
        mode = path.lstat().st_mode
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(mode):
            target.symlink_to(path.readlink())
        elif stat.S_ISDIR(mode):
            target.mkdir(exist_ok=True)
            target.chmod(stat.S_IMODE(mode) | 0o700)
        elif stat.S_ISREG(mode) and _is_content(path):
            _link(path, target)
        elif stat.S_ISREG(mode):  # sockets and pipes belong to processes
            shutil.copy2(path, target)
    except FileNotFoundError:
        if must_exist:
            raise Failure(f"{path} vanished during the copy. No snapshot was made. Start again.") from None


def _link(path: Path, target: Path) -> None:
    """Give a file that nobody writes to a second name. Copy it if the file system has no such names."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(path, target)


@contextlib.contextmanager
def terraform_locked(env: Environment) -> Generator[dict[Path, bytes]]:
    """Keep Terraform from the states on this machine; gives each state by its home.

    This is Terraform's own lock: one of POSIX on the state file (its `statemgr/filesystem_lock_unix.go`). A process
    loses it when it closes the file, under any name, so nothing else may open the file meanwhile. Raises Failure if
    Terraform has a lock.
    """
    states: dict[Path, bytes] = {}
    with contextlib.ExitStack() as stack:
        for home in env.homes_in_account:
            with contextlib.suppress(FileNotFoundError):
                file = stack.enter_context((home / TERRAFORM_STATE).open("rb+"))
                _lock(file, home)
                states[home] = file.read()
        yield states


def _lock(file: IO[bytes], home: Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Failure(
            f"Terraform is changing the stack of {home.name} at the moment. Nothing was changed. Wait until it has "
            "ended, and start again."
        ) from None


def table(folder: Path) -> tuple[dict[str, list], dict[str, str], dict[str, int]]:
    """Files, links and folders below a folder, as a manifest has them. Raises Failure if there are too many."""
    files: dict[str, list] = {}
    links: dict[str, str] = {}
    folders: dict[str, int] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            links[name] = str(path.readlink())
        elif path.is_dir():
            folders[name] = stat.S_IMODE(path.stat().st_mode)
        else:
            found = path.stat()
            files[name] = [found.st_size, stat.S_IMODE(found.st_mode), digest(path)]
    if len(files) + len(folders) > MAX_MEMBERS - 2:
        raise Failure(
            f"The rehearsal has {len(files):,} files. A snapshot takes {MAX_MEMBERS:,}. Terminate instances that are "
            f"not needed any more, or begin with an empty rehearsal: {console.make('local-reset')}"
        )
    return files, links, folders


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
