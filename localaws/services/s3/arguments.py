"""What S3 refuses of a request, and moto takes: names, versions, parts, limits and tokens of listings.

Sources: "Bucket naming rules" and "Naming Amazon S3 objects" in the S3 user guide, "Error responses" and the operations
in the S3 API reference, and recorded answers of AWS in LocalStack's tests.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from moto.core.utils import str_to_rfc_1123_datetime
from moto.s3 import responses
from moto.s3.exceptions import (
    InvalidArgumentError,
    InvalidBucketName,
    InvalidContinuationToken,
    InvalidMaxPartNumberArgument,
    InvalidVersion,
    MethodNotAllowed,
    NotAnIntegerException,
    PreconditionFailed,
    S3ClientError,
)
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend

from localaws import errors

MAX_KEY_BYTES, MAX_PARTS, MAX_INTEGER = 1024, 10_000, 2**31 - 1
LIMITS = {"max-keys": "maxKeys", "max-uploads": "max-uploads", "max-parts": "max-parts"}  # as a refusal calls them
NULL = "null"
_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED = ("xn--", "sthree-", "amzn-s3-demo-"), ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_VERSION = re.compile(r"[A-Za-z0-9._]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class KeyTooLong(S3ClientError):
    def __init__(self) -> None:
        super().__init__("KeyTooLongError", "Your key is too long")


def is_bucket_name(name: str) -> bool:
    """Whether a bucket may be called so."""
    beginnings, endings = _RESERVED
    if not _BUCKET.fullmatch(name) or name.startswith(beginnings) or name.endswith(endings):
        return False
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return True
    return False


def check(method: str, key: str, query: dict[str, str]) -> None:
    """Refuse the arguments that S3 refuses whatever it holds. `key` is empty for a bucket. Raises S3ClientError."""
    if len(key.encode()) > MAX_KEY_BYTES:
        raise KeyTooLong
    version, part = query.get("versionId"), query.get("partNumber")
    if key and version is not None and version != NULL and not _VERSION.fullmatch(version):
        raise InvalidVersion(version)
    if method == "PUT" and part is not None and not (part.isdigit() and 0 < int(part) <= MAX_PARTS):
        raise InvalidMaxPartNumberArgument(part)  # ty: ignore[invalid-argument-type]
    for name, called in LIMITS.items():
        if name in query:
            _check_limit(name, called, query[name])


def _check_limit(name: str, called: str, value: str) -> None:
    if not re.fullmatch(r"-?\d+", value) or int(value) > MAX_INTEGER:
        raise NotAnIntegerException(name, value)  # ty: ignore[invalid-argument-type]
    if int(value) < 0:
        raise InvalidArgumentError(f"Argument {called} must be an integer between 0 and {MAX_INTEGER}", called, value)


def _of_key(answer: Callable) -> Callable:
    def checked(self: responses.S3Response, request: Any, full_url: str) -> Any:
        check(request.method, self.parse_key_name(), request.args)
        return answer(self, request, full_url)

    return checked


def _of_bucket(answer: Callable) -> Callable:
    def checked(self: responses.S3Response, request: Any, full_url: str) -> Any:
        check(request.method, "", request.args)
        return answer(self, request, full_url)

    return checked


def _create_bucket(create: Callable) -> Callable:
    def checked(self: S3Backend, bucket_name: str, *arguments: Any, **settings: Any) -> FakeBucket:
        if not is_bucket_name(bucket_name):
            raise InvalidBucketName
        return create(self, bucket_name, *arguments, **settings)

    return checked


def _list_objects(listed: Callable) -> Callable:
    def checked(self: S3Backend, *arguments: Any, **asked: Any) -> Any:
        token = asked.get("continuation_token")
        if token is not None and token not in self._pagination_tokens:
            raise InvalidContinuationToken
        return listed(self, *arguments, **asked)

    return checked


def _versions(self: S3Backend, bucket: str, key: str, version: str | None) -> Any:
    """An object, a delete marker, or None."""
    return self.get_object(bucket, key, version_id=version, return_delete_marker=True)


def _get_object(get: Callable) -> Callable:
    def checked(self: responses.S3Response) -> Any:
        version = self.querystring.get("versionId", [None])[0]
        key = _versions(self.backend, self.bucket_name, self.parse_key_name(), version)
        if version is not None and isinstance(key, FakeDeleteMarker):
            raise MethodNotAllowed("GET", "DeleteMarker")
        number = self.querystring.get("partNumber", [None])[0]
        if number is None or not isinstance(key, FakeKey):
            return get(self)
        ends = _ends(key)
        if not _has_part(number, ends):
            return _no_such_part(number, ends)
        status, headers, body = get(self)
        return _part(int(number), ends, headers, body) if status == 200 and key.multipart else (status, headers, body)

    return checked


def _head_object(head: Callable) -> Callable:
    def checked(
        self: responses.S3Response, bucket_name: str, query: dict[str, Any], key_name: str, headers: dict[str, Any]
    ) -> Any:
        number = query.get("partNumber", [None])[0]
        key = _versions(self.backend, bucket_name, key_name, query.get("versionId", [None])[0])
        if number is None or not isinstance(key, FakeKey):
            return head(self, bucket_name, query, key_name, headers)
        ends = _ends(key)
        if not _has_part(number, ends):
            return _no_such_part(number, ends)
        if not key.multipart:
            return head(self, bucket_name, query, key_name, headers)
        whole = {name: value for name, value in query.items() if name != "partNumber"}
        status, given, body = head(self, bucket_name, whole, key_name, headers)
        return _part(int(number), ends, given, b"") if status == 200 else (status, given, body)

    return checked


def _ends(key: FakeKey) -> list[int]:
    """Where each part of an object ends."""
    if not key.multipart:
        return [key.size]
    ends, end = [], 0
    for each in key.multipart.partlist:
        end += key.multipart.parts[each].size
        ends.append(end)
    return ends


def _has_part(number: str, ends: list[int]) -> bool:
    return number.isdigit() and 0 < int(number) <= len(ends)


def _no_such_part(number: str, ends: list[int]) -> errors.Answer:
    if not number.isdigit() or not 0 < int(number) <= MAX_PARTS:
        raise InvalidMaxPartNumberArgument(number)  # ty: ignore[invalid-argument-type]
    return errors.answer("s3", "InvalidPartNumber", "The requested partnumber is not satisfiable", 416)


def _part(number: int, ends: list[int], headers: dict[str, Any], body: bytes) -> tuple[int, dict[str, Any], bytes]:
    """The answer with one part of an object that was uploaded in several."""
    begin, end = ([0, *ends])[number - 1], ends[number - 1]
    kept = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    ranged = {"content-range": f"bytes {begin}-{end - 1}/{ends[-1]}", "x-amz-mp-parts-count": str(len(ends))}
    return 206, {**kept, **ranged, "content-length": str(end - begin)}, body[begin:end]


def _copy(copy: Callable) -> Callable:
    def checked(self: responses.S3Response) -> Any:
        source = urlparse(self.headers.get("x-amz-copy-source"))
        bucket, _, name = unquote(source.path).lstrip("/").partition("/")
        key = _versions(self.backend, bucket, name, parse_qs(source.query).get("versionId", [None])[0])
        if isinstance(key, FakeKey):
            _check_source(self.headers, key)
        return copy(self)

    return checked


def _check_source(headers: Any, key: FakeKey) -> None:
    """Refuse a copy whose conditions on its source do not hold. Raises PreconditionFailed.

    Where both are given, a condition on the ETag that holds is enough, as the CopyObject reference says.
    """
    prefix = "x-amz-copy-source-If"
    match, none_match, unmodified, modified = (
        headers.get(f"{prefix}-{name}") for name in ("Match", "None-Match", "Unmodified-Since", "Modified-Since")
    )
    tags, changed = (key.etag, key.etag.strip('"'), "*"), key.last_modified.replace(microsecond=0)
    if match and match not in tags:
        raise PreconditionFailed(f"{prefix}-Match")
    if none_match and none_match in tags:
        raise PreconditionFailed(f"{prefix}-None-Match")
    if unmodified and not match and changed > str_to_rfc_1123_datetime(unmodified):
        raise PreconditionFailed(f"{prefix}-Unmodified-Since")
    if modified and not none_match and changed <= str_to_rfc_1123_datetime(modified):
        raise PreconditionFailed(f"{prefix}-Modified-Since")


def install() -> None:
    response = responses.S3Response
    response._key_response = _of_key(response._key_response)
    response._bucket_response = _of_bucket(response._bucket_response)
    response.get_object, response.head_object = _get_object(response.get_object), _head_object(response.head_object)
    response.copy_object = _copy(response.copy_object)
    response.upload_part_copy = _copy(response.upload_part_copy)
    S3Backend.create_bucket = _create_bucket(S3Backend.create_bucket)
    S3Backend.list_objects_v2 = _list_objects(S3Backend.list_objects_v2)
