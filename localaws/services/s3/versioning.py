"""Suspended versioning: all versions stay, and what comes now has the version `null`.

Source: "Working with objects in a versioning-suspended bucket" in the S3 user guide. moto takes a suspended bucket for
one that never had versions, and drops them.
"""

from itertools import pairwise
from typing import Any

from moto.s3 import models
from moto.s3.exceptions import InvalidPartOrder, NoSuchUpload, VersioningNotEnabledForReplication
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend

NULL, SUSPENDED = "null", "Suspended"

_put_object = S3Backend.put_object
_set_delete_marker = S3Backend._set_delete_marker
_put_bucket_replication = S3Backend.put_bucket_replication
_upload_part, _upload_part_copy = S3Backend.upload_part, S3Backend.upload_part_copy
_complete = S3Backend.complete_multipart_upload


def _has_versions(bucket: FakeBucket) -> bool:
    return bucket.versioning_status is not None


def _put(self: S3Backend, bucket_name: str, key_name: str, *arguments: Any, **settings: Any) -> FakeKey:
    key = _put_object(self, bucket_name, key_name, *arguments, **settings)
    if self.get_bucket(bucket_name).versioning_status == SUSPENDED:
        key._version_id, key._is_versioned = NULL, False
        _replace_null(self, bucket_name, key)
    return key


def _mark(self: S3Backend, bucket_name: str, key_name: str) -> FakeDeleteMarker:
    marker = _set_delete_marker(self, bucket_name, key_name)
    if self.get_bucket(bucket_name).versioning_status == SUSPENDED:
        marker._version_id = NULL
        _replace_null(self, bucket_name, marker)
    return marker


def _replace_null(self: S3Backend, bucket_name: str, latest: Any) -> None:
    """Have the latest version be the only one that is called null."""
    keys = self.get_bucket(bucket_name).keys
    others = [each for each in keys.getlist(latest.name, []) if each is not latest and each.version_id != NULL]
    keys.setlist(latest.name, [*others, latest])


def _replicate(self: S3Backend, bucket_name: str, *arguments: Any) -> None:
    if self.get_bucket(bucket_name).versioning_status != "Enabled":
        raise VersioningNotEnabledForReplication(bucket_name=bucket_name)
    _put_bucket_replication(self, bucket_name, *arguments)


def _part(self: S3Backend, bucket_name: str, multipart_id: str, *arguments: Any) -> FakeKey:
    return _of_upload(_upload_part, self, bucket_name, multipart_id, *arguments)


def _part_copy(self: S3Backend, dest_bucket_name: str, multipart_id: str, *arguments: Any, **settings: Any) -> FakeKey:
    return _of_upload(_upload_part_copy, self, dest_bucket_name, multipart_id, *arguments, **settings)


def _completed(self: S3Backend, bucket_name: str, multipart_id: str, body: Any, *arguments: Any) -> FakeKey:
    parts = list(body)
    numbers = [number for number, _ in parts]
    if any(following <= number for number, following in pairwise(numbers)):
        raise InvalidPartOrder
    return _of_upload(_complete, self, bucket_name, multipart_id, parts, *arguments)


def _of_upload(
    store: Any, self: S3Backend, bucket_name: str, upload_id: str, *arguments: Any, **settings: Any
) -> FakeKey:
    if upload_id not in self.get_bucket(bucket_name).multiparts:
        raise NoSuchUpload(upload_id=upload_id)
    return store(self, bucket_name, upload_id, *arguments, **settings)


def install() -> None:
    models.FakeBucket.is_versioned = property(_has_versions)
    S3Backend.put_object, S3Backend._set_delete_marker = _put, _mark
    S3Backend.put_bucket_replication = _replicate
    S3Backend.upload_part, S3Backend.upload_part_copy = _part, _part_copy
    S3Backend.complete_multipart_upload = _completed
