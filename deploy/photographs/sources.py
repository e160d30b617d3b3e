"""Where photographs come from: a folder, a list, an archive, or a place in S3. The last two are unpacked to a temporary
folder."""

from __future__ import annotations

import contextlib
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from deploy import console
from deploy.console import Failure
from deploy.photographs import layouts, lists
from deploy.photographs.found import Collection

ARCHIVES = (".zip", ".tar.gz", ".tgz")
MAX_BYTES = 200 * 1024**3  # unpacked


@dataclass(frozen=True)
class Scratch:
    """A folder for temporary files, and a client of S3."""

    root: Path
    s3: Any

    def folder(self) -> Path:
        """A new folder."""
        return Path(tempfile.mkdtemp(dir=self.root))


def exists(source: str) -> bool:
    """Whether a value of DATA names a source and not a dataset in the bucket."""
    return source.startswith("s3://") or Path(source).exists()


def name_of(source: str) -> str:
    """The last part of the source, without the suffix of an archive or list."""
    name = urlsplit(source).path.rstrip("/") or urlsplit(source).netloc if source.startswith("s3://") else None
    path = Path(name) if name else Path(source).resolve()
    for suffix in (*ARCHIVES, *lists.SUFFIXES):
        if path.name.lower().endswith(suffix) and not path.is_dir():
            return path.name[: -len(suffix)]
    return path.name


@contextlib.contextmanager
def opened(source: str, s3: Any) -> Generator[tuple[Collection, Path]]:
    """The photographs of a source, and a folder for more temporary files. Both exist during the block. Raises Failure.

    `s3` is a client that reads s3://…
    """
    with tempfile.TemporaryDirectory(prefix="pawprint-data-") as root:
        scratch = Scratch(Path(root), s3)
        yield _find(source, scratch), scratch.folder()


def _find(source: str, scratch: Scratch) -> Collection:
    if source.startswith("s3://"):
        return layouts.find(_download(source, scratch), scratch)
    path = Path(source)
    if path.is_dir():
        return layouts.find(path, scratch)
    if not path.is_file():
        raise Failure(
            f"{source} does not exist. DATA= takes a folder, a CSV or JSONL list, a .zip, a .tar.gz or s3://…"
        )
    if path.name.lower().endswith(ARCHIVES):
        return layouts.find(_unpacked(path, scratch), scratch)
    if path.name.lower().endswith(lists.SUFFIXES):
        return lists.read(path, scratch)
    raise Failure(
        f"{source} is not a folder, a list ({' '.join(lists.SUFFIXES)}) or an archive ({' '.join(ARCHIVES)})."
    )


def _unpacked(archive: Path, scratch: Scratch) -> Path:
    from classifier.artifact import ArtifactError, extract

    folder = scratch.folder()
    console.step(f"Unpacking {archive}")
    if archive.suffix.lower() == ".zip":
        _unzip(archive, folder)
        return folder
    try:
        extract(archive, folder)
    except ArtifactError as error:
        raise Failure(f"{error} Nothing was uploaded.") from None
    return folder


def _unzip(archive: Path, folder: Path) -> None:
    """Only regular files, and none outside the folder. Raises Failure before it writes any other."""
    try:
        with zipfile.ZipFile(archive) as opened_archive:
            members = [member for member in opened_archive.infolist() if not member.is_dir()]
            for member in members:
                name = PurePosixPath(member.filename)
                kind = stat.S_IFMT(member.external_attr >> 16)
                if name.is_absolute() or ".." in name.parts or "\\" in member.filename or kind not in (0, stat.S_IFREG):
                    raise Failure(f"{archive} contains {member.filename!r}, a link or a file outside the folder.")
            if sum(member.file_size for member in members) > MAX_BYTES:
                raise Failure(f"{archive} unpacks to more than {MAX_BYTES >> 30} GiB. Unpack it yourself.")
            for member in members:
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened_archive.open(member) as content, target.open("wb") as file:
                    shutil.copyfileobj(content, file, 1024 * 1024)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:  # RuntimeError: a password
        raise Failure(f"{archive} cannot be unpacked: {error}. Nothing was uploaded.") from None


def _download(source: str, scratch: Scratch) -> Path:
    """The objects under an address, in a temporary folder with their names."""
    parts = urlsplit(source)
    prefix = parts.path.strip("/")
    prefix += "/" if prefix else ""
    folder = scratch.folder()
    with _s3_errors(source):
        pages = scratch.s3.get_paginator("list_objects_v2").paginate(Bucket=parts.netloc, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    keys = [key for key in keys if not key.endswith("/")]
    if not keys:
        raise Failure(f"{source} has no object. Nothing was uploaded.")
    _fetch(scratch.s3, [(parts.netloc, key, _below(folder, key.removeprefix(prefix), source)) for key in keys])
    return folder


def download_objects(addresses: Iterable[str], scratch: Scratch) -> dict[str, Path]:
    """Each s3:// address and the temporary file with its object. A missing object has no file."""
    folder, places = scratch.folder(), {}
    for number, address in enumerate(dict.fromkeys(addresses)):
        parts = urlsplit(address)
        name = PurePosixPath(parts.path).name or "object"
        places[address] = _below(folder, f"{number}/{name}", address)
    objects = [(urlsplit(each).netloc, urlsplit(each).path.lstrip("/"), path) for each, path in places.items()]
    _fetch(scratch.s3, objects, missing=True)
    return places


def _below(folder: Path, name: str, source: str) -> Path:
    if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
        raise Failure(f"{source} has the key {name!r}, which is outside the folder. Nothing was uploaded.")
    return folder / name


def _fetch(s3: Any, objects: list[tuple[str, str, Path]], *, missing: bool = False) -> None:
    from botocore.exceptions import ClientError

    def fetch(item: tuple[str, str, Path]) -> None:
        bucket, key, path = item
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            s3.download_file(bucket, key, str(path))
        except ClientError as error:
            if not missing or error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                raise

    with _s3_errors(f"s3://{objects[0][0]}"), ThreadPoolExecutor(16) as pool, console.progress() as bar:
        list(bar.track(pool.map(fetch, objects), total=len(objects), description="downloading"))


@contextlib.contextmanager
def _s3_errors(source: str) -> Generator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Failure(f"{source} cannot be read: {error}. Nothing was uploaded.") from None
