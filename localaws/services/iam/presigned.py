"""Checks presigned addresses of S3: a signature in the query, which counts for one request and for a while.

Sources: "Authenticating Requests: Using Query Parameters" in S3's API reference; the words are those of S3, as
bryanjos/aws_auth #31 (a week) and ex-aws/ex_aws #335 (headers) quote them, and tests of Swift's s3api (numbers).
Addresses of Signature Version 2 (`Expires=`) are only held against the clock.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from localaws import errors
from localaws.services.iam.sigv4 import ALGORITHM, DATE_FORMAT, MAX_SKEW, Caller, canonical_query, sign

WEEK = 604_800
WEEK_WORDS = (
    "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 "
    "seconds"
)
_SCOPE = re.compile(r"[^/]+/(\d{8})/([^/]+)/s3/aws4_request")
_MALFORMED = ("AuthorizationQueryParametersError", 400)
_DENIED = ("AccessDenied", 403)

Refused = tuple[str, int, str]


def refusal(environ: Mapping[str, Any], caller: Caller, now: datetime | None = None) -> errors.Answer | None:
    """The answer to a request by a presigned address that does not hold; None if it holds, or if there is none."""
    query = environ.get("QUERY_STRING", "")
    given = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
    now = now or datetime.now(UTC)
    if "X-Amz-Signature" in given:
        refused = _v4(environ, query, given, caller, now)
    elif "Signature" in given and "AWSAccessKeyId" in given:
        refused = _v2(given, now)
    else:
        return None
    return refused and errors.answer("s3", refused[0], refused[2], refused[1])


def _v2(given: Mapping[str, str], now: datetime) -> Refused | None:
    expires = given.get("Expires", "")
    if not re.fullmatch(r"\d{1,12}", expires):
        return (*_DENIED, "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    return (*_DENIED, "Request has expired") if now.timestamp() > int(expires) else None


def _v4(
    environ: Mapping[str, Any], query: str, given: Mapping[str, str], caller: Caller, now: datetime
) -> Refused | None:
    scope = _SCOPE.fullmatch(given.get("X-Amz-Credential", ""))
    if given.get("X-Amz-Algorithm") != ALGORITHM or scope is None:
        return (*_MALFORMED, "Error parsing the X-Amz-Credential parameter, or X-Amz-Algorithm is not supported")
    try:
        moment = datetime.strptime(given.get("X-Amz-Date", ""), DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return (*_MALFORMED, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    if refused := _out_of_time(given.get("X-Amz-Expires", ""), moment, now):
        return refused
    if moment.strftime("%Y%m%d") != scope[1]:
        return (*_MALFORMED, "Invalid credential date. This date is not the same as X-Amz-Date.")
    headers = _headers(environ)
    signed = given.get("X-Amz-SignedHeaders", "").split(";")
    if "host" not in signed or any(name.startswith("x-amz-") and name not in signed for name in headers):
        return (*_DENIED, "There were headers present in the request which were not signed")
    payload = given.get("X-Amz-Content-Sha256") or headers.get("x-amz-content-sha256") or "UNSIGNED-PAYLOAD"
    expected = signature(environ, query, headers, signed, moment, scope[2], caller.secret_key, payload)
    if not hmac.compare_digest(expected.encode(), given["X-Amz-Signature"].encode()):
        return (
            "SignatureDoesNotMatch",
            403,
            "The request signature we calculated does not match the signature you provided. Check your key and "
            "signing method.",
        )
    return None


def _out_of_time(expires: str, moment: datetime, now: datetime) -> Refused | None:
    if not re.fullmatch(r"-?\d{1,18}", expires):
        return (*_MALFORMED, "X-Amz-Expires should be a number")
    seconds = int(expires)
    if seconds < 0:
        return (*_MALFORMED, "X-Amz-Expires must be non-negative")
    if seconds > WEEK:
        return (*_MALFORMED, WEEK_WORDS)
    if moment > now + MAX_SKEW:
        return (*_DENIED, "Request is not valid yet")
    return (*_DENIED, "Request has expired") if now > moment + timedelta(seconds=seconds) else None


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """The headers as they were sent, their names in small letters."""
    found = {name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name[:5] == "HTTP_"}
    own = {"content-type": environ.get("CONTENT_TYPE"), "content-length": environ.get("CONTENT_LENGTH")}
    return found | {name: value for name, value in own.items() if value}


def signature(
    environ: Mapping[str, Any],
    query: str,
    headers: Mapping[str, str],
    signed: list[str],
    moment: datetime,
    region: str,
    secret_key: str,
    payload: str,
) -> str:
    """The signature, in hexadecimal, that an address must carry. S3 encodes a path once, as it was sent."""
    path = str(environ.get("RAW_URI") or environ["PATH_INFO"]).partition("?")[0]
    canonical = "\n".join(
        [
            environ["REQUEST_METHOD"],
            quote(unquote(path), safe="/~"),
            canonical_query(query, left_out="X-Amz-Signature"),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed),
            "",
            ";".join(signed),
            payload,
        ]
    )
    return sign(canonical, moment, region, "s3", secret_key)
