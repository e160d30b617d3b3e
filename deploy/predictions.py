"""Classify many images with the function URL: a folder, a pattern, or a place in S3, with a CSV as the answer."""

from __future__ import annotations

import csv
import glob
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.function import ask, signer

AT_ONCE = 8  # requests; the function answers 429 if the endpoint is busy
TRIES = 6
PAUSE = 1.0  # seconds before the second try, then twice as long each time; Retry-After of the function is 1
IMAGE_TYPE = "application/octet-stream"  # the bytes decide

Image = tuple[str, Callable[[], bytes]]  # the name for the CSV, and its bytes


def find(deployment: Deployment, wanted: str) -> list[Image] | None:
    """The images of a folder, a pattern or an s3:// address. None if it names one file or one web address.

    Raises Failure if there is none.
    """
    if wanted.startswith(("http://", "https://")):
        return None
    if wanted.startswith("s3://"):
        return _objects(deployment, wanted)
    if Path(wanted).is_file():
        return None
    if Path(wanted).is_dir():
        return _files(wanted, (path for path in sorted(Path(wanted).rglob("*")) if _is_image(path.name)))
    if any(letter in wanted for letter in "*?["):
        return _files(wanted, (Path(name) for name in sorted(glob.glob(wanted, recursive=True))))  # noqa: PTH207 Path.glob takes no absolute pattern
    return None


def write(
    deployment: Deployment, images: list[Image], top_k: int | None, out: IO[str] = sys.stdout, pause: float = PAUSE
) -> int:
    """Classify the images and write a line for each, in their order: image, label, probability, error, known, distance,
    and for `top_k` the next labels. Returns the number of failures.

    `known` is "no" if the image is not one of the classes, and empty if the model cannot say it.
    """
    count = top_k or 1
    lines = csv.writer(out, lineterminator="\n")
    more = [f"{column}_{number}" for number in range(2, count + 1) for column in ("label", "probability")]
    lines.writerow(["image", "label", "probability", "error", "known", "distance", *more])
    signing, failures, unknown = signer(deployment), 0, 0

    def classify(image: Image) -> tuple[str, list[dict], str, list[str]]:
        name, read = image
        try:
            content = read()
        except Exception as error:  # the file system's, or one of botocore's many
            return name, [], f"It cannot be read: {error}", ["", ""]
        status, answer = 0, b""
        for attempt in range(TRIES):
            status, answer = ask(deployment, content, IMAGE_TYPE, f"?top_k={count}", signing)
            if status != 429:
                break
            time.sleep(pause * 2**attempt)
        return name, *_read(status, answer), _trust(answer)

    with ThreadPoolExecutor(AT_ONCE) as pool, console.progress() as bar:
        try:
            for name, labels, error, trust in bar.track(
                pool.map(classify, images), total=len(images), description="asking"
            ):
                values = [value for each in labels for value in (each["label"], f"{each['probability']:.4f}")]
                lines.writerow([name, *(values[:2] or ["", ""]), error, *trust, *values[2:]])
                out.flush()
                failures += bool(error)
                unknown += trust[0] == "no"
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if unknown:
        console.warn(f"{unknown} of {len(images)} images are not one of the classes (known = no).")
    return failures


def is_unknown(answer: bytes) -> bool:
    """Whether an answer says that the picture is not one of the classes."""
    return _trust(answer)[0] == "no"


def _trust(answer: bytes) -> list[str]:
    """`known` and `distance` of an answer, empty if it has none."""
    try:
        value = json.loads(answer)
        return ["yes" if value["known"] else "no", f"{value['distance']:.3f}"]
    except (ValueError, KeyError, TypeError):
        return ["", ""]


def _read(status: int, answer: bytes) -> tuple[list[dict], str]:
    """(predictions, error) of an answer."""
    try:
        value = json.loads(answer)
        if status == 200:
            return value["predictions"], ""
        return [], value["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return [], f"HTTP status {status}"


def _is_image(name: str) -> bool:
    from classifier.dataset.folders import SUFFIXES

    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _files(wanted: str, paths: Iterable[Path]) -> list[Image]:
    return _some(wanted, ((str(path), path.read_bytes) for path in paths if path.is_file()))


def _objects(deployment: Deployment, wanted: str) -> list[Image]:
    """The object of that key, or the images below that prefix, read with the caller's credentials."""
    from botocore.exceptions import BotoCoreError, ClientError

    s3 = deployment.client("s3", max_pool_connections=AT_ONCE)
    bucket, key = urlsplit(wanted).netloc, wanted.removeprefix("s3://").partition("/")[2]

    def reader(name: str) -> Callable[[], bytes]:
        return lambda: s3.get_object(Bucket=bucket, Key=name)["Body"].read()

    def names() -> Iterator[str]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
            for item in page.get("Contents", []):
                below = not key or key.endswith("/") or item["Key"].startswith(f"{key}/")
                if item["Key"] == key or (below and _is_image(item["Key"].rpartition("/")[2])):
                    yield item["Key"]

    try:
        return _some(wanted, [(f"s3://{bucket}/{name}", reader(name)) for name in names()])
    except (BotoCoreError, ClientError) as error:
        raise Failure(f"{wanted} cannot be read: {error}.") from None


def _some(wanted: str, images: Iterable[Image]) -> list[Image]:
    found = list(images)
    if not found:
        raise Failure(f"{wanted} has no image.")
    return found
