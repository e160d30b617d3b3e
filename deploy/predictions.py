"""Classify many images with the function URL: a folder, a pattern, or a place in S3, with a table or a CSV as the
answer."""

from __future__ import annotations

import csv
import glob
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from classifier.contract import MAX_IMAGE_BYTES
from rich.markup import escape
from rich.table import Table

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.function import ask, signer

AT_ONCE = 8  # requests; the function answers 429 if the endpoint is busy
TRIES = 6
PAUSE = 1.0  # seconds before the second try, then twice as long each time; Retry-After of the function is 1
SHOWN = 20  # images that failed, by name
LIMITED = b'"too_many_requests"'
IMAGE_TYPE = "application/octet-stream"  # the bytes decide

TOO_LARGE = (
    f"The image is larger than a request may be ({MAX_IMAGE_BYTES // 2**20} MiB). Set predictor.uploads = true, or "
    "make it smaller."
)

Image = tuple[str, Callable[[], bytes]]  # the name for the CSV, and its bytes


def find(deployment: Deployment, wanted: str, *, one_too: bool = False) -> list[Image] | None:
    """The images of a folder, a pattern or an s3:// address. None if it names one file or one web address.

    With `one_too`, one file is a list of one.

    Raises Failure if there is none.
    """
    if wanted.startswith(("http://", "https://")):
        return None
    if wanted.startswith("s3://"):
        return _objects(deployment, wanted)
    if Path(wanted).is_file():
        return _files(wanted, [Path(wanted)]) if one_too else None
    if Path(wanted).is_dir():
        return _files(wanted, images_below(Path(wanted)))
    if any(letter in wanted for letter in "*?["):
        return _files(wanted, (Path(name) for name in sorted(glob.glob(wanted, recursive=True))))  # noqa: PTH207 Path.glob takes no absolute pattern
    return None


@dataclass(frozen=True)
class Answered:
    """The answer to one image: its labels, the most probable first, or an error."""

    name: str
    labels: list[dict]
    error: str = ""
    trust: tuple[str, str] = ("", "")  # known and distance, see trust_of


def answer(
    deployment: Deployment, images: list[Image], top_k: int | None, out: Path | None = None, pause: float = PAUSE
) -> int:
    """Classify the images, show the answers in the order of the images, and return the number of failures.

    Raises Failure before the first request if `out` cannot be written.
    """
    count = top_k or 1
    return show(classify(deployment, images, count, pause), count, out)


def show(answers: Iterable[Answered], count: int, out: Path | None) -> int:
    """Show the answers, `count` labels each, and return the number of failures.

    The answers are a CSV in the file `out`, or a table if standard output is a terminal, or a CSV there. The last lines
    count the answers and name the images that failed. Raises Failure if `out` cannot be written.
    """
    total, unknown, failed = 0, 0, list[Answered]()

    def watched() -> Iterator[Answered]:
        nonlocal total, unknown
        for answered in answers:
            each = replace(answered, labels=answered.labels[:count])
            total += 1
            unknown += each.trust[0] == "no"
            failed.extend([each] if each.error else [])
            yield each

    if out is None and sys.stdout.isatty():
        console.show(table(list(watched()), count))
    elif out is None:
        write_csv(watched(), count, sys.stdout)
    else:
        with opened(out) as file:
            write_csv(watched(), count, file)
    where = f": {out}" if out else ""
    tell = console.warn if failed else console.note
    tell(f"{total - len(failed):,} of {total:,} images have an answer{where}")
    if unknown:
        console.warn(f"{unknown} of {total} images are not one of the classes (known = no).")
    for each in failed[:SHOWN]:
        console.fail(f"{each.name}: {each.error}")
    if len(failed) > SHOWN:
        console.fail(f"and {len(failed) - SHOWN:,} more")
    return len(failed)


def opened(out: Path) -> IO[str]:
    """The file, empty. Raises Failure if it cannot be written."""
    try:
        return out.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise Failure(f"{out} cannot be written: {error.strerror}. Name another file: OUT=") from None


def classify(deployment: Deployment, images: list[Image], count: int, pause: float) -> Iterator[Answered]:
    """The answers in the order of the images, from AT_ONCE requests at a time, with a progress bar."""
    signing = signer(deployment)

    def one(image: Image) -> Answered:
        name, read = image
        try:
            content = read()
        except Exception as error:  # the file system's, or one of botocore's many
            return Answered(name, [], f"It cannot be read: {error}")
        tries = 0
        while True:
            status, body = ask(deployment, content, IMAGE_TYPE, f"?top_k={count}", signing)
            limited = LIMITED in body  # by predictor.requests_a_minute, so the next minute has room
            if status != 429 or tries == TRIES - 1:
                return Answered(name, *read_answer(status, body), trust_of(body))
            time.sleep(pause * (1 if limited else 2**tries))
            tries += not limited

    with ThreadPoolExecutor(AT_ONCE) as pool, console.progress() as bar:
        try:
            yield from bar.track(pool.map(one, images), total=len(images), description="asking")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def table(answers: list[Answered], count: int) -> Table:
    """The answers for a terminal. Names begin after the folder that all of them have in common."""
    common = os.path.commonpath([os.path.dirname(each.name) for each in answers])  # noqa: PTH120 also of s3://
    shown = Table("image", *["label", "probability"] * count, box=None, pad_edge=False)
    unknown = any(each.trust[0] == "no" for each in answers)
    if unknown:
        shown.add_column("known")
    for each in answers:
        name = each.name.removeprefix(f"{common}/") if common else each.name
        values = [text for one in each.labels for text in (one["label"], f"{one['probability']:.4f}")]
        cells = [name, *(values or [f"✗ {each.error}"])]
        if unknown:
            cells += [""] * (1 + 2 * count - len(cells)) + [each.trust[0]]
        shown.add_row(*map(escape, cells))
    return shown


def write_csv(answers: Iterable[Answered], count: int, out: IO[str]) -> None:
    """A line for each answer: image, label, probability, error, known, distance, and the next labels of `count`."""
    lines = csv.writer(out, lineterminator="\n")
    more = [f"{column}_{number}" for number in range(2, count + 1) for column in ("label", "probability")]
    lines.writerow(["image", "label", "probability", "error", "known", "distance", *more])
    for each in answers:
        values = [value for one in each.labels for value in (one["label"], f"{one['probability']:.4f}")]
        lines.writerow([each.name, *(values[:2] or ["", ""]), each.error, *each.trust, *values[2:]])
        out.flush()


def is_unknown(answer: bytes) -> bool:
    """Whether an answer says that the picture is not one of the classes."""
    return trust_of(answer)[0] == "no"


def trust_of(answer: bytes) -> tuple[str, str]:
    """`known` and `distance` of an answer, empty if it has none. `known` is "no" if the image is not one of the
    classes."""
    try:
        value = json.loads(answer)
        return "yes" if value["known"] else "no", f"{value['distance']:.3f}"
    except (ValueError, KeyError, TypeError):
        return "", ""


def read_answer(status: int, answer: bytes) -> tuple[list[dict], str]:
    """(predictions, error) of an answer."""
    try:
        value = json.loads(answer)
        if status == 200:
            return value["predictions"], ""
        return [], value["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return [], TOO_LARGE if status == 413 else f"HTTP status {status}"


def is_image(name: str) -> bool:
    from classifier.dataset.folders import SUFFIXES

    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def images_below(folder: Path) -> list[Path]:
    """The files below a folder whose names are those of images. It counts the others."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    tell_left_out(path.name for path in paths if not is_image(path.name))
    return [path for path in paths if is_image(path.name)]


def tell_left_out(names: Iterable[str]) -> None:
    """Count the files that are not sent, by the end of their names."""
    kinds = Counter(Path(name).suffix.lower() or name for name in names)
    if kinds:
        listed = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common(10))
        console.warn(f"Not sent, because their names are not those of images: {listed}")


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
                if item["Key"] == key or (below and is_image(item["Key"].rpartition("/")[2])):
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
