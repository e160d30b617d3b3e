"""Convert events of HTTP to requests, and answers to responses in the form of their event.

    function URL, API Gateway HTTP API   payload format 2.0: requestContext.http
    API Gateway REST API and format 1.0  httpMethod, multiValueHeaders
    Application Load Balancer            the same, requestContext.elb; the answer needs a statusDescription

`isBase64Encoded` decides, whatever the content type, because hosts encode different bodies.
Sources: "Create AWS Lambda proxy integrations" and "Lambda functions as targets" in AWS's guides.
"""

import base64
import http
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
    caller: str = ""  # the address of the caller as AWS saw it, "" if the host does not tell


def is_http(event: object) -> bool:
    """Whether the event is from a function URL, an API Gateway or a load balancer. A direct invoke has other JSON."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    return isinstance(context, dict) and (isinstance(context.get("http"), dict) or _is_format_1(event))


def _is_format_1(event: object) -> bool:
    return isinstance(event, dict) and isinstance(event.get("httpMethod"), str)


def read_http(event: dict) -> HttpRequest:
    """Raises ApiError 400 if the body does not match `isBase64Encoded`."""
    context = event["requestContext"]
    headers, query = _mapping(event.get("headers")), _mapping(event.get("queryStringParameters"))
    if _is_format_1(event):
        method, path = event["httpMethod"], event.get("path")
        headers = {**_last(event.get("multiValueHeaders")), **headers}
        query = {**_last(event.get("multiValueQueryStringParameters")), **query}
    else:
        method, path = context["http"].get("method", ""), event.get("rawPath") or context["http"].get("path")
    return HttpRequest(
        method=str(method).upper(),
        path=str(path or "/") if _is_function_url(event) else _behind_gateway(str(path or "/")),
        headers={str(name).lower(): str(value) for name, value in headers.items()},
        query={str(name): str(value) for name, value in query.items()},
        body=_body(event),
        caller=str(_mapping(context.get("http") or context.get("identity")).get("sourceIp", "")),
    )


def _is_function_url(event: dict) -> bool:
    """API Gateway's domains are under execute-api, or are the user's own, with the ID of an API."""
    domain = str(event["requestContext"].get("domainName", ""))
    return not _is_format_1(event) and (".lambda-url." in domain or ".execute-api." not in domain)


def _behind_gateway(path: str) -> str:
    """The routes of a gateway decide which paths reach the function: /prod, /predict. All of them are /."""
    return next((own for own in ("/favicon.ico", "/upload-url") if path.endswith(own)), "/")


def _last(values: object) -> dict:
    return {name: each[-1] for name, each in _mapping(values).items() if isinstance(each, list) and each}


def in_its_form(event: object, response: dict) -> dict:
    """The response as the sender of the event expects it."""
    if not is_http(event) or not isinstance(event, dict) or "elb" not in event["requestContext"]:
        return response
    status = response["statusCode"]
    answer = {**response, "statusDescription": f"{status} {http.HTTPStatus(status).phrase}"}
    answer.setdefault("body", "")
    answer.setdefault("isBase64Encoded", False)
    if isinstance(event.get("multiValueHeaders"), dict):  # the load balancer then ignores `headers`
        answer["multiValueHeaders"] = {name: [value] for name, value in answer.pop("headers").items()}
    return answer


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
    seconds = error.retry_after or RETRY_AFTER_SECONDS
    retry = {"retry-after": str(seconds)} if error.status == 429 else {}
    return json_response(error.status, error.to_dict(request_id), {**retry, **(headers or {})})


def no_content() -> dict:
    return {"statusCode": 204, "headers": {"cache-control": "max-age=86400"}}
