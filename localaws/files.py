"""Files that are whole or not there: written under another name, brought to the disk, then renamed."""

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes | str, sync: bool = True) -> None:
    """Replace a file. A crash or a full disk leaves the previous file. Raises OSError.

    Without `sync` the caller brings it to the disk, with `sync_to_disk`, before anything names it.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    if sync:
        sync_to_disk(path.parent)


def sync_to_disk(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reserve(path: Path, size: int) -> None:
    """Take space on the disk, to be freed when it is needed. Raises OSError, and takes nothing, if there is none."""
    try:
        with path.open("ab") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:  # macOS
                file.write(bytes(max(0, size - path.stat().st_size)))
            os.truncate(file.fileno(), size)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise
