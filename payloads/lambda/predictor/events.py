"""Convert function-URL events (payload format 2.0) to requests, and answers to responses.

`isBase64Encoded` decides, whatever the content type, because hosts encode different bodies.
"""

import base64
import json
from dataclasses import dataclass

from classifier.contract import JSON_TYPE, ApiError

RETRY_AFTER_SECONDS = 1  # much longer than an image takes, so a slot is free by then

COMMON_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True)
class HttpRequest:
    """A request to the function URL. Header names are lower-case; `path` is at least `/`."""

    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes


def is_http(event: object) -> bool:
    """Whether the event is from a function URL. A direct invoke has any other JSON."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    return isinstance(context, dict) and isinstance(context.get("http"), dict)


def read_http(event: dict) -> HttpRequest:
    """Raises ApiError 400 if the body does not match `isBase64Encoded`."""
    http = event["requestContext"]["http"]
    return HttpRequest(
        method=str(http.get("method", "")).upper(),
        path=str(event.get("rawPath") or http.get("path") or "/"),
        headers={str(name).lower(): str(value) for name, value in _mapping(event.get("headers")).items()},
        query={str(name): str(value) for name, value in _mapping(event.get("queryStringParameters")).items()},
        body=_body(event),
    )


def _mapping(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def _body(event: dict) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    try:
        if event.get("isBase64Encoded"):
            return base64.b64decode(body, validate=True)
        return body.encode("utf-8", "surrogateescape")  # restores bytes that a host forwarded as text
    except (ValueError, TypeError, AttributeError):
        raise ApiError("invalid_request", "The body of the event is not readable.") from None


def json_response(status: int, answer: dict, headers: dict[str, str] | None = None) -> dict:
    return {
        "statusCode": status,
        "headers": {"content-type": JSON_TYPE, **COMMON_HEADERS, **(headers or {})},
        "body": json.dumps(answer),
        "isBase64Encoded": False,
    }


def error_response(error: ApiError, request_id: str, headers: dict[str, str] | None = None) -> dict:
    """The response for an error. A 429 has Retry-After."""
    retry = {"retry-after": str(RETRY_AFTER_SECONDS)} if error.status == 429 else {}
    return json_response(error.status, error.to_dict(request_id), {**retry, **(headers or {})})


def no_content() -> dict:
    return {"statusCode": 204, "headers": {"cache-control": "max-age=86400"}}
