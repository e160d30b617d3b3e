"""Check labelled photographs and upload them, as `datasets/<name>/{train,valid,test}/<class>/<image>`.

`deploy.photographs` reads the usual layouts and divides photographs that are not divided. Without a source, the
built-in sample is used: handwritten digits from scikit-learn. The upload starts after all photographs have passed the
check. A photograph in two splits stops it, unless the environment variable ALLOW_DUPLICATES is set. Files that cannot
be decoded stop it too, unless SKIP_BROKEN is set.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.photographs import divide, sources
from deploy.photographs.examine import Examined, examine
from deploy.photographs.found import Collection, Photo, check_labels
from deploy.photographs.staging import stage

if TYPE_CHECKING:
    from classifier.dataset.folders import Dataset

SAMPLE = "digits"
ALLOW_DUPLICATES = "ALLOW_DUPLICATES"
SKIP_BROKEN = "SKIP_BROKEN"
COMPARED = 50  # photographs of two datasets of one name


@dataclass(frozen=True)
class Uploaded:
    """A dataset in the artifacts bucket; `uri` has no slash at its end; train/, valid/ and test/ are below it."""

    name: str
    uri: str


def resolve(deployment: Deployment, wanted: str | None) -> Uploaded:
    """The dataset to train on: a name in the bucket, a source of photographs (uploaded now), or by default the latest
    upload.

    If the bucket has no dataset, the sample is uploaded. Raises Failure if the name is neither.
    """
    bucket = deployment.artifacts_bucket
    known = uploaded(deployment)
    if wanted and sources.exists(wanted):
        return put(deployment, wanted)
    if wanted and wanted not in known:
        there = ", ".join(known) or "none yet"
        raise Failure(f"{wanted} is neither a folder here nor a dataset in the bucket. The bucket has: {there}.")
    name = wanted or next(iter(known), None)
    if name:
        console.done(f"dataset {name}")
        return Uploaded(name, f"s3://{bucket}/datasets/{name}")
    console.step("The bucket has no dataset yet; using the built-in sample of handwritten digits")
    return put_sample(deployment)


def uploaded(deployment: Deployment) -> list[str]:
    """Names of the datasets in the bucket, the latest upload first."""
    s3 = deployment.client("s3")
    bucket = deployment.artifacts_bucket
    folders = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="datasets/", Delimiter="/")
    found = {}
    for folder in (entry["Prefix"] for page in folders for entry in page.get("CommonPrefixes", [])):
        try:
            found[folder.split("/")[1]] = s3.head_object(Bucket=bucket, Key=f"{folder}dataset.json")["LastModified"]
        except s3.exceptions.ClientError:
            continue  # an upload that did not finish is not a dataset
    return sorted(found, key=lambda name: found[name], reverse=True)


def put_sample(deployment: Deployment) -> Uploaded:
    from deploy.sample_data import write_sample

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / SAMPLE
        write_sample(root)
        return put(deployment, root, shown="the built-in sample, handwritten digits")


def put(
    deployment: Deployment,
    source: str | Path,
    shown: str | None = None,
    *,
    name: str | None = None,
    shares: str = divide.SHARES,
    seed: int = divide.SEED,
) -> Uploaded:
    """Check the photographs of a source, then synchronize `datasets/<name>/` in the bucket with them.

    Without `name`, the dataset is called after the source, and does not replace one from another source. Photographs
    that are not divided into splits are divided in `shares`, in an order that `seed` and their bytes decide. Raises
    Failure, which names the wrong file or class, before anything is uploaded.
    """
    source = str(source)
    chosen = dataset_name(name if name else sources.name_of(source))
    if not chosen:
        raise Failure(f"The name of {name or source} has neither letters nor digits. Give the dataset one: NAME=")
    parts = divide.shares_of(shares)
    console.step(f"Checking {shown or source}")
    with sources.opened(source, deployment.client("s3", max_pool_connections=16)) as (found, folder):
        dataset = check(found, folder, parts, seed)
        for split in dataset.splits.values():
            console.out.print(f"  {split.name:<6} {len(split.samples):>7,} images in {len(dataset.classes)} classes")
        files = {
            f"datasets/{chosen}/{split.name}/{path.parent.name}/{path.name}": path
            for split in dataset.splits.values()
            for path, _ in split.samples
        }
        if not name:
            _check_identity(deployment, chosen, source, files)
        sent, kept, removed = mirror(deployment, f"datasets/{chosen}/", files)
    document = {
        "name": chosen,
        "classes": list(dataset.classes),
        "images": {split.name: len(split.samples) for split in dataset.splits.values()},
        "source": identity(source),
    }
    s3 = deployment.client("s3")
    s3.put_object(
        Bucket=deployment.artifacts_bucket,
        Key=f"datasets/{chosen}/dataset.json",
        Body=json.dumps(document, indent=2).encode(),
        ContentType="application/json",
    )
    uri = f"s3://{deployment.artifacts_bucket}/datasets/{chosen}"
    console.done(f"{uri} ({sent:,} files sent, {kept:,} already there, {removed:,} removed)")
    return Uploaded(chosen, uri)


def identity(source: str) -> str:
    """A hash of where the photographs come from, which does not show the place."""
    place = source.rstrip("/") if source.startswith("s3://") else str(Path(source).resolve())
    return hashlib.sha256(os.fsencode(place)).hexdigest()


def _check_identity(deployment: Deployment, name: str, source: str, files: dict[str, Path]) -> None:
    """Raise Failure if the bucket has a dataset of this name from another place, with no photograph in common."""
    s3, bucket = deployment.client("s3"), deployment.artifacts_bucket
    try:
        body = s3.get_object(Bucket=bucket, Key=f"datasets/{name}/dataset.json")["Body"].read()
        before = json.loads(body)
    except (s3.exceptions.ClientError, ValueError):
        return
    if before.get("source") in (None, identity(source)):
        return
    there = listed(s3, bucket, f"datasets/{name}/")
    common = [key for key in files if key in there and there[key]["Size"] == files[key].stat().st_size][:COMPARED]
    if any(holds(s3, bucket, there[key], files[key].read_bytes()) for key in common):
        return
    images = sum(before.get("images", {}).values())
    raise Failure(
        f"The bucket has a dataset {name} already ({images:,} other photographs, from another place). Nothing was "
        f"uploaded. Give this one a name of its own: NAME={name}-2. To replace the other one: NAME={name}."
    )


def check(found: Collection, folder: Path, shares: dict[str, int], seed: int) -> Dataset:
    """Decode the photographs, compare them with one another, warn about problems, and write links to them in `folder`.

    Raises Failure, which names the wrong file or class.
    """
    from classifier.dataset import checks
    from classifier.dataset.folders import DatasetError, inspect_dataset

    for line in found.report():
        console.warn(line)
    check_labels(found.photos)
    examined = examine(found.photos, skip_broken=bool(os.environ.get(SKIP_BROKEN)))
    photos = _divided(examined, shares, seed)
    rows = stage(photos, folder)
    try:
        dataset = inspect_dataset(folder)
    except DatasetError as error:
        raise Failure(f"{str(error).replace(f'{folder}/', '')}\nNothing was uploaded.") from error
    order = [rows[path] for split in dataset.splits.values() for path, _ in split.samples]
    hashes = examined.hashes[order]
    findings = [
        *checks.find(dataset, hashes),
        *checks.find_lookalikes(dataset, hashes, examined.thumbnails[order]),
    ]
    stopping = [finding for finding in findings if finding.stops and not os.environ.get(ALLOW_DUPLICATES)]
    for finding in findings:
        if finding not in stopping:
            console.warn(str(finding))
    if stopping:
        raise Failure(
            "\n".join(map(str, stopping)) + "\nNothing was uploaded. A model must be tested on photographs that it was "
            f"not trained on: keep each in one split only. To upload them unchanged, add {ALLOW_DUPLICATES}=1."
        )
    return dataset


def _divided(examined: Examined, shares: dict[str, int], seed: int) -> list[Photo]:
    """The photographs, each in a split. If only some splits are there, the others are taken from train."""
    photos = examined.photos
    there = {photo.split for photo in photos if photo.split}
    free = [row for row, photo in enumerate(photos) if photo.split in (None, "train")]
    missing = [name for name in shares if name not in there]
    if (not missing and all(photo.split for photo in photos)) or not free:
        return photos
    parts = shares if not there else {name: shares[name] for name in shares if name == "train" or name in missing}
    divided = divide.divide(
        [photos[row] for row in free], examined.hashes[free], examined.thumbnails[free], parts, seed
    )
    what = "The photographs are" if not there else f"There is no {' and no '.join(missing)}, so train is"
    console.step(f"{what} divided {'/'.join(map(str, parts.values()))} into {', '.join(parts)} (seed {seed})")
    for row, photo in zip(free, divided, strict=True):
        photos[row] = photo
    return photos


def dataset_name(name: str | Path) -> str:
    """A folder's name, or a given one, in lower case: letters and digits of any script, joined by hyphens. It may be
    empty."""
    text = name.resolve().name if isinstance(name, Path) else name
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", text).lower()).strip("-")


def mirror(deployment: Deployment, prefix: str, files: dict[str, Path]) -> tuple[int, int, int]:
    """Synchronize the objects under a prefix with `files` (key to path). Returns counts (sent, kept, removed)."""
    bucket = deployment.artifacts_bucket
    s3 = deployment.client("s3", max_pool_connections=16)
    there = listed(s3, bucket, prefix)

    def send(item: tuple[str, Path]) -> bool:
        key, path = item
        content = path.read_bytes()
        if key in there and holds(s3, bucket, there[key], content):
            return False
        s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256")
        return True

    with ThreadPoolExecutor(16) as pool, console.progress() as bar:
        try:
            sent = sum(bar.track(pool.map(send, files.items()), total=len(files), description="uploading"))
        except BaseException:  # Ctrl-C, too: what is sent stays, and the next upload goes on from there
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    stale = [key for key in there if key not in files and not key.endswith("/dataset.json")]
    for start in range(0, len(stale), 1000):
        batch = [{"Key": key} for key in stale[start : start + 1000]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
    return sent, len(files) - sent, len(stale)


def listed(s3, bucket: str, prefix: str) -> dict[str, dict]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"]: item for page in pages for item in page.get("Contents", [])}


def holds(s3, bucket: str, listed: dict, content: bytes) -> bool:
    """Whether a listed object has this content.

    If an object was uploaded in one part, its ETag is its MD5, and the listing contains it at no extra cost. This
    includes objects of older versions of this program, which did not store a SHA-256. Under a KMS key the ETag is not
    the MD5, so the object's SHA-256 is compared. It is S3's own checksum and not user metadata: S3 checks it against
    the bytes that arrive, and computes it again for a copy. An object uploaded in several parts has only a checksum of
    checksums, which never equals that of the whole, so it is sent again once.
    """
    if listed["Size"] != len(content):
        return False
    if listed["ETag"].strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest():
        return True
    if "SHA256" not in listed.get("ChecksumAlgorithm", []):
        return False
    described = s3.head_object(Bucket=bucket, Key=listed["Key"], ChecksumMode="ENABLED")
    return described.get("ChecksumSHA256") == base64.b64encode(hashlib.sha256(content).digest()).decode()
