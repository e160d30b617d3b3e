"""Datasets, archives and results in S3."""

import os
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from classifier.dataset.folders import SPLITS
from classifier.progress import progress

CONNECTIONS = 16


class StorageError(Exception):
    """An object or bucket in S3 cannot be read or written. The message names it."""


class Storage:
    """One client for all requests. Several threads can use it."""

    def __init__(self) -> None:
        self._s3 = boto3.client("s3", config=Config(max_pool_connections=CONNECTIONS))

    def fetch_dataset(self, uri: str, folder: Path, cache: Path) -> dict[str, Path]:
        """Copy the dataset under `uri` to `folder`. Returns each split with the folder of its class folders.

        Each image is downloaded once and kept in `cache` under its ETag. The images in `folder` are hard links to the
        cache. Files that are no longer in S3 are removed. Raises StorageError.
        """
        bucket, prefix = split_uri(uri)
        objects = dict(self._list_images(bucket, prefix.rstrip("/") + "/"))
        if not objects:
            raise StorageError(
                f"{uri} has no images {{{','.join(SPLITS)}}}/<class>/<image>. Upload them with make data."
            )
        cache.mkdir(parents=True, exist_ok=True)

        def fetch(item: tuple[PurePosixPath, tuple[str, str]]) -> None:
            name, (key, etag) = item
            kept = cache / etag
            if not kept.exists():
                self._download(bucket, key, kept)
            os.utime(kept, ns=(time.time_ns(), kept.stat().st_mtime_ns))  # marks it as used for housekeeping
            target = folder / name
            if not (target.exists() and target.samefile(kept)):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                os.link(kept, target)

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for _ in progress(pool.map(fetch, objects.items()), len(objects), "download"):
                pass
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            if PurePosixPath(path.relative_to(folder).as_posix()) not in objects:
                path.unlink()
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        return {split: folder / split for split in SPLITS}

    def fetch(self, uri: str, target: Path) -> Path:
        """Download the object at `uri` to the file `target`. Raises StorageError."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self._download(*split_uri(uri), target)
        return target

    def put(self, source: Path, uri: str) -> None:
        """Upload the file to `uri`. Raises StorageError."""
        bucket, key = split_uri(uri)
        with _errors(uri):
            self._s3.upload_file(str(source), bucket, key)

    def check_bucket(self, uri: str) -> None:
        """Raise StorageError unless the bucket for the results exists."""
        bucket, _ = split_uri(uri)
        with _errors(f"s3://{bucket}"):
            self._s3.head_bucket(Bucket=bucket)

    def _list_images(self, bucket: str, prefix: str) -> Iterator[tuple[PurePosixPath, tuple[str, str]]]:
        """(split/class/file, (key, ETag)) of each image."""
        with _errors(f"s3://{bucket}/{prefix}"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    name = PurePosixPath(entry["Key"].removeprefix(prefix))
                    if len(name.parts) == 3 and name.parts[0] in SPLITS and ".." not in name.parts:
                        yield name, (entry["Key"], entry["ETag"].strip('"'))

    def _download(self, bucket: str, key: str, target: Path) -> None:
        partial = target.with_name(f"{target.name}.partial")
        with _errors(f"s3://{bucket}/{key}"):
            self._s3.download_file(bucket, key, str(partial))
        partial.replace(target)


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/some/key` -> (`bucket`, `some/key`). Raises StorageError."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise StorageError(f"{uri!r} is not of the form s3://bucket/key.")
    return bucket, key


@contextmanager
def _errors(what: str) -> Generator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        reason = {
            "NoSuchBucket": "the bucket does not exist",
            "NoSuchKey": "the object does not exist",
            "404": "the bucket or object does not exist",
            "403": "access is denied",
        }.get(code, str(error))
        raise StorageError(f"{what}: {reason}.") from None
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise StorageError(f"{what}: {error}") from None
