"""Check a folder of labelled photographs and upload it.

The folder is an ImageFolder with its splits: `{train,valid,test}/<class>/*.jpg`. Without one, the built-in sample
is made: real handwritten digits from scikit-learn. Nothing is uploaded before the whole folder has passed the
check. A photograph that is in two splits stops it, unless ALLOW_DUPLICATES is set in the environment.
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
    """A dataset in the artifacts bucket; `uri` ends without a slash and holds train/, valid/ and test/."""

    name: str
    uri: str


def resolve(deployment: Deployment, wanted: str | None) -> Uploaded:
    """The dataset to train on: a name in the bucket, a folder (uploaded now), or by default the last uploaded.

    Where nothing was ever uploaded, the sample is. Raises Failure for a name that is neither.
    """
    bucket = deployment.artifacts_bucket
    known = uploaded(deployment)
    if wanted and Path(wanted).is_dir():
        return put(deployment, Path(wanted))
    if wanted and wanted not in known:
        there = ", ".join(known) or "none yet"
        raise Failure(f"{wanted} is neither a folder here nor a dataset in the bucket (there: {there}).")
    name = wanted or next(iter(known), None)
    if name:
        console.done(f"dataset {name}")
        return Uploaded(name, f"s3://{bucket}/datasets/{name}")
    console.step("No dataset was uploaded yet: using the built-in sample, handwritten digits")
    return put_sample(deployment)


def uploaded(deployment: Deployment) -> list[str]:
    """Names of the datasets in the bucket, the last uploaded first."""
    s3 = deployment.client("s3")
    bucket = deployment.artifacts_bucket
    folders = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="datasets/", Delimiter="/")
    found = {}
    for folder in (entry["Prefix"] for page in folders for entry in page.get("CommonPrefixes", [])):
        try:
            found[folder.split("/")[1]] = s3.head_object(Bucket=bucket, Key=f"{folder}dataset.json")["LastModified"]
        except s3.exceptions.ClientError:
            continue  # an upload that never ended is no dataset
    return sorted(found, key=lambda name: found[name], reverse=True)


def put_sample(deployment: Deployment) -> Uploaded:
    from deploy.sample_data import write_sample

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / SAMPLE
        write_sample(root)
        return put(deployment, root, shown="the built-in sample, handwritten digits")


def put(deployment: Deployment, root: Path, shown: str | None = None) -> Uploaded:
    """Check the folder, then make `datasets/<name>/` in the bucket equal to it.

    Raises Failure that names the file or class at fault, before anything was uploaded.
    """
    name = dataset_name(root)
    if not name:
        raise Failure(f"The folder {root} needs a name with letters or digits: it becomes the dataset's name.")
    console.step(f"Checking {shown or root}")
    dataset = check(root)
    for split in dataset.splits.values():
        console.out.print(f"  {split.name:<6} {len(split.samples):>7,} images in {len(dataset.classes)} classes")
    if dataset.ignored:
        some = ", ".join(str(path.relative_to(root)) for path in dataset.ignored[:3])
        console.warn(f"{len(dataset.ignored):,} files are no images and are passed over: {some}")

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
    """The dataset in `root`, its images decoded and held against one another; warns of what is odd about it.

    Raises Failure that names the file or class at fault.
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
            "\n".join(map(str, stopping))
            + "\nNothing was uploaded. A model is examined on photographs that it has not "
            f"learnt from: keep each in one split only. Or, to take them as they are, add {ALLOW_DUPLICATES}=1."
        )
    return dataset


def dataset_name(root: Path) -> str:
    """The folder's name in letters and digits of any script, lower case, joined by hyphens; empty if it has none."""
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", root.resolve().name).lower()).strip("-")


def mirror(deployment: Deployment, prefix: str, files: dict[str, Path]) -> tuple[int, int, int]:
    """Make the objects under a prefix equal to `files` (key to path); returns counts (sent, kept, removed)."""
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

    The ETag of an object that was put in one piece is its MD5, which the listing has at no further cost; so it is with
    every object of a version of this program that kept no SHA-256. Under a KMS key the ETag is something else. There
    the object's SHA-256 decides: S3's own checksum and not user metadata, because S3 compares it with the bytes when
    they arrive, and makes it again for a copy. An object that somebody uploaded in parts has only a checksum of its
    parts' checksums, which never equals one of the whole: such an object is sent again, once.
    """
    if listed["Size"] != len(content):
        return False
    if listed["ETag"].strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest():
        return True
    if "SHA256" not in listed.get("ChecksumAlgorithm", []):
        return False
    described = s3.head_object(Bucket=bucket, Key=listed["Key"], ChecksumMode="ENABLED")
    return described.get("ChecksumSHA256") == base64.b64encode(hashlib.sha256(content).digest()).decode()
