"""The contents of the artifacts bucket: what a user would lose with it, and its removal."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from deploy import console
from deploy.console import Failure

PAGE = 1000  # versions that S3 lists and deletes in one request
MOST_COUNTED = 100_000  # objects; listing more takes minutes


def note(s3: Any, bucket: str, key: str) -> Any:
    """A JSON document of ours in the bucket; None if there is no such document or bucket."""
    try:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return None


def contents(s3: Any, bucket: str) -> str:
    """The bucket's objects in words: "2,405 objects: 2 datasets, 3 models". "" if there is no such bucket."""
    counted, folders = Counter(), {"datasets": set(), "models": set()}
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for found in page.get("Contents", []):
                kind, _, rest = found["Key"].partition("/")
                counted["objects"] += 1
                if kind in folders and "/" in rest:
                    folders[kind].add(rest.partition("/")[0])
            if counted["objects"] >= MOST_COUNTED:
                break
    except s3.exceptions.NoSuchBucket:
        return ""
    more = "more than " if counted["objects"] >= MOST_COUNTED else ""
    parts = [_number(len(names), kind) for kind, names in folders.items() if names]
    return f"{more}{_number(counted['objects'], 'objects')}" + (f": {', '.join(parts)}" if parts else "")


def _number(count: int, plural: str) -> str:
    return f"{count:,} {plural if count != 1 else plural.removesuffix('s')}"


def empty(s3: Any, bucket: str) -> None:
    """Delete every version of every object. Raises Failure with S3's reason if an object cannot be deleted."""
    with console.progress() as bar:
        task = bar.add_task(f"emptying {bucket}", total=None)
        # Always the first page, because the next one begins behind an object that is deleted by then.
        while versions := _first_versions(s3, bucket):
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
            if errors := answer.get("Errors"):
                first = errors[0]
                raise Failure(f"s3://{bucket}/{first['Key']} cannot be deleted: {first['Message']}")
            bar.advance(task, len(versions))


def _first_versions(s3: Any, bucket: str) -> list[dict[str, str]]:
    """The first versions and delete markers, at most PAGE. [] for a bucket that is empty or does not exist."""
    try:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=PAGE)
    except s3.exceptions.NoSuchBucket:
        return []
    listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]
