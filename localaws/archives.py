"""Unpacks archives that others made: models, source directories, deployment packages.

Every member is looked at before anything is written. Refused are: paths that lead out of the folder, links that do,
anything but files, folders and links, a path that is a file and a folder at once, names and paths that are too long,
and archives whose content does not fit on the disk. Python's own extraction is not used: some versions of 3.11 have no
filter, and others have one that links can deceive (CVE-2025-4517).

A link is only made if its target, read as text, is inside the folder and leads through no other link. So following
links never leaves the folder, whatever the order of the members is. Links are made when all files are written.
"""

import contextlib
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MAX_MEMBERS = 100_000
MAX_NAME = 255  # bytes: what file systems take
MAX_PATH = 1024  # bytes, within the folder: the system takes 4096 with the path of the folder
MAX_DEPTH = 64
SPARE_BYTES = 64 << 20  # of the disk, which an archive may not take; less on a small one
MAX_HEADER = 1 << 20  # bytes of a long name or of PAX records, which are read at once
PORTION = 1 << 20
HEADERS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)

FILE, FOLDER, LINK, HARD_LINK = "file", "folder", "link", "hard link"


class ArchiveError(Exception):
    """An archive that is damaged or not safe to unpack; the message names the member."""


class ArchiveTooLarge(ArchiveError):
    """An archive whose content does not fit."""


@dataclass(frozen=True)
class ArchiveMember:
    """One entry: its path within the folder, normal and relative. `target` is a link's, as it is written."""

    path: str
    kind: str
    size: int = 0
    mode: int = 0o644
    target: str = ""
    source: Any = None


class BoundedTarInfo(tarfile.TarInfo):
    """A member whose extra headers fit into memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in HEADERS and self.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tar)


def unpack_tar(archive: Path, folder: Path, most: int | None = None) -> None:
    """Unpack a tar archive, compressed or not. `most`: bytes that it may have, as well as what the disk has.

    Raises ArchiveError for an archive that is refused, and OSError if the disk fails.
    """
    try:
        with tarfile.open(archive, tarinfo=BoundedTarInfo) as tar:
            limit = _limit(folder, most)
            members = _checked((_of_tar(each) for each in tar), limit)
            _write(members, folder, lambda member: _tar_file(tar, member), limit)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, UnicodeError, ValueError) as error:
        raise ArchiveError(f"it is damaged or not a tar archive: {error}") from error
    except OSError as error:
        if error.errno is not None:  # the disk's; tarfile and its decompressors raise it without a number
            raise
        raise ArchiveError(f"it is damaged or not a tar archive: {error}") from error


def unpack_zip(archive: IO[bytes], folder: Path, most: int | None = None) -> None:
    """Unpack a zip archive. Raises ArchiveError for an archive that is refused, and OSError if the disk fails."""
    with _opened_zip(archive) as package:
        limit = _limit(folder, most)
        members = _checked((_of_zip(each, package) for each in package.infolist()), limit)
        _write(members, folder, lambda member: package.open(member.source), limit)


def check_zip(archive: IO[bytes], most: int) -> None:
    """Raise ArchiveError for a zip archive that would be refused on a disk with `most` bytes of space."""
    with _opened_zip(archive) as package:
        _checked((_of_zip(each, package) for each in package.infolist()), most)


@contextlib.contextmanager
def _opened_zip(archive: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    damaged = (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, UnicodeError, ValueError)
    encrypted = (RuntimeError, NotImplementedError)
    try:
        with zipfile.ZipFile(archive) as package:
            yield package
    except (*damaged, *encrypted) as error:
        raise ArchiveError(f"it is damaged or not a zip archive: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ArchiveError(f"it is damaged or not a zip archive: {error}") from error


def _limit(folder: Path, most: int | None) -> int:
    """How many bytes may be unpacked to a folder: what the disk has, or less."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    usage = shutil.disk_usage(place)
    free = max(0, usage.free - min(SPARE_BYTES, usage.total // 10))
    return free if most is None else min(free, most)


def _of_tar(entry: tarfile.TarInfo) -> ArchiveMember | None:
    path = _normal(entry.name)
    if entry.isdir():
        return ArchiveMember(path, FOLDER) if path else None
    if entry.isreg():
        return ArchiveMember(path, FILE, entry.size, entry.mode, source=entry)
    if entry.issym():
        return ArchiveMember(path, LINK, target=entry.linkname)
    if entry.islnk():
        return ArchiveMember(path, HARD_LINK, target=_normal(entry.linkname))
    raise ArchiveError(f"{_shown(entry.name)} is a device, a pipe or of an unknown type")


def _of_zip(entry: zipfile.ZipInfo, package: zipfile.ZipFile) -> ArchiveMember | None:
    # As `unzip` does: a leading slash and `..` are left out, so the member is inside the folder all the same.
    path = _normal("/".join(part for part in entry.filename.split("/") if part != ".."))
    mode = entry.external_attr >> 16
    if entry.is_dir():
        return ArchiveMember(path, FOLDER) if path else None
    if stat.S_ISLNK(mode):
        if entry.file_size > MAX_PATH:
            raise ArchiveError(f"{_shown(path)} is a link with a target that is too long")
        return ArchiveMember(path, LINK, target=package.read(entry).decode())
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise ArchiveError(f"{_shown(path)} is a device, a pipe or of an unknown type")
    return ArchiveMember(path, FILE, entry.file_size, mode, source=entry)


def _normal(name: str) -> str:
    """A path without a leading slash, `.`, `..` and empty parts; "" for the folder itself. Raises ArchiveError."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise ArchiveError(f"{_shown(name)} leads out of the folder")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if "\0" in name:
        raise ArchiveError(f"{_shown(name)} has a character that no path may have")
    if any(len(os.fsencode(part)) > MAX_NAME for part in parts):
        raise ArchiveError(f"{_shown(name)} has a name of more than {MAX_NAME} bytes")
    if len(parts) > MAX_DEPTH or len(os.fsencode(name)) > MAX_PATH:
        raise ArchiveError(f"{_shown(name)} is deeper than {MAX_DEPTH} folders or longer than {MAX_PATH} bytes")
    return "/".join(parts)


def _checked(members: Iterable[ArchiveMember | None], limit: int) -> list[ArchiveMember]:
    """All members, if together they are safe to write. Raises ArchiveError."""
    kinds: dict[str, str] = {}
    kept: list[ArchiveMember] = []
    size = 0
    for member in members:
        if member is None:
            continue
        if member.size < 0:
            raise ArchiveError(f"{_shown(member.path)} has a size below 0")
        size += member.size
        if len(kept) >= MAX_MEMBERS:
            raise ArchiveError(f"it has more than {MAX_MEMBERS} members")
        if size > limit:
            raise ArchiveTooLarge(f"its content has more than the {limit} bytes that there is space for")
        if not member.path:
            raise ArchiveError("it has a file without a name")
        for parent in _parents(member.path):
            if kinds.setdefault(parent, FOLDER) != FOLDER:
                raise ArchiveError(f"{_shown(parent)} is a {kinds[parent]}, and {_shown(member.path)} is to be in it")
        before = kinds.get(member.path)
        if before is not None and (before, member.kind) not in ((FOLDER, FOLDER), (FILE, FILE)):
            raise ArchiveError(f"{_shown(member.path)} is there twice, as a {before} and as a {member.kind}")
        kinds[member.path] = member.kind
        kept.append(member)
    for member in kept:
        _check_link(member, kinds)
    return kept


def _check_link(member: ArchiveMember, kinds: dict[str, str]) -> None:
    if member.kind == HARD_LINK and kinds.get(member.target) != FILE:
        raise ArchiveError(
            f"{_shown(member.path)} is a hard link to {_shown(member.target)}, which is not a file in it"
        )
    if member.kind != LINK:
        return
    out = ArchiveError(f"{_shown(member.path)} is a link out of the folder, to {_shown(member.target)}")
    if not member.target or member.target.startswith("/"):
        raise out
    inside = posixpath.dirname(member.path).split("/") if "/" in member.path else []
    for part in member.target.split("/"):
        # A link on the way would make what follows mean another place than it does in the text.
        if kinds.get("/".join(inside)) == LINK:
            raise ArchiveError(f"{_shown(member.path)} is a link through another link, to {_shown(member.target)}")
        if part == "..":
            if not inside:
                raise out
            inside.pop()
        elif part not in ("", "."):
            inside.append(part)
    _normal("/".join(inside))
    if len(os.fsencode(member.target)) > MAX_PATH or "\0" in member.target:
        raise out


def _write(members: list[ArchiveMember], folder: Path, open_file: Any, limit: int) -> None:
    """Files first, links last: nothing is ever written through a link of the archive."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for member in members:
        path = folder / member.path
        if member.kind == FOLDER:
            path.mkdir(parents=True, exist_ok=True)
        elif member.kind == FILE:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(open_file(member)) as source:
                written += _copy(source, path, member, limit - written)
    for member in members:
        path = folder / member.path
        if member.kind in (LINK, HARD_LINK):
            path.parent.mkdir(parents=True, exist_ok=True)
        if member.kind == HARD_LINK:
            os.link(folder / member.target, path)
        elif member.kind == LINK:
            path.symlink_to(member.target)


def _copy(source: IO[bytes], path: Path, member: ArchiveMember, left: int) -> int:
    """Copy a member's bytes, at most `left` of them: what an archive says of its sizes need not be true."""
    size = 0
    # A file that is there is replaced, so a link with its name is not followed.
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        for portion in _portions(source):
            size += len(portion)
            if size > left:
                raise ArchiveTooLarge(f"{_shown(member.path)} has more bytes than there is space for")
            file.write(portion)
    if size != member.size:
        raise ArchiveError(f"{_shown(member.path)} has {size} bytes, and the archive says {member.size}")
    path.chmod(member.mode & 0o755 | 0o644)
    return size


def _portions(source: IO[bytes]) -> Iterator[bytes]:
    while portion := source.read(PORTION):
        yield portion


def _tar_file(tar: tarfile.TarFile, member: ArchiveMember) -> IO[bytes]:
    file = tar.extractfile(member.source)
    if file is None:
        raise ArchiveError(f"{_shown(member.path)} is not a file")
    return file


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for end in range(1, len(parts)):
        yield "/".join(parts[:end])


def _shown(name: str) -> str:
    """A name for a message: a long one is cut."""
    shown = repr(name)
    return shown if len(shown) <= 100 else f"{shown[:60]}…{shown[-30:]}"
