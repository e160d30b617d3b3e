"""Addresses to which a program uploads a photograph that is larger than a request to the function may be.

    POST /upload-url {"bytes": 7340032}     -> {"upload": {"method", "url", "headers"}, "image": {"url"}, "expires_in"}
    PUT <upload.url>, with these headers    -> S3
    POST / {"url": "s3://…"}                -> the answer; the body is `image` as it is

The address is valid for one object of that size and for some minutes. A program that knows it can write this object,
and nothing else. The name of an object is random, so nobody can guess that of another caller. The bucket deletes the
objects after a day.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from classifier.contract import MAX_STORED_BYTES, ApiError

from predictor.objects import SCHEME, address_of_s3
from predictor.sagemaker_runtime import credentials_of, region_of
from predictor.signature import presigned

PATH = "/upload-url"
VALID_SECONDS = 300
SEND = 'Send {"bytes": the size of the photograph}.'


@dataclass(frozen=True)
class Uploads:
    """The place of uploads: `s3://bucket/prefix/`."""

    place: str

    def __post_init__(self) -> None:
        if not self.place.startswith(SCHEME) or not self.place.endswith("/"):
            raise ValueError(f"UPLOADS is {self.place!r}, not s3://bucket/prefix/")

    def offer(self, body: bytes, environ: Mapping[str, str] = os.environ) -> dict:
        """The answer to a request for an address. Raises ApiError 400 or 413."""
        size = _size(body)
        image = f"{self.place}{secrets.token_hex(16)}"
        s3, headers = address_of_s3(environ), {"Content-Length": str(size)}
        path = f"/{image.removeprefix(SCHEME)}"
        query = presigned(
            "PUT",
            path,
            {"Host": s3.netloc, **headers},
            credentials_of(environ),
            region_of(environ),
            "s3",
            datetime.now(UTC),
            VALID_SECONDS,
        )
        return {
            "upload": {"method": "PUT", "url": f"{s3.scheme}://{s3.netloc}{path}?{query}", "headers": headers},
            "image": {"url": image},
            "expires_in": VALID_SECONDS,
        }


def _size(body: bytes) -> int:
    try:
        size = json.loads(body)["bytes"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ApiError("invalid_request", SEND) from None
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ApiError("invalid_request", SEND)
    if size > MAX_STORED_BYTES:
        raise ApiError("image_too_large", f"The image has {size:,} bytes; at most {MAX_STORED_BYTES:,} are accepted.")
    return size
