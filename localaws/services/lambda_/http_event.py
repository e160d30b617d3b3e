"""Function-URL requests as events, and results as HTTP answers: payload format 2.0.

Source of the contract: "Request and response payloads" of function URLs in the Lambda developer guide. What it leaves
open follows API Gateway's HTTP APIs, which share the format: the media types of text, and that members without a
value are left out. Standard library only.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

_TEXT = re.compile(r"text/.*|application/(json|javascript|xml|.*\+json|.*\+xml)")
# These belong to the connection, or follow from the body: they are the server's to write.
_OWN_HEADERS = {"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"}
# These belong to a connection too; the function does not see them.
_OF_CONNECTION = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
# What the end of the TLS connection adds: on AWS every request comes over TLS, here none leaves the machine.
_TLS = {
    "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
    "x-amzn-tls-version": "TLSv1.3",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
}


class BadResult(Exception):
    """A function returned something that is not an HTTP answer."""


@dataclass(frozen=True)
class UrlRequest:
    """A request to a function URL. Path and query as sent, header names in lower case, `path` below the URL's root."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    protocol: str
    source_ip: str
    host: str


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def make_event(
    request: UrlRequest, url_id: str, request_id: str, account: str, caller: dict | None, trace_id: str = ""
) -> dict[str, Any]:
    """The event for a request. `caller` is authorizer.iam where a signature was checked.

    The headers that AWS adds are those of LocalStack's recording test_lambda_url_echo_http_fixture_default.
    """
    added = {**_TLS, "x-amzn-trace-id": trace_id, "x-forwarded-for": request.source_ip}
    dropped = {"cookie"} | _OF_CONNECTION
    now = datetime.now(UTC)
    context: dict[str, Any] = {
        "accountId": account if caller else "anonymous",
        "apiId": url_id,
        "domainName": request.host,
        "domainPrefix": url_id,
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if caller:
        context["authorizer"] = {"iam": caller}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": {name: value for name, value in request.headers.items() if name not in dropped} | added,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies := [each.strip() for each in request.headers.get("cookie", "").split(";") if each.strip()]:
        event["cookies"] = cookies
    if parameters := _parameters(request.query):
        event["queryStringParameters"] = parameters
    if request.body:
        event["body"], event["isBase64Encoded"] = _encoded(request.body, request.headers.get("content-type", ""))
    return event


def read_result(payload: bytes) -> HttpAnswer:
    """The answer that a function's result stands for. Raises BadResult.

    A result without `statusCode` is itself the body of a 200 answer: text as it is, anything else in compact JSON
    (LocalStack's recordings, test_lambda_url_invocation).
    """
    try:
        result = json.loads(payload)
    except (ValueError, RecursionError):
        raise BadResult("it is not JSON") from None
    if not isinstance(result, dict) or "statusCode" not in result:
        text = result if isinstance(result, str) else json.dumps(result, separators=(",", ":"), ensure_ascii=False)
        return HttpAnswer(200, [("Content-Type", "application/json")], text.encode("utf-8", "surrogatepass"))
    status = result["statusCode"]
    if not re.fullmatch(r"[1-5]\d\d", str(status)):
        raise BadResult(f"statusCode is {status!r}")
    given, cookies, body = result.get("headers") or {}, result.get("cookies") or [], result.get("body")
    if not isinstance(given, dict) or not isinstance(cookies, list) or not isinstance(body, str | None):
        raise BadResult("headers must be an object, cookies a list and body a string")
    headers = [(name, _text(value)) for name, value in given.items() if name.lower() not in _OWN_HEADERS]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    headers += [("Set-Cookie", _text(cookie)) for cookie in cookies]
    if any(not part.isprintable() or not part.isascii() for header in headers for part in header):
        raise BadResult("a header has characters in it that HTTP does not allow")
    try:
        content = (
            base64.b64decode("".join((body or "").split()), validate=True)
            if result.get("isBase64Encoded")
            else (body or "").encode()
        )
    except ValueError:
        raise BadResult("body is not base64") from None
    return HttpAnswer(int(status), headers, content)


def _encoded(body: bytes, content_type: str) -> tuple[str, bool]:
    """The body as the event has it, and whether that is base64: text goes as text."""
    if _TEXT.fullmatch(content_type.partition(";")[0].strip().lower()):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def _parameters(query: str) -> dict[str, str]:
    """Query parameters, decoded; the values of one that comes several times are joined by commas."""
    values: dict[str, list[str]] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name:
            values.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return {name: ",".join(given) for name, given in values.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
