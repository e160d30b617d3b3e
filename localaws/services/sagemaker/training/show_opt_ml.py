"""Start an entry point of a container in a file system in which `/opt/ml` is the job's folder.

    python -I show_opt_ml.py --folder DIR --hosts NAME[,NAME...] -- PROGRAM ARGUMENT ...

Standard library only, since it runs under the interpreter of the container's image. An entry point names its files as
it finds them in a container. So this process moves to a mount namespace of its own: there `/opt/ml` is DIR, and the
names of the job's hosts are 127.0.0.1 in /etc/hosts. Nothing changes for other processes, and all mounts end with this
one. It needs root or user namespaces.
"""

import argparse
import contextlib
import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000  # sched.h
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000  # sys/mount.h
OPT_ML, HOSTS = Path("/opt/ml"), Path("/etc/hosts")
REFUSED = (
    "The local AWS cannot run an entry point of a container here: /opt/ml must be the folder of the job, which needs "
    "root or user namespaces ({})."
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--hosts", required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        enter_namespace()
        show(options.folder, OPT_ML, options.folder.parent / "opt")
        names = options.folder.parent / "hosts"
        names.write_text(f"127.0.0.1 localhost {' '.join(options.hosts.split(','))}\n")
        mount(names, HOSTS, MS_BIND)
    except OSError as error:
        raise SystemExit(REFUSED.format(error)) from None
    try:
        os.execvp(options.command[0], options.command)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        raise SystemExit(f"The entry point {options.command[0]} cannot be started: {error.strerror}.") from None


def enter_namespace() -> None:
    """Move this process to a mount namespace of its own. Raises OSError if it may not."""
    if not sys.platform.startswith("linux"):
        raise OSError("only Linux has them")
    user, group = os.getuid(), os.getgid()
    if libc().unshare(CLONE_NEWNS) != 0:
        if libc().unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
            raise OSError(os.strerror(ctypes.get_errno()))
        with contextlib.suppress(OSError):  # kernels before 3.19 do not have it
            Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    mount(None, Path("/"), MS_REC | MS_PRIVATE)


def show(source: Path, target: Path, scratch: Path) -> None:
    """Have `target` be the folder `source`. If there is no such folder, its parent is shown with one more. Raises
    OSError."""
    if not target.is_dir():
        scratch.mkdir(exist_ok=True)
        mount(Path("tmpfs"), scratch, 0, b"tmpfs")
        for each in target.parent.iterdir():
            copy_of(each, scratch / each.name)
        (scratch / target.name).mkdir()
        mount(scratch, target.parent, MS_BIND | MS_REC)
    mount(source, target, MS_BIND | MS_REC)


def copy_of(original: Path, copy: Path) -> None:
    if original.is_symlink():
        copy.symlink_to(original.readlink())
        return
    if original.is_dir():
        copy.mkdir()
    else:
        copy.touch()
    mount(original, copy, MS_BIND | MS_REC)


def mount(source: Path | None, target: Path, flags: int, kind: bytes | None = None) -> None:
    """mount(2). Raises OSError."""
    origin = None if source is None else str(source).encode()
    if libc().mount(origin, str(target).encode(), kind, ctypes.c_ulong(flags), None) != 0:
        raise OSError(f"mounting {target}: {os.strerror(ctypes.get_errno())}")


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main()
