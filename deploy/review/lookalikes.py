"""Captured images that must not be added: copies of photographs in the dataset, and what looks like a held-out one.

A photograph of the validation or test split in train makes a model look better than it is. Those splits are downloaded
once, and only their thumbnails are kept. An image of train is compared by its size and MD5, which a listing has (not
with a KMS key: then a copy of it may be shown, which does no harm).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from classifier.contract import ApiError
from classifier.dataset import checks

from deploy import console, datasets
from deploy.deployment import Deployment
from deploy.review.captures import Captured, image_path

AT_ONCE = 16


@dataclass(frozen=True)
class Sorted:
    """The images to show, and the numbers of the others."""

    items: tuple[Captured, ...]
    held_out: int  # look like a photograph of the validation or test split
    copies: int  # of photographs in train, or of other captured images
    undecodable: int


def sort_out(deployment: Deployment, dataset: str, items: Sequence[Captured], folder: Path) -> Sorted:
    """Leave out what must not be added to this dataset. The first of several captured images that look the same stays.

    `folder` has the captured images, and gets the thumbnails.
    """
    listed = datasets.listed(deployment.client("s3"), deployment.artifacts_bucket, f"datasets/{dataset}/")
    trained = {(item["Size"], item["ETag"].strip('"')) for key, item in listed.items() if f"{dataset}/train/" in key}
    readable, thumbnails, copies = [], [], 0
    for item in items:
        content = image_path(folder, item.id).read_bytes()
        if (len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()) in trained:
            copies += 1
            continue
        try:
            thumbnails.append(checks.thumbnail(content))
        except ApiError:
            continue
        readable.append(item)
    undecodable = len(items) - copies - len(readable)
    if not readable:
        return Sorted((), 0, copies, undecodable)
    held_out = _held_out(deployment, dataset, listed, folder)
    groups = checks.alike(np.concatenate([np.stack(thumbnails), held_out]))
    similar = {row for rows in groups if rows[-1] >= len(readable) for row in rows if row < len(readable)}
    again = {row for rows in groups for row in rows[1:] if rows[-1] < len(readable)}
    shown = tuple(item for row, item in enumerate(readable) if row not in similar and row not in again)
    return Sorted(shown, len(similar), copies + len(again), undecodable)


def _held_out(deployment: Deployment, dataset: str, listed: dict[str, dict], folder: Path) -> np.ndarray:
    """The thumbnails of the validation and test splits, uint8 [images, SIDE, SIDE, 3]."""
    wanted = {item["ETag"].strip('"'): key for key, item in listed.items() if key.split("/")[2] in ("valid", "test")}
    kept = _known(folder / "thumbnails.npz")
    missing = [(tag, key) for tag, key in wanted.items() if tag not in kept]
    s3, bucket = deployment.client("s3", max_pool_connections=AT_ONCE), deployment.artifacts_bucket

    def get(item: tuple[str, str]) -> tuple[str, np.ndarray]:
        return item[0], checks.thumbnail(s3.get_object(Bucket=bucket, Key=item[1])["Body"].read())

    if missing:
        console.step(f"Reading the held-out photographs of {dataset}, so that none of them gets into train")
        with ThreadPoolExecutor(AT_ONCE) as pool, console.progress() as bar:
            kept |= dict(bar.track(pool.map(get, missing), total=len(missing), description="reading"))
        kept = {tag: kept[tag] for tag in wanted}
        np.savez(folder / "thumbnails.npz", tags=np.array(list(kept)), thumbnails=np.stack(list(kept.values())))
    rows = [kept[tag] for tag in wanted]
    return np.stack(rows) if rows else np.empty((0, checks.SIDE, checks.SIDE, 3), np.uint8)


def _known(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(zip(stored["tags"].tolist(), stored["thumbnails"], strict=True))
    except (OSError, ValueError, KeyError, EOFError):  # a half-written file
        return {}
