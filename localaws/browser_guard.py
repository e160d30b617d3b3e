"""Keeps web pages out: a page that the developer visits can send requests to 127.0.0.1 too.

A browser lets any page send a form, a picture's address or a simple `fetch` to any host, without asking that host. It
adds headers that the page cannot change, and it keeps other headers from the page unless the host allows them:

- `Host` is the name that the page used. A name of its own that it points to 127.0.0.1 (DNS rebinding) shows there.
- `Origin` and `Sec-Fetch-Site` say that a page sent the request. SDKs and command lines send neither.
- `Authorization` needs the host's consent (a preflight), which this server does not give. So a request that has one
  was not sent by another site's page, in old browsers too.

Function URLs and buckets have CORS rules of their own. Their services name what they let in with `admit()`.
"""

import re
from collections.abc import Callable
from typing import Any

from localaws import errors

# What every answer with stored bytes has: a browser shows them, but runs no script and does not guess their type.
PASSIVE = [("Content-Security-Policy", "sandbox"), ("X-Content-Type-Options", "nosniff")]

_LOCAL = re.compile(r"(127\.0\.0\.1|([a-z0-9_-]+\.)*localhost)\.?(:\d*)?", re.IGNORECASE | re.ASCII)
_SIGNED = re.compile(r"(AWS4-HMAC-SHA256|AWS4-ECDSA-P256-SHA256)\s+Credential=|AWS [^:\s]+:")
_SIGNED_QUERY = re.compile(r"(^|&)(X-Amz-Signature|Signature)=", re.IGNORECASE)
# The encodings of a form. A browser sends them across sites without a preflight.
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")

_admitting: list[Callable[[dict[str, Any]], bool]] = []


def admit(check: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], bool]:
    """Let in the requests of web pages for which `check(environ)` is true."""
    if check not in _admitting:
        _admitting.append(check)
    return check


def refusal(environ: dict[str, Any], public: bool = False) -> str | None:
    """Why a request is refused, in words, or None. `public`: it is for something that any page may ask."""
    host = environ.get("HTTP_HOST")
    if host is not None and not _LOCAL.fullmatch(host):
        return (
            "The local AWS answers to 127.0.0.1, localhost and names that end in .localhost. "
            f"{host[:100]!r} is not one of them."
        )
    if public:
        return None
    if _from_page(environ) and not _is_reading(environ) and not any(check(environ) for check in _admitting):
        return (
            "A web page sent this request (it has an Origin or a Sec-Fetch-Site header). The local AWS runs commands "
            "as you, so it takes no requests from web pages. A page may use function URLs, and buckets whose CORS "
            "configuration names the page's origin."
        )
    return None if environ["PATH_INFO"].startswith("/_localaws/") else _unsigned(environ)


def answer(words: str) -> errors.Answer:
    """The answer with the words of a refusal."""
    status, headers, body = errors.answer("s3", "AccessDenied", words, 403)
    return status, {**headers, **dict(PASSIVE)}, body


def _from_page(environ: dict[str, Any]) -> bool:
    """Whether a page sent a request. A browser says `none` if the address was typed or opened by another program."""
    return "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none"


def _is_reading(environ: dict[str, Any]) -> bool:
    """Whether a person follows a link to an object (a presigned address): the page cannot see what is there."""
    return (
        environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and "HTTP_ORIGIN" not in environ
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
    )


def _unsigned(environ: dict[str, Any]) -> str | None:
    """Why a request may not come without a signature in its header, or None. These rules need no help by a browser."""
    if _SIGNED.match(environ.get("HTTP_AUTHORIZATION", "")):
        return None
    service = errors.service_of(environ)
    if service != "s3":
        return f"A request to {service} must have its AWS signature in the Authorization header."
    if environ["REQUEST_METHOD"] != "POST":
        return None
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind in _FORMS:
        # SDKs send a few calls unsigned (AssumeRoleWithWebIdentity), with a header that no form can have.
        if kind != "multipart/form-data" and "HTTP_AMZ_SDK_INVOCATION_ID" in environ:
            return None
        return (
            "A form must have an AWS signature in the Authorization header, as SDKs send it. The local AWS takes no "
            "uploads by browser forms (S3 POST policies): use PutObject or a presigned address."
        )
    if not _SIGNED_QUERY.search(environ.get("QUERY_STRING", "")):
        return "A POST must have an AWS signature, in the Authorization header or in the query."
    return None
