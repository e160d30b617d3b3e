"""The images that the function captured: the newest ones, on this machine.

An object has lines of JSON in the record format of SageMaker's data capture (payloads/lambda/predictor/capture.py), so
what SageMaker itself captured under the same prefix is read too. The files on this machine go with the objects: what
the bucket does not list any more is deleted here too, unless it has a label.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from classifier.contract import MAX_STORED_BYTES, ApiError, check_image, read_answer

from deploy import console
from deploy.deployment import Deployment

PREFIX = "captures/"
AT_ONCE = 16


@dataclass(frozen=True)
class Captured:
    """An image and its answer. `id` is the SHA-256 of its bytes, `at` when it was asked about (ISO 8601, UTC)."""

    id: str
    content_type: str
    at: str
    predictions: tuple[tuple[str, float], ...]  # labels in words, the most probable first
    known: bool | None
    distance: float | None
    model: str


@dataclass(frozen=True)
class Fetch:
    """`unreadable` is the number of records that are not one image with an answer."""

    items: tuple[Captured, ...]
    unreadable: int


def image_path(folder: Path, identity: str) -> Path:
    """The image's file on this machine."""
    return folder / "images" / identity


def fetch(deployment: Deployment, folder: Path, most: int, keep: set[str]) -> Fetch:
    """The images of the newest `most` objects, each once, and those of `keep` that were fetched before. `folder` keeps
    the files of these, and no others."""
    s3, bucket = deployment.client("s3", max_pool_connections=AT_ONCE), deployment.artifacts_bucket
    for name in ("images", "records"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = list(itertools.islice(_newest(s3, bucket, PREFIX), most))
    records = {folder / "records" / hashlib.sha256(key.encode()).hexdigest(): key for key in keys}
    missing = [(path, key) for path, key in records.items() if not path.is_file()]

    def get(item: tuple[Path, str]) -> None:
        path, key = item
        _keep(folder, path, s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    with ThreadPoolExecutor(AT_ONCE) as pool, console.progress() as bar:
        list(bar.track(pool.map(get, missing), total=len(missing), description="downloading"))
    kept = [json.loads(path.read_text()) for path in records]
    items = {each["id"]: _item(each) for document in reversed(kept) for each in document["items"]}
    for old in set((folder / "records").iterdir()) - set(records):
        document = {} if old.name.startswith(".") else json.loads(old.read_text())
        labelled = {each["id"]: _item(each) for each in document.get("items", ()) if each["id"] in keep}
        items = {**labelled, **items}
        if not labelled:
            old.unlink()
    for image in (folder / "images").iterdir():
        if image.name not in items:
            image.unlink()
    return Fetch(tuple(items.values()), sum(each["unreadable"] for each in kept))


def _newest(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    """The keys below a prefix, the last folder (the newest hour) first, without listing the folders before it."""
    folders, keys = [], []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
        folders += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
        keys += [(each["LastModified"], each["Key"]) for each in page.get("Contents", [])]
    for folder in sorted(folders, reverse=True):
        yield from _newest(s3, bucket, folder)
    yield from (key for _, key in sorted(keys, reverse=True) if key.endswith(".jsonl"))


def _keep(folder: Path, path: Path, content: bytes) -> None:
    """Write the images of an object, and then what it says about them."""
    items, unreadable = [], 0
    for line in filter(None, content.splitlines()):
        try:
            item, image = read_record(line)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ApiError):
            unreadable += 1
            continue
        _write(image_path(folder, item.id), image)
        items.append(asdict(item))
    _write(path, json.dumps({"items": items, "unreadable": unreadable}).encode())


def _write(path: Path, content: bytes) -> None:
    """An interrupted download leaves no half of a file under the name."""
    unfinished = path.with_name(f".{path.name}.partial")
    unfinished.write_bytes(content)
    unfinished.rename(path)


def read_record(line: bytes) -> tuple[Captured, bytes]:
    """A record's image and answer. Raises one of the exceptions that `_keep` counts."""
    record = json.loads(line)
    given, said = record["captureData"]["endpointInput"], record["captureData"]["endpointOutput"]
    image, answer = _decoded(given), read_answer(_decoded(said))
    content_type = check_image(image, None, MAX_STORED_BYTES)
    item = Captured(
        hashlib.sha256(image).hexdigest(),
        content_type,
        str(record["eventMetadata"]["inferenceTime"]),
        tuple((each["label"], each["probability"]) for each in answer["predictions"]),
        answer.get("known"),
        answer.get("distance"),
        str(answer["model"].get("name", "")),
    )
    return item, image


def _decoded(part: dict) -> bytes:
    return base64.b64decode(part["data"], validate=True) if part["encoding"] == "BASE64" else part["data"].encode()


def _item(document: dict) -> Captured:
    pairs = tuple((label, probability) for label, probability in document["predictions"])
    return replace(Captured(**document), predictions=pairs)
