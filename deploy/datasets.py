"""Check a folder of labelled photographs and upload it.

The folder is an ImageFolder with its splits: `{train,valid,test}/<class>/*.jpg`. Without a folder, the built-in sample
is used: handwritten digits from scikit-learn. The upload starts after the whole folder has passed the check. A
photograph in two splits stops it, unless the environment variable ALLOW_DUPLICATES is set.
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

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment

SAMPLE = "digits"
ALLOW_DUPLICATES = "ALLOW_DUPLICATES"


@dataclass(frozen=True)
class Uploaded:
    """A dataset in the artifacts bucket; `uri` has no slash at its end; train/, valid/ and test/ are below it."""

    name: str
    uri: str


def resolve(deployment: Deployment, wanted: str | None) -> Uploaded:
    """The dataset to train on: a name in the bucket, a folder (uploaded now), or by default the latest upload.

    If the bucket has no dataset, the sample is uploaded. Raises Failure if the name is neither.
    """
    bucket = deployment.artifacts_bucket
    known = uploaded(deployment)
    if wanted and Path(wanted).is_dir():
        return put(deployment, Path(wanted))
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


def put(deployment: Deployment, root: Path, shown: str | None = None) -> Uploaded:
    """Check the folder, then synchronize `datasets/<name>/` in the bucket with it.

    Raises Failure, which names the wrong file or class, before anything is uploaded.
    """
    name = dataset_name(root)
    if not name:
        raise Failure(
            f"The folder name {root} has neither letters nor digits. Rename it: it becomes the dataset's name."
        )
    console.step(f"Checking {shown or root}")
    dataset = check(root)
    for split in dataset.splits.values():
        console.out.print(f"  {split.name:<6} {len(split.samples):>7,} images in {len(dataset.classes)} classes")
    if dataset.ignored:
        some = ", ".join(str(path.relative_to(root)) for path in dataset.ignored[:3])
        console.warn(f"{len(dataset.ignored):,} files are not images and are skipped: {some}")

    files = {
        f"datasets/{name}/{split.name}/{path.parent.name}/{path.name}": path
        for split in dataset.splits.values()
        for path, _ in split.samples
    }
    sent, kept, removed = mirror(deployment, f"datasets/{name}/", files)
    document = {
        "name": name,
        "classes": list(dataset.classes),
        "images": {split.name: len(split.samples) for split in dataset.splits.values()},
    }
    s3 = deployment.client("s3")
    s3.put_object(
        Bucket=deployment.artifacts_bucket,
        Key=f"datasets/{name}/dataset.json",
        Body=json.dumps(document, indent=2).encode(),
        ContentType="application/json",
    )
    uri = f"s3://{deployment.artifacts_bucket}/datasets/{name}"
    console.done(f"{uri} ({sent:,} files sent, {kept:,} already there, {removed:,} removed)")
    return Uploaded(name, uri)


def check(root: Path):
    """Read the dataset in `root`: decode its images, compare them with one another, and warn about problems.

    Raises Failure, which names the wrong file or class.
    """
    from classifier.dataset import checks
    from classifier.dataset.folders import DatasetError, inspect_dataset

    try:
        dataset = inspect_dataset(root)
        hashes = dataset.hashes()
        with console.progress() as bar:
            decoded = bar.track(checks.thumbnails(dataset), total=len(hashes), description="reading")
            lookalikes = checks.find_lookalikes(dataset, hashes, decoded)
    except DatasetError as error:
        raise Failure(f"{error}\nNothing was uploaded.") from error
    except OSError as error:
        raise Failure(f"{error.filename} cannot be read: {error.strerror}.\nNothing was uploaded.") from error
    findings = [*checks.find(dataset, hashes), *lookalikes]
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


def dataset_name(root: Path) -> str:
    """The folder's name in lower case: letters and digits of any script, joined by hyphens. It may be empty."""
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", root.resolve().name).lower()).strip("-")


def mirror(deployment: Deployment, prefix: str, files: dict[str, Path]) -> tuple[int, int, int]:
    """Synchronize the objects under a prefix with `files` (key to path). Returns counts (sent, kept, removed)."""
    bucket = deployment.artifacts_bucket
    s3 = deployment.client("s3", max_pool_connections=16)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    there = {item["Key"]: item for page in pages for item in page.get("Contents", [])}

    def send(item: tuple[str, Path]) -> bool:
        key, path = item
        content = path.read_bytes()
        if key in there and holds(s3, bucket, there[key], content):
            return False
        s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256")
        return True

    with ThreadPoolExecutor(16) as pool, console.progress() as bar:
        sent = sum(bar.track(pool.map(send, files.items()), total=len(files), description="uploading"))
    stale = [key for key in there if key not in files and not key.endswith("/dataset.json")]
    for start in range(0, len(stale), 1000):
        batch = [{"Key": key} for key in stale[start : start + 1000]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
    return sent, len(files) - sent, len(stale)


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
