"""The objects that a transform job reads: those of a prefix, or those of a manifest."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlparse

from botocore.exceptions import ClientError

from localaws.services.iam.service_roles import CannotAssume, ServiceRole

# aws/amazon-sagemaker-examples #2414 has these words.
NOT_FOUND = (
    'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in the '
    'selected region ({region}), that objects exist under that S3 prefix, and that the role "{role}" has '
    '"s3:ListBucket" permissions on bucket "{bucket}".'
)


class NoInput(Exception):
    """The role finds no objects; the message is AWS's."""


def objects_of(source: dict[str, Any], role: ServiceRole) -> list[tuple[str, str, str]]:
    """(bucket, key, name below the prefix) of each object of an S3DataSource. Raises NoInput."""
    uri = source["S3Uri"]
    parts = urlparse(uri)
    bucket, prefix = parts.netloc, parts.path.lstrip("/")
    read = _of_manifest if source["S3DataType"] == "ManifestFile" else _below
    try:
        found = list(read(role.client("s3"), bucket, prefix))
    except (ClientError, CannotAssume, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = []
    if not found:
        raise NoInput(NOT_FOUND.format(uri=uri, region=role.region, role=role.arn, bucket=bucket))
    return found


def _below(s3: Any, bucket: str, prefix: str) -> Iterator[tuple[str, str, str]]:
    folder = prefix.rpartition("/")[0] + "/" if "/" in prefix else ""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            if not item["Key"].endswith("/"):  # an empty object that a console makes to show a folder
                yield bucket, item["Key"], item["Key"].removeprefix(folder)


def _of_manifest(s3: Any, bucket: str, key: str) -> Iterator[tuple[str, str, str]]:
    """The entries after the prefix. Raises ValueError, KeyError, TypeError or AttributeError for another form."""
    head, *names = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    prefix = urlparse(head["prefix"])
    for name in names:
        yield prefix.netloc, prefix.path.lstrip("/") + name, name
