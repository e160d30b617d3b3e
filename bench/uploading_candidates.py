"""The measurements of `bench.uploading`, and its files."""

import hashlib
import io
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from bench.harness import BenchError
from bench.own_aws import OwnAws

SIDE = 32  # pixels
CLASSES = 10


def write_files(folder: Path, count: int) -> None:
    """Write `count` different JPEGs of noise, in CLASSES folders."""
    random = np.random.default_rng(0)
    for each in range(CLASSES):
        (folder / f"class-{each}").mkdir()
    for number in range(count):
        content = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(content, "JPEG", quality=60)
        (folder / f"class-{number % CLASSES}" / f"{number:06}.jpg").write_bytes(content.getvalue())


class Uploading:
    """Files per second from a folder to a new bucket, in one of several ways."""

    def __init__(self, folder: str, way: str):
        if way == "sync" and shutil.which("aws") is None:
            raise BenchError("The program aws is not on the PATH; install the AWS CLI.")
        self._folder, self._send = Path(folder), {"loop": self._loop, "sync": self._sync, "data": self._data}[way]
        self._aws, self._buckets = OwnAws(), 0

    def __call__(self) -> dict:
        s3, self._buckets = self._aws.client("s3"), self._buckets + 1
        bucket = f"bench-{self._buckets}"
        s3.create_bucket(Bucket=bucket)
        files = {f"datasets/x/{path.relative_to(self._folder)}": path for path in self._folder.glob("*/*.jpg")}
        began = time.perf_counter()
        self._send(bucket, files)
        seconds = time.perf_counter() - began
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        there = sum(len(page.get("Contents", [])) for page in pages)
        if there != len(files):
            raise RuntimeError(f"{there} of {len(files)} files arrived")
        return {"value": len(files) / seconds, "seconds": seconds}

    def close(self) -> None:
        self._aws.close()

    def _loop(self, bucket: str, files: dict[str, Path]) -> None:
        s3 = self._aws.client("s3")
        for key, path in files.items():
            s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())

    def _sync(self, bucket: str, files: dict[str, Path]) -> None:
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        command = ["aws", "--endpoint-url", self._aws.address, "s3", "sync", "--only-show-errors", str(self._folder)]
        subprocess.run([*command, f"s3://{bucket}/datasets/x/"], check=True, env=os.environ | keys)

    def _data(self, bucket: str, files: dict[str, Path]) -> None:
        from deploy.datasets import mirror

        mirror(SimpleNamespace(artifacts_bucket=bucket, client=self._aws.client), "datasets/x/", files)


def checking(folder: str, way: str) -> Callable[[], dict]:
    """Files per second of the check."""
    from classifier.dataset.checks import thumbnail

    from deploy.photographs.examine import examine
    from deploy.photographs.found import Photo

    paths = sorted(Path(folder).glob("*/*.jpg"))

    def single() -> None:
        for path in paths:
            content = path.read_bytes()
            hashlib.sha256(content).digest()
            thumbnail(content)

    photos = [Photo(path, path.parent.name, None, path.name) for path in paths]
    work = single if way == "single" else lambda: examine(photos)

    def measure() -> dict:
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        return {"value": len(paths) / seconds, "seconds": seconds}

    return measure
