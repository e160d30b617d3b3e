"""The held-out images of a comparison: the test split of a dataset in the bucket, or the source that EVAL names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from classifier.artifact import ModelCard

from deploy import bucket, console, datasets
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.photographs import sources
from deploy.sagemaker import jobs

MOST = 2000  # images: about 20 seconds for an int8 model on two processors
JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")  # of CreateTrainingJob in SageMaker's API reference


@dataclass(frozen=True)
class HeldOut:
    """Images with their classes. `fingerprint` is equal for equal images and classes in the same order."""

    where: str  # in words
    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    total: int  # images before the selection
    fingerprint: str

    def __str__(self) -> str:
        count = f"{len(self.paths):,}"
        return f"{count if len(self.paths) == self.total else f'{count} of {self.total:,}'} images of {self.where}"


class Missing(Exception):
    """There are no held-out images. The message is a sentence for the user."""


@contextmanager
def held_out(deployment: Deployment, card: ModelCard, wanted: str | None, classes: Iterable[str]) -> Generator[HeldOut]:
    """The images of `classes`, at most MOST of them, evenly from each class. They exist during the block.

    `wanted` is a dataset in the bucket or a source of photographs. By default it is the dataset that the candidate was
    trained on. Raises Missing if that is not in the bucket, and Failure if `wanted` is not usable.
    """
    if wanted and sources.exists(wanted):
        with sources.opened(wanted, deployment.client("s3", max_pool_connections=16)) as (found, _):
            yield _of_photographs(wanted, found, classes)
        return
    if wanted and wanted not in datasets.uploaded(deployment):
        raise Failure(f"EVAL={wanted} is neither a folder here nor a dataset in the bucket. Nothing was changed.")
    yield _of_dataset(deployment, wanted or dataset_of(deployment, card), classes)


def dataset_of(deployment: Deployment, card: ModelCard) -> str:
    """The dataset in the bucket that a model was trained on. Raises Missing.

    SageMaker knows that of a training job. For other runs it is the latest dataset that has all classes of the model.
    """
    known = datasets.uploaded(deployment)
    prefix = f"s3://{deployment.artifacts_bucket}/datasets/"
    if JOB_NAME.fullmatch(card.name):
        try:
            job = jobs.describe(deployment.client("sagemaker"), card.name)
        except Failure:  # the instance trained it, or another account
            job = {}
        for channel in job.get("InputDataConfig", []):
            name = channel["DataSource"]["S3DataSource"]["S3Uri"].removeprefix(prefix).partition("/")[0]
            if channel["ChannelName"] == "test" and name in known:
                return name
    s3 = deployment.client("s3")
    for name in known:
        document = bucket.note(s3, deployment.artifacts_bucket, f"datasets/{name}/dataset.json")
        if document and set(document.get("classes", ())) >= set(card.classes):
            return name
    raise Missing("the bucket has no dataset with the candidate's classes. Name held-out images: EVAL=folder")


def _of_dataset(deployment: Deployment, name: str, classes: Iterable[str]) -> HeldOut:
    s3, place = deployment.client("s3", max_pool_connections=16), deployment.artifacts_bucket
    prefix, wanted = f"datasets/{name}/test/", set(classes)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place, Prefix=prefix)
    listed = [
        (label, item["Key"], item["ETag"].strip('"'))
        for page in pages
        for item in page.get("Contents", [])
        for label in [item["Key"].removeprefix(prefix).partition("/")[0]]
        if label in wanted
    ]
    if not listed:
        raise Missing(f"the test split of the dataset {name} has no image of a class that both models know.")
    chosen = _evenly(listed)
    folder = deployment.env.home / "evaluation" / f"dataset-{datasets.dataset_name(name)}"
    folder.mkdir(parents=True, exist_ok=True)
    # A file is named after the ETag, so what an earlier comparison has fetched is not fetched again.
    paths = [folder / etag for _, _, etag in chosen]
    _fetch(lambda key, path: s3.download_file(place, key, str(path)), dict(zip(paths, chosen, strict=True)))
    for old in set(folder.iterdir()) - set(paths):
        old.unlink()
    return _described(f"the test split of {name}", paths, [(each[0], each[2]) for each in chosen], len(listed))


def _fetch(download: Callable[[str, Path], None], wanted: dict[Path, tuple[str, str, str]]) -> None:
    """Download the objects whose file is missing, sixteen at a time, with a progress bar."""

    def fetch(item: tuple[Path, tuple[str, str, str]]) -> None:
        path, (_, key, _) = item
        unfinished = path.with_suffix(".partial")
        download(key, unfinished)
        unfinished.rename(path)

    missing = [item for item in wanted.items() if not item[0].is_file()]
    with ThreadPoolExecutor(16) as pool, console.progress() as bar:
        list(bar.track(pool.map(fetch, missing), total=len(missing), description="downloading"))


def _of_photographs(source: str, found: sources.Collection, classes: Iterable[str]) -> HeldOut:
    """The photographs of the split `test`, or all of them if they are not divided."""
    splits = {photo.split for photo in found.photos}
    if "test" not in splits and splits != {None}:
        raise Failure(f"EVAL={source} has the splits {', '.join(sorted(filter(None, splits)))}, and not test.")
    photos = [photo for photo in found.photos if photo.split in ("test", None)]
    wanted = set(classes)
    named = sorted((photo.label, str(photo.path), photo.path) for photo in photos if photo.label in wanted)
    if not named:
        raise Failure(
            f"EVAL={source} has no image of a class that both models know. It has: "
            f"{', '.join(sorted({photo.label for photo in photos})[:10])}. They know: {', '.join(sorted(wanted)[:10])}."
        )
    chosen = _evenly(named)
    hashes = [(label, hashlib.sha256(path.read_bytes()).hexdigest()) for label, _, path in chosen]
    return _described(source, [path for _, _, path in chosen], hashes, len(named))


def _evenly(rows: list) -> list:
    """At most MOST of the rows, which are sorted by class: every second one, or every third one, and so on."""
    return rows[:: -(-len(rows) // MOST) or 1]


def _described(where: str, paths: list[Path], named: list[tuple[str, str]], total: int) -> HeldOut:
    text = "\n".join(f"{label} {content}" for label, content in named)
    labels = tuple(label for label, _ in named)
    return HeldOut(where, tuple(paths), labels, total, hashlib.sha256(text.encode()).hexdigest())
