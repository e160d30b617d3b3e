"""Errors in the shape that each AWS service gives them, for requests that moto leaves without a proper answer."""

import contextlib
import json
import re
from http import HTTPStatus
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from botocore.exceptions import UnknownServiceError
from moto.core.model import OperationModel
from moto.core.request import Request
from moto.core.routing import ActionConstraintContext, RequiredArg, SmithyRule, get_service_router, to_uri_params
from moto.core.routing import _get_path_info_for_matching as path_to_match
from moto.core.routing import _match_path as match_path
from moto.core.utils import get_service_model
from werkzeug.exceptions import MethodNotAllowed, NotFound

from localaws.operations import SERVICES, SIGNING_NAMES

Answer = tuple[int, dict[str, str], bytes]

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]*/([a-z0-9-]+)/aws4_request")
_REGION = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/")
CBOR = "smithy-rpc-v2-cbor"
CBOR_HEADERS = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
_CONTENT_TYPES = {
    "rest-json": "application/json",
    "json": "application/x-amz-json-1.1",
    "rest-xml": "application/xml",
}
_REST = ("rest-json", "rest-xml")
# A message may quote a character that XML 1.0 has no way to write (its production 2, Char).
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACEMENT = "\ufffd"
# The code for what AWS has and the local AWS has not. SDKs and Terraform do not send such a request again.
NOT_RUN = "UnknownOperationException"
MOTO_FAILED = "moto, which stores it, failed"


def service_of(environ: dict[str, Any]) -> str:
    """The boto3 name of the service a request is for, from its signature; unsigned requests are S3's."""
    query = environ.get("QUERY_STRING", "").replace("%2F", "/")
    match = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", "")) or _SCOPE.search(query)
    name = match.group(1) if match else "s3"
    if name == "sagemaker" and "HTTP_X_AMZ_TARGET" not in environ:
        return "sagemaker-runtime"
    return SIGNING_NAMES.get(name, name)


def region_of(environ: dict[str, Any]) -> str | None:
    """The region of a request, from its signature."""
    found = _REGION.search(environ.get("HTTP_AUTHORIZATION", ""))
    return found and found[1]


def operation_of(service: str, environ: dict[str, Any]) -> str | None:
    """The AWS name of a request's operation, or None where the service has no such one. Leaves the body unread.

    Only for services whose operation is in a header or in the path, not in the body (EC2, IAM and others).
    """
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2]
    if get_service_model(service).protocol not in _REST:
        return None
    operation, _ = matched(service, environ)
    return operation and operation.name


def matched(service: str, environ: dict[str, Any]) -> tuple[OperationModel | None, dict[str, Any]]:
    """The operation of a request to a REST service, or None, and the labels in its path. Found once per request."""
    known = environ.get("localaws.matched")
    if known is None or known[0] != service:
        known = environ["localaws.matched"] = service, _match(service, environ)
    return known[1]


def _match(service: str, environ: dict[str, Any]) -> tuple[OperationModel | None, dict[str, Any]]:
    """The content type does not select the protocol: in a REST service it belongs to the payload.

    The parameters in the query that name an operation (`?analytics`) count before those that it requires (`&id=`). So a
    request that lacks a required one is a wrong request to its operation, not a right one to another (DeleteBucket).
    """
    router = get_service_router(service)._get_router(_protocol(service))
    request = Request(environ, populate_request=False)
    path = path_to_match(router._get_path(request))
    try:
        rule, labels = match_path(router._map.bind(request.host), path, request.method)
    except (NotFound, MethodNotAllowed):
        return None, {}
    assert isinstance(rule, SmithyRule)
    candidates = [each for each in rule._action_selector.candidates if _is_named(each.operation, request)]
    if not candidates:
        return None, {}
    context = ActionConstraintContext(request)
    missing = {each: sum(not part.accept(context) for part in each.constraints) for each in candidates}
    chosen = max(candidates, key=lambda each: (*_said(each.operation, request), -missing[each], each.weight))
    return chosen.operation, to_uri_params(labels)


def _is_named(operation: OperationModel, request: Request) -> bool:
    """Whether a request has the parameters in its query that name an operation."""
    context = ActionConstraintContext(request)
    return all(RequiredArg(name, value).accept(context) for name, value in operation.http_trait.query_args.items())


def _said(operation: OperationModel, request: Request) -> tuple[int, int]:
    """How many parameters in the query name an operation, and how many that it requires there are."""
    named, shape = operation.http_trait.query_args, operation.input_shape
    required = [] if shape is None else shape.required_query_args
    return len(named), sum(name in request.args for name in required if name not in named)


def for_moto(service: str, environ: dict[str, Any]) -> dict[str, Any]:
    """A request with the content type by which moto knows its protocol: a REST service takes any."""
    return {**environ, "CONTENT_TYPE": "application/json"} if _protocol(service) == "rest-json" else environ


def answer(service: str, code: str, message: str, status: int = 400, protocol: str | None = None) -> Answer:
    """An error answer as `service` would give it: status, headers, body."""
    protocol = protocol or _protocol(service)
    request = f"{uuid4()}"
    identified = {"x-amz-request-id" if service == "s3" else "x-amzn-RequestId": request}
    if protocol == CBOR:
        return status, {**identified, **CBOR_HEADERS}, cbor_map({"__type": code, "message": message})
    headers = {**identified, "Content-Type": _CONTENT_TYPES.get(protocol, "text/xml")}
    if protocol in ("rest-json", "json"):
        body = json.dumps(members(service, code, message))
        return status, {**headers, "X-Amzn-Errortype": code}, body.encode()
    error = f"<Code>{escape(code)}</Code><Message>{escape(_NOT_XML.sub(REPLACEMENT, message))}</Message>"
    if service == "s3":
        body = f"<Error>{error}<RequestId>{request}</RequestId></Error>"
    elif protocol == "ec2":
        body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request}</RequestID></Response>"
    else:
        kind = "Sender" if status < 500 else "Receiver"
        error = f"<Error><Type>{kind}</Type>{error}</Error>"
        body = f"<ErrorResponse>{error}<RequestId>{request}</RequestId></ErrorResponse>"
    return status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()


def members(service: str, code: str, message: str) -> dict[str, str]:
    """What an error has in JSON. Lambda's have the members that its model gives them, and a message without a model."""
    if service != "lambda":
        return {"__type": code, "message": message, "Message": message}
    shape = get_service_model(service).shape_for_error_code(code)
    if shape is None:
        return {"Message" if code == "AccessDeniedException" else "message": message}
    named = {name.lower(): name for name in shape.members}
    typed = {named["type"]: "User"} if "type" in named else {}
    return {**typed, named.get("message", "message"): message}


def unsupported(service: str, operation: str | None, environ: dict[str, Any]) -> Answer:
    """The answer to an operation, or to a whole service, that the local AWS does not have."""
    subject = f"{service} {operation}" if operation else f"this {service} request"
    if service not in SERVICES:
        subject = f"the service {service}"
        protocol = _guessed_protocol(environ)
    else:
        protocol = protocol_of(service, environ)
    message = f"The local AWS does not support {subject}. docs/LOCALAWS.md lists what it does."
    return answer(service, NOT_RUN, message, protocol=protocol)


def not_run(service: str, operation: str, error: Exception, protocol: str) -> Answer:
    """The answer to a request to a stored operation that moto was not written for: it raised `error`."""
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    message = (
        f"The local AWS does not run {service} {operation} with these parameters or for this resource: "
        f"{MOTO_FAILED} ({said}). AWS may take the request. The log of the local AWS has the details."
    )
    return answer(service, NOT_RUN, message, protocol=protocol)


def relabelled(service: str, environ: dict[str, Any], headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers with the content type of the protocol that a request speaks."""
    kept = [(name, value) for name, value in headers if name.lower() != "content-type"]
    return [*kept, ("Content-Type", _CONTENT_TYPES.get(protocol_of(service, environ), "text/xml"))]


def as_json(service: str, headers: list[tuple[str, str]], body: bytes) -> tuple[list[tuple[str, str]], list[bytes]]:
    """An answer of a service that speaks JSON, in AWS's form: its content type, and no members that are null."""
    kind = f"application/x-amz-json-{get_service_model(service).metadata.get('jsonVersion', '1.1')}"
    if b"null" in body:
        with contextlib.suppress(ValueError):
            body = json.dumps(_without_null(json.loads(body))).encode()
    own = ("content-type", "content-length")
    kept = [(name, value) for name, value in headers if name.lower() not in own]
    return [*kept, ("Content-Type", kind), ("Content-Length", str(len(body)))], [body]


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(each) for name, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def protocol_of(service: str, environ: dict[str, Any]) -> str:
    """The protocol that a request speaks: a service may have several."""
    model = get_service_model(service)
    spoken = model.metadata.get("protocols", [model.protocol])
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        wanted: str = CBOR
    elif "HTTP_X_AMZ_TARGET" in environ:
        wanted = "json"
    else:
        wanted = "ec2" if "ec2" in spoken else "query"
    return wanted if wanted in spoken else str(model.protocol)


def cbor_map(texts: dict[str, str]) -> bytes:
    """A map of at most 23 texts in CBOR."""
    encoded = (text.encode() for pair in texts.items() for text in pair)
    return bytes([0xA0 + len(texts)]) + b"".join(b"\x7a" + len(each).to_bytes(4, "big") + each for each in encoded)


def _protocol(service: str) -> str:
    return str(get_service_model(service).protocol)


def _guessed_protocol(environ: dict[str, Any]) -> str:
    """The protocol of a service that is known only by the name it signs with."""
    if "HTTP_X_AMZ_TARGET" in environ:
        return "json"
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return "query"
    try:
        return _protocol(service_of(environ))
    except UnknownServiceError:
        return "rest-json"
