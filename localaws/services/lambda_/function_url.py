"""The data plane of function URLs: HTTP in, a Lambda invocation, HTTP out.

A URL is reached by its host, `<id>.lambda-url.<region>.localhost:<port>`, or, where that name does not resolve, by
its path on the local AWS, `/lambda-url/<id>/`. With AuthType AWS_IAM the request's signature is checked, and then
whether its signer has both of the permissions that AWS demands since October 2025; with NONE, whether everybody has.
"""

import json
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from moto.awslambda.models import lambda_backends

from localaws.chaos import decisions
from localaws.context import ACCOUNT_ID
from localaws.services.iam import sigv4
from localaws.services.lambda_.api import LocalLambdaBackend
from localaws.services.lambda_.fleet import Throttled
from localaws.services.lambda_.http_event import BadResult, HttpAnswer, UrlRequest, make_event, read_result
from localaws.services.lambda_.invoke import MAX_REQUEST_BYTES, THROTTLED
from localaws.services.lambda_.permissions import may_pass
from localaws.services.lambda_.urls import UrlConfig

_HOST = re.compile(r"([a-z0-9]+)\.lambda-url\.[a-z0-9-]+\.")
_PATH = re.compile(r"/lambda-url/([a-z0-9]+)(?=/|$)")
_CHUNK = 1 << 20
# [LS] test_lambda_url_persists_after_alias_delete
FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
_FAILED = {"error": b"Internal Server Error", "unavailable": b"Service Unavailable"}
OPEN_TO_PAGES = True  # its own CORS rules and AuthType decide, as on AWS


def install() -> None:
    """Nothing to replace: the server asks `matches`."""


def matches(environ: dict[str, Any]) -> bool:
    """Whether a request is for a function URL, by its host or by its path."""
    return bool(_HOST.match(environ.get("HTTP_HOST", "")) or _PATH.match(environ["PATH_INFO"]))


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    """Answer a request to a function URL."""
    body = _read(environ)
    request, url_id = _request(environ, body or b"")
    found = _find(url_id)
    if found is None:
        answer = _denied(None)
    else:
        backend, url = found
        cors = _cors_headers(url.settings.get("Cors"), request)
        if _is_preflight(url, request):
            answer = HttpAnswer(200, cors, b"")
        elif body is None:
            answer = _message(413, "Request Entity Too Large")
        else:
            answer = _serve(backend, url, request, _sent_path(environ))
        # What the URL is configured to say of origins stands in for what the function says.
        named = {name.lower() for name, _ in cors}
        headers = [header for header in answer.headers if header[0].lower() not in named] + cors
        answer = HttpAnswer(answer.status, headers, answer.body)
    length = ("Content-Length", str(len(answer.body)))
    identified = any(name.lower() == "x-amzn-requestid" for name, _ in answer.headers)
    added = [length] if identified else [length, ("x-amzn-RequestId", str(uuid.uuid4()))]
    start_response(_status_line(answer.status), [*answer.headers, *added])
    return [b"" if request.method == "HEAD" else answer.body]


def _serve(backend: LocalLambdaBackend, url: UrlConfig, request: UrlRequest, sent_path: str) -> HttpAnswer:
    """Let the caller in or not, invoke the function, translate the result."""
    caller = None
    if url.settings["AuthType"] == "AWS_IAM":
        signed = sigv4.SignedRequest(request.method, sent_path, request.query, request.headers, request.body)
        try:
            caller = sigv4.verify(signed, url.region, "lambda")
        except sigv4.SignatureError as error:
            return _json(403, {"message": str(error)}, "InvalidSignatureException")
        if caller is None:
            return _denied(FORBIDDEN)
    resource, policy = backend.permissions.of(url.function_name, url.qualifier)
    if not may_pass(resource, policy, caller, _facts(url, request)):
        return _denied(FORBIDDEN)
    request_id = str(uuid.uuid4())
    trace = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    event = make_event(request, url.id, request_id, ACCOUNT_ID, _identity(caller) if caller else None, trace)
    payload = json.dumps(event).encode()
    if len(payload) > MAX_REQUEST_BYTES:
        return _message(413, "Request Entity Too Large")
    fault, latency = decisions.hits("lambda", "InvokeFunctionUrl", {})
    time.sleep(latency)
    if fault == "throttle":
        return _json(429, {**THROTTLED, "Reason": "CallerRateLimitExceeded"}, "TooManyRequestsException")
    if fault:
        return HttpAnswer(502 if fault == "error" else 503, [("Content-Type", "application/json")], _FAILED[fault])
    try:
        outcome = backend.run(url.function_name, url.qualifier or None, payload, request_id=request_id, trace=trace)
    except Throttled as refusal:
        return _json(429, {**THROTTLED, "Reason": refusal.reason}, "TooManyRequestsException")
    said = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", f"{trace};Sampled=0")]
    try:
        if outcome.function_error:
            raise BadResult(outcome.function_error)
        answer = read_result(outcome.payload)
    except BadResult:
        # [LS] test_lambda_url_invocation_exception: words, not JSON.
        answer = HttpAnswer(502, [("Content-Type", "application/json")], b"Internal Server Error")
    own = {name.lower() for name, _ in said}
    headers = [header for header in answer.headers if header[0].lower() not in own]
    return HttpAnswer(answer.status, [*headers, *said], answer.body)


def _facts(url: UrlConfig, request: UrlRequest) -> dict[str, str]:
    """The condition keys of a request. On AWS it comes over TLS; here it never leaves the machine."""
    facts = {
        "lambda:FunctionUrlAuthType": url.settings["AuthType"],
        "aws:RequestedRegion": url.region,
        "aws:SecureTransport": "true",
        "aws:SourceIp": request.source_ip,
    }
    sent = {"aws:UserAgent": request.headers.get("user-agent"), "aws:Referer": request.headers.get("referer")}
    return facts | {key: value for key, value in sent.items() if value is not None}


def _find(url_id: str) -> tuple[LocalLambdaBackend, UrlConfig] | None:
    for backend in list(lambda_backends[ACCOUNT_ID].values()):
        if url := backend.function_urls.find(url_id):
            return backend, url
    return None


def _read(environ: dict[str, Any]) -> bytes | None:
    """The whole body; None where it is too large, which is then read and dropped: the client expects an answer."""
    chunked = environ.get("wsgi.input_terminated", False)
    left = None if chunked else int(environ.get("CONTENT_LENGTH") or 0)
    parts, size = [], 0
    while left is None or left > 0:
        chunk = environ["wsgi.input"].read(_CHUNK if left is None else min(_CHUNK, left))
        if not chunk:
            break
        size += len(chunk)
        left = None if left is None else left - len(chunk)
        if size <= MAX_REQUEST_BYTES:
            parts.append(chunk)
    return b"".join(parts) if size <= MAX_REQUEST_BYTES else None


def _request(environ: dict[str, Any], body: bytes) -> tuple[UrlRequest, str]:
    """The request as the function is to see it, and the identifier of the URL."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    host = headers.get("host", "")
    path = _sent_path(environ)
    by_host, by_path = _HOST.match(host), _PATH.match(path)
    request = UrlRequest(
        method=environ["REQUEST_METHOD"],
        path=path if by_host or by_path is None else path[by_path.end() :] or "/",
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=body,
        protocol=environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        source_ip=environ.get("REMOTE_ADDR", "127.0.0.1"),
        host=host.partition(":")[0],
    )
    match = by_host or by_path
    return request, match.group(1) if match else ""


def _sent_path(environ: dict[str, Any]) -> str:
    """The path as it was sent, with its percent signs: WSGI's own is decoded."""
    return environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0]


def _is_preflight(url: UrlConfig, request: UrlRequest) -> bool:
    asks = {"origin", "access-control-request-method"} <= request.headers.keys()
    return request.method == "OPTIONS" and asks and "Cors" in url.settings


def _cors_headers(cors: dict[str, Any] | None, request: UrlRequest) -> list[tuple[str, str]]:
    """What a URL's Cors configuration adds to an answer: nothing for an origin that it does not name."""
    origin = request.headers.get("origin")
    allowed = (cors or {}).get("AllowOrigins") or []
    if cors is None or origin is None or not {"*", origin}.intersection(allowed):
        return []
    credentials = cors.get("AllowCredentials")
    headers = [
        ("Access-Control-Allow-Origin", "*" if "*" in allowed and not credentials else origin),
        ("Vary", "Origin"),
    ]
    if credentials:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    if exposed := cors.get("ExposeHeaders"):
        headers.append(("Access-Control-Expose-Headers", ",".join(exposed)))
    if request.method == "OPTIONS":
        if methods := cors.get("AllowMethods"):
            headers.append(("Access-Control-Allow-Methods", ",".join(methods)))
        if names := cors.get("AllowHeaders"):
            headers.append(("Access-Control-Allow-Headers", ",".join(names)))
        if "MaxAge" in cors:
            headers.append(("Access-Control-Max-Age", str(cors["MaxAge"])))
    return headers


def _identity(caller: sigv4.Caller) -> dict[str, Any]:
    return {
        "accessKey": caller.access_key,
        "accountId": ACCOUNT_ID,
        "callerId": caller.user_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": caller.arn,
        "userId": caller.user_id,
    }


def _message(status: int, text: str) -> HttpAnswer:
    return _json(status, {"Message": text})


def _denied(text: str | None) -> HttpAnswer:
    """The answer to a caller without permission; without a text, to a request for a URL of no function."""
    return _json(403, {"Message": text}, "AccessDeniedException")


def _json(status: int, value: dict[str, Any], error: str | None = None) -> HttpAnswer:
    headers = [("Content-Type", "application/json"), *([("x-amzn-ErrorType", error)] if error else [])]
    return HttpAnswer(status, headers, json.dumps(value, separators=(",", ":")).encode())


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
