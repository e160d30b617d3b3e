"""Which web pages may ask a bucket: those whose origin and method its CORS configuration has in one rule.

Source of the contract: "Elements of a CORS configuration" in the S3 user guide.
"""

import re
from typing import Any

from moto.s3.models import FakeBucket, s3_backends

from localaws import browser_guard, errors
from localaws.context import ACCOUNT_ID

_BUCKET_HOST = re.compile(r"(?P<bucket>[a-z0-9.-]+?)(\.s3(\.[a-z0-9-]+)?)?\.localhost(:\d*)?", re.IGNORECASE)


def admits(environ: dict[str, Any]) -> bool:
    """Whether a bucket's CORS configuration lets in the page that sent a request."""
    origin = environ.get("HTTP_ORIGIN")
    bucket = _bucket(environ)
    if origin is None or bucket is None or errors.service_of(environ) != "s3":
        return False
    method = environ["REQUEST_METHOD"]
    if method == "OPTIONS":
        method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
    for rule in bucket.cors:
        methods, origins = _listed(rule.allowed_methods), _listed(rule.allowed_origins)
        if method in methods and any(_matches(each, origin) for each in origins):
            return True
    return False


def _bucket(environ: dict[str, Any]) -> FakeBucket | None:
    """The bucket that a request names, by its host or by its path."""
    buckets = s3_backends[ACCOUNT_ID]["aws"].buckets
    by_host = _BUCKET_HOST.fullmatch(environ.get("HTTP_HOST", ""))
    name = by_host["bucket"] if by_host else environ["PATH_INFO"].lstrip("/").partition("/")[0]
    return buckets.get(name)


def _listed(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _matches(allowed: str, origin: str) -> bool:
    """Whether an origin is the one of a rule, which may have one wildcard."""
    before, star, after = allowed.partition("*")
    if not star:
        return origin == allowed
    long_enough = len(origin) >= len(before) + len(after)
    return long_enough and origin.startswith(before) and origin.endswith(after)


def install() -> None:
    browser_guard.admit(admits)
