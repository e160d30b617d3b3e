"""Read an object of S3 as a stream, signed with the function's credentials. Standard library only.

The function imports no boto3, which would add a third of a second to each cold start (docs/adr/0009).
"""

import contextlib
import hashlib
import http.client
import re
import ssl
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from typing import IO
from urllib.parse import quote, urlsplit

from predictor.signature import Credentials, signed

TIMEOUT_SECONDS = 10.0  # of each read; Lambda ends a start after 10 seconds
ATTEMPTS = 3  # S3 documents that a request may fail with 5xx and should be repeated
EMPTY = hashlib.sha256(b"").hexdigest()


class ModelUnavailable(Exception):
    """The object cannot be read. The message names it and S3's reason."""


@contextlib.contextmanager
def open_object(url: str, environ: Mapping[str, str]) -> Generator[IO[bytes]]:
    """The content of `s3://bucket/key` in the function's region. Raises ModelUnavailable, or ValueError if `url` or a
    variable is wrong."""
    match = re.fullmatch(r"s3://([^/]+)/(.+)", url)
    if not match:
        raise ValueError(f"MODEL_DATA_URL is {url!r}, not s3://bucket/key")
    connection, answer = _get(match[1], match[2], url, environ)
    with contextlib.closing(connection):
        yield answer


def _get(bucket: str, key: str, url: str, environ: Mapping[str, str]) -> tuple[http.client.HTTPConnection, IO[bytes]]:
    reason = ""
    for _ in range(ATTEMPTS):
        connection, path = _connection(bucket, key, environ)
        try:
            host = connection.host if connection.port in (80, 443) else f"{connection.host}:{connection.port}"
            headers = {"Host": host, "X-Amz-Content-Sha256": EMPTY}
            credentials = _credentials(environ)
            sent = signed("GET", path, headers, b"", credentials, environ["AWS_REGION"], "s3", datetime.now(UTC))
            connection.request("GET", path, headers=sent)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            reason = f"{type(error).__name__}: {error}"
            continue
        if answer.status == 200:
            return connection, answer
        code = re.search(rb"<Code>([A-Za-z]+)</Code>", answer.read(4096))
        reason = f"{answer.status} {code[1].decode() if code else answer.reason}"
        connection.close()
        if answer.status < 500:
            break
    raise ModelUnavailable(f"the model {url} cannot be read: {reason}")


def _connection(bucket: str, key: str, environ: Mapping[str, str]) -> tuple[http.client.HTTPConnection, str]:
    """A connection to S3, by the bucket's host name or to AWS_ENDPOINT_URL, and the path of the object."""
    path = "/" + quote(key, safe="/~")
    address = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if address:
        parts = urlsplit(address)
        path = f"/{bucket}{path}"
    else:
        region = environ["AWS_REGION"]
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        parts = urlsplit(f"https://{bucket}.s3.{region}.{suffix}")
    if not parts.hostname:
        raise ValueError(f"AWS_ENDPOINT_URL is {address!r}, which is not an address")
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS), path
    tls = ssl.create_default_context(cafile=environ.get("AWS_CA_BUNDLE"))
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS, context=tls), path


def _credentials(environ: Mapping[str, str]) -> Credentials:
    return Credentials(
        environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ.get("AWS_SESSION_TOKEN") or None
    )
