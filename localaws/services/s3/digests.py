"""The digests that a client sends along with a body: a body that came otherwise is not stored.

Sources: "Checking object integrity" in the S3 user guide and "Error responses" in the S3 API reference. CRC32C and
CRC64NVME are not compared: Python has neither.
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable
from typing import Any

from moto.s3 import responses
from moto.s3.exceptions import S3ClientError

_TRAILER = re.compile(rb"\r\nx-amz-checksum-(crc32|sha1|sha256):([A-Za-z0-9+/=]+)\s*")
_TRAILER_BYTES = 512
_HEXADECIMAL = re.compile(r"[0-9a-f]{64}")


class BadDigest(S3ClientError):
    code = "BadDigest"


class InvalidDigest(S3ClientError):
    code = "InvalidDigest"

    def __init__(self) -> None:
        super().__init__("The Content-MD5 you specified was invalid.")


class PayloadMismatch(S3ClientError):
    code = "XAmzContentSHA256Mismatch"

    def __init__(self) -> None:
        super().__init__("The provided 'x-amz-content-sha256' header does not match what was computed.")


def _crc32(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, "big")


def _sha1(body: bytes) -> bytes:
    return hashlib.sha1(body, usedforsecurity=False).digest()


def _sha256(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {"crc32": _crc32, "sha1": _sha1, "sha256": _sha256}


def check(headers: Any, body: bytes, sent: bytes = b"") -> None:
    """Raise S3ClientError if a body has another digest than its request says. `sent` is the body as it came."""
    if given := headers.get("Content-MD5"):
        try:
            expected = base64.b64decode(given, validate=True)
        except binascii.Error:
            raise InvalidDigest from None
        if len(expected) != 16:
            raise InvalidDigest
        if expected != hashlib.md5(body, usedforsecurity=False).digest():
            raise BadDigest("The Content-MD5 you specified did not match what we received.")
    claimed = {name: headers.get(f"x-amz-checksum-{name}") for name in CHECKSUMS}
    if trailer := _TRAILER.search(sent[-_TRAILER_BYTES:]) if sent is not body else None:
        claimed[trailer[1].decode()] = trailer[2].decode()
    for name, value in claimed.items():
        if value and "-" not in value and value != base64.b64encode(CHECKSUMS[name](body)).decode():
            raise BadDigest(f"The {name.upper()} you specified did not match the calculated checksum.")
    signed = headers.get("x-amz-content-sha256") or ""
    if _HEXADECIMAL.fullmatch(signed) and signed != _sha256(body).hex():
        raise PayloadMismatch


def _checked(answer: Callable) -> Callable:
    def checked(self: responses.S3Response, request: Any, full_url: str) -> Any:
        # CompleteMultipartUpload has the checksum of the object, not of its body.
        if request.method == "PUT" or (request.method == "POST" and "uploadId" not in request.args):
            body = self.body if isinstance(self.body, bytes) else str(self.body or "").encode()
            check(request.headers, body, self.raw_body if isinstance(self.raw_body, bytes) else b"")
        return answer(self, request, full_url)

    return checked


def install() -> None:
    response = responses.S3Response
    response._key_response = _checked(response._key_response)
    response._bucket_response = _checked(response._bucket_response)
