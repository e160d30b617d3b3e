"""Errors in the shape that each AWS service gives them, for requests that moto leaves without a proper answer."""

import json
import re
from http import HTTPStatus
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from botocore.exceptions import UnknownServiceError
from moto.core.model import OperationModel
from moto.core.request import Request
from moto.core.routing import NotFound, get_service_router
from moto.core.utils import get_service_model

from localaws.operations import SERVICES, SIGNING_NAMES

Answer = tuple[int, dict[str, str], bytes]

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]*/([a-z0-9-]+)/aws4_request")
CBOR = "smithy-rpc-v2-cbor"
_CONTENT_TYPES = {"rest-json": "application/json", "json": "application/x-amz-json-1.1"}
_REST = ("rest-json", "rest-xml")


def service_of(environ: dict[str, Any]) -> str:
    """The boto3 name of the service a request is for, from its signature; unsigned requests are S3's."""
    query = environ.get("QUERY_STRING", "").replace("%2F", "/")
    match = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", "")) or _SCOPE.search(query)
    name = match.group(1) if match else "s3"
    if name == "sagemaker" and "HTTP_X_AMZ_TARGET" not in environ:
        return "sagemaker-runtime"
    return SIGNING_NAMES.get(name, name)


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
        try:
            found = get_service_router(service).match(Request(environ, populate_request=False))
        except (NotFound, NotImplementedError):
            found = None, {}
        known = environ["localaws.matched"] = service, found
    return known[1]


def answer(service: str, code: str, message: str, status: int = 400, protocol: str | None = None) -> Answer:
    """An error answer as `service` would give it: status, headers, body."""
    protocol = protocol or _protocol(service)
    if protocol == CBOR:
        fields = {"__type": code, "message": message}
        content = b"\xa2" + b"".join(_cbor_text(text) for pair in fields.items() for text in pair)
        return status, {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}, content
    headers = {"Content-Type": _CONTENT_TYPES.get(protocol, "text/xml")}
    if protocol in _CONTENT_TYPES:
        body = json.dumps({"__type": code, "message": message, "Message": message})
        return status, {**headers, "X-Amzn-Errortype": code}, body.encode()
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    request = f"{uuid4()}"
    if service == "s3":
        body = f"<Error>{error}<RequestId>{request}</RequestId></Error>"
    elif protocol == "ec2":
        body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request}</RequestID></Response>"
    else:
        kind = "Sender" if status < 500 else "Receiver"
        error = f"<Error><Type>{kind}</Type>{error}</Error>"
        body = f"<ErrorResponse>{error}<RequestId>{request}</RequestId></ErrorResponse>"
    return status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()


def unsupported(service: str, operation: str | None, environ: dict[str, Any]) -> Answer:
    """The answer to an operation, or to a whole service, that the local AWS does not have."""
    subject = f"{service} {operation}" if operation else f"this {service} request"
    if service not in SERVICES:
        subject = f"the service {service}"
        protocol = _guessed_protocol(environ)
    else:
        protocol = protocol_of(service, environ)
    message = f"The local AWS does not support {subject}. docs/LOCALAWS.md lists what it does."
    return answer(service, "UnknownOperationException", message, protocol=protocol)


def relabelled(service: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers with the content type of the service's protocol."""
    kept = [(name, value) for name, value in headers if name.lower() != "content-type"]
    return [*kept, ("Content-Type", _CONTENT_TYPES.get(_protocol(service), "text/xml"))]


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


def _cbor_text(text: str) -> bytes:
    content = text.encode()
    return b"\x7a" + len(content).to_bytes(4, "big") + content


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
