"""The address at which GetFunction has a function's package: signed, and valid for ten minutes, as on AWS.

Source: "Code" of GetFunction in the Lambda API reference ("a presigned URL that's valid for 10 minutes"). On AWS it is
an address of S3 in a bucket of Lambda's own.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlencode

from moto.awslambda.models import lambda_backends

from localaws.browser_guard import PASSIVE
from localaws.context import ACCOUNT_ID, context

PREFIX = "/_localaws/lambda-code/"
VALID_SECONDS = 600
_key = secrets.token_bytes(32)  # an address ends with its server


def location(region: str, name: str, version: str) -> str:
    """The address of a version's package, for ten minutes from now."""
    path, expires = f"{PREFIX}{region}/{name}/{version}", str(int(time.time()) + VALID_SECONDS)
    return f"{context().endpoint_url}{path}?{urlencode({'Expires': expires, 'Signature': _signature(path, expires)})}"


def install() -> None:
    """Nothing to replace: the server asks `matches`."""


def matches(environ: dict[str, Any]) -> bool:
    return environ["PATH_INFO"].startswith(PREFIX)


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    """Give out a package for an address that is valid."""
    path, query = environ["PATH_INFO"], parse_qs(environ.get("QUERY_STRING", ""))
    expires, signature = query.get("Expires", [""])[0], query.get("Signature", [""])[0]
    signed = hmac.compare_digest(signature.encode(), _signature(path, expires).encode())
    if not signed or not expires.isdigit() or int(expires) < time.time():
        return _answer(start_response, "403 Forbidden", "text/plain", b"The address is not valid, or not any more.\n")
    region, name, version = path.removeprefix(PREFIX).split("/")
    functions = lambda_backends[ACCOUNT_ID][region].functions
    if not functions.exists(name, version):
        return _answer(start_response, "404 Not Found", "text/plain", b"The function was deleted.\n")
    return _answer(start_response, "200 OK", "application/zip", functions.find(name, version).code_bytes)


def _answer(start_response: Callable, status: str, kind: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *PASSIVE])
    return [body]


def _signature(path: str, expires: str) -> str:
    return hmac.new(_key, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
