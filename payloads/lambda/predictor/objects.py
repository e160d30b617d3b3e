"""Read the image of `{"url": "s3://bucket/key"}` with the function's own role, and write captured images.

The role decides what may be read and written; by default it may do neither. The address of S3 is that of the region, as
the SDKs find it, so no name from the request is resolved.
"""

import contextlib
import http.client
import os
import re
import socket
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import SplitResult, quote, urlsplit

from classifier.contract import ApiError

from predictor.deadline import Deadline
from predictor.fetch import CONNECT_SECONDS, Fetched, broken_off, read_body, tls, too_slow
from predictor.sagemaker_runtime import credentials_of, region_of
from predictor.signature import signed

SCHEME = "s3://"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
LONGEST_KEY = 1024  # bytes


def fetch_object(url: str, deadline: Deadline, most: int, environ: Mapping[str, str] = os.environ) -> Fetched:
    """The object behind `url`, of at most `most` bytes. Raises ApiError 413, 415, 422 or 504, as fetch_image does."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    name = key.encode("utf-8", "replace")
    if not BUCKET.fullmatch(bucket) or not 0 < len(name) <= LONGEST_KEY or {".", ".."} & set(key.split("/")):
        raise ApiError("url_not_allowed", "The address is not s3://bucket/key.")
    host, path = f"s3://{bucket}", f"/{bucket}/{quote(name, safe='/~')}"
    try:
        status, fetched = _get(path, host, deadline, most, environ)
    except (OSError, http.client.HTTPException) as error:
        if deadline.left() == 0:
            raise too_slow(host) from error
        raise ApiError("url_unreachable", "The download from S3 failed.") from error
    if status in (403, 404) or fetched is None:
        raise ApiError(
            "url_unreachable",
            f"The object cannot be read from {host} ({status}): it does not exist, is in another region, or the "
            "function's role may not read it.",
        )
    return fetched


def address_of_s3(environ: Mapping[str, str]) -> SplitResult:
    """The address of S3 in the function's region."""
    region = region_of(environ)
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    given = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    return urlsplit(given or f"https://s3.{region}.{suffix}")


def put_object(url: str, body: bytes, content_type: str, deadline: Deadline, environ: Mapping[str, str]) -> None:
    """Write the object `url`, s3://bucket/key. Raises OSError, also for a refusal, or HTTPException."""
    path = f"/{quote(url.removeprefix(SCHEME), safe='/~')}"
    with _exchange("PUT", path, body, {"Content-Type": content_type}, deadline, environ) as response:
        if response.status != 200:
            raise OSError(f"S3 answered {response.status}")


def _get(path: str, host: str, deadline: Deadline, most: int, environ: Mapping[str, str]) -> tuple[int, Fetched | None]:
    with _exchange("GET", path, b"", {}, deadline, environ) as response:
        if response.status != 200:
            return response.status, None
        content_type = response.headers.get("Content-Type", "")
        return 200, Fetched(read_body(response, host, deadline, most), content_type, host)


@contextlib.contextmanager
def _exchange(
    method: str, path: str, body: bytes, more: Mapping[str, str], deadline: Deadline, environ: Mapping[str, str]
) -> Generator[http.client.HTTPResponse]:
    """The answer to a signed request, whose body is not read yet. Raises OSError or HTTPException."""
    region, parts = region_of(environ), address_of_s3(environ)
    headers = {"Host": parts.netloc, "X-Amz-Content-Sha256": sha256(body).hexdigest(), **more}
    sent = signed(method, path, headers, body, credentials_of(environ), region, "s3", datetime.now(UTC))
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    seconds = min(CONNECT_SECONDS, deadline.left())
    with socket.create_connection((parts.hostname, port), timeout=seconds) as plain:
        plain.settimeout(deadline.left())
        sock = tls().wrap_socket(plain, server_hostname=parts.hostname) if parts.scheme == "https" else plain
        with sock, broken_off(sock, deadline):
            connection = http.client.HTTPConnection(parts.hostname or "", port)
            connection.sock = sock
            connection.request(method, path, body=body or None, headers={**sent, "Connection": "close"})
            with connection.getresponse() as response:
                yield response
