"""The next version of a dataset: the objects of the one before, copied inside of S3, and labelled images in train.

The validation and test splits stay as they are, so a model of the new version can be compared with one of the old.
`dataset.json` is written last, so an interrupted copy is not a dataset. The next attempt goes on with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy import bucket, console, datasets
from deploy.console import Failure
from deploy.deployment import Deployment

AT_ONCE = 16
SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


@dataclass(frozen=True)
class Base:
    """A dataset in the bucket: its class folders, sorted, and what its `dataset.json` says."""

    name: str
    classes: tuple[str, ...]
    document: dict


@dataclass(frozen=True)
class Labelled:
    """An image for a class. `name` is that of its file in the dataset."""

    label: str
    name: str
    path: Path


def base_of(deployment: Deployment, wanted: str | None) -> Base:
    """The dataset in the bucket, by default the latest. Raises Failure."""
    known = datasets.uploaded(deployment)
    if not known:
        raise Failure(f"The bucket has no dataset whose classes could be reviewed. Upload one: {console.make('data')}")
    if wanted and wanted not in known:
        raise Failure(f"{wanted} is not a dataset in the bucket. The bucket has: {', '.join(known)}.")
    name = wanted or known[0]
    document = bucket.note(deployment.client("s3"), deployment.artifacts_bucket, f"datasets/{name}/dataset.json") or {}
    return Base(name, tuple(sorted(document.get("classes", ()))), document)


def next_name(base: str, known: Collection[str]) -> str:
    """`dogs` -> `dogs-v2` -> `dogs-v3`: the first number that is free."""
    match = re.fullmatch(r"(.+)-v(\d{1,9})", base)
    stem, number = (match[1], int(match[2])) if match else (base, 1)
    while f"{stem}-v{number + 1}" in known:
        number += 1
    return f"{stem}-v{number + 1}"


def chosen_name(deployment: Deployment, base: Base, wanted: str | None) -> str:
    """The name of the new version. Raises Failure if the bucket has a dataset of that name."""
    known = datasets.uploaded(deployment)
    if not wanted:
        return next_name(base.name, known)
    name = datasets.dataset_name(wanted)
    if not name:
        raise Failure(f"The name {wanted!r} has neither letters nor digits. Choose another: NAME=")
    if name in known:
        raise Failure(
            f"The bucket has a dataset {name} already. A version gets a name of its own: choose another NAME=."
        )
    return name


def make(deployment: Deployment, base: Base, name: str, images: Collection[Labelled]) -> str:
    """Write the dataset `name`. Returns its s3:// address."""
    s3, place = deployment.client("s3", max_pool_connections=AT_ONCE), deployment.artifacts_bucket
    before, after = f"datasets/{base.name}/", f"datasets/{name}/"
    listed = datasets.listed(s3, place, before)
    copies = {after + key.removeprefix(before): item for key, item in listed.items() if key != f"{before}dataset.json"}
    added = {f"{after}train/{each.label}/{each.name}": each.path for each in images}
    there = datasets.listed(s3, place, after)
    _copy(s3, place, {key: item for key, item in copies.items() if not _same(there.get(key), item)})
    for key, path in added.items():
        s3.put_object(Bucket=place, Key=key, Body=path.read_bytes(), ChecksumAlgorithm="SHA256")
    stale = [key for key in there if key not in copies and key not in added]  # of an interrupted attempt
    for key in stale:
        s3.delete_object(Bucket=place, Key=key)
    document = {
        "name": name,
        "classes": list(base.classes),
        "images": _counts(after, [*copies, *added]),
        "source": datasets.identity(f"s3://{place}/{before}"),
        "from": base.name,
        "reviewed": len({*added} - {*copies}),
    }
    content = json.dumps(document, indent=2).encode()
    s3.put_object(Bucket=place, Key=f"{after}dataset.json", Body=content, ContentType="application/json")
    return f"s3://{place}/datasets/{name}"


def _copy(s3, place: str, wanted: Mapping[str, dict]) -> None:
    def copy(item: tuple[str, dict]) -> None:
        s3.copy_object(Bucket=place, Key=item[0], CopySource={"Bucket": place, "Key": item[1]["Key"]})

    with ThreadPoolExecutor(AT_ONCE) as pool, console.progress() as bar:
        list(bar.track(pool.map(copy, wanted.items()), total=len(wanted), description="copying"))


def _same(one: dict | None, other: dict) -> bool:
    return one is not None and (one["Size"], one["ETag"]) == (other["Size"], other["ETag"])


def _counts(prefix: str, keys: list[str]) -> dict[str, int]:
    splits = [key.removeprefix(prefix).partition("/")[0] for key in set(keys)]
    return {split: splits.count(split) for split in ("train", "valid", "test")}
