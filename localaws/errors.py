"""Errors in the shape that each AWS service gives them, for requests that moto leaves without a proper answer."""

import json
import re
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from moto.core.model import OperationModel
from moto.core.request import Request
from moto.core.responses import ActionContext, ActionResult, BaseResponse, ServiceException
from moto.core.routing import NotFound, get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from localaws.operations import SERVICES, SIGNING_NAMES

Answer = tuple[int, dict[str, str], bytes]

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]*/([a-z0-9-]+)/aws4_request")
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

    Only for services whose operation is in a header or in the path, not in the body (EC2, IAM and their like).
    """
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2]
    if get_service_model(service).protocol not in _REST:
        return None
    try:
        operation, _ = get_service_router(service).match(Request(environ, populate_request=False))
    except (NotFound, NotImplementedError):
        return None
    return operation.name


def answer(service: str, code: str, message: str, status: int = 400) -> Answer:
    """An error answer as `service` would give it: status, headers, body."""
    if service not in SERVICES:
        return _answer_of_unknown(code, message, status)
    model = get_service_model(service)
    serializer = get_serializer_class(service, str(model.protocol))
    context = ActionContext(model, OperationModel({}, model), serializer, BaseResponse(service))
    _, headers, body = ActionResult(ServiceException(code, message)).execute_result(context)
    return status, {**headers, "X-Amzn-Errortype": code}, body.encode() if isinstance(body, str) else body


def unsupported(service: str, operation: str | None) -> Answer:
    """The answer to an operation that the local AWS does not have."""
    subject = f"{service} {operation}" if operation else f"this {service} request"
    if service not in SERVICES:
        subject = f"the service {service}"
    return answer(
        service,
        "UnknownOperationException",
        f"The local AWS does not support {subject}. docs/LOCALAWS.md lists what it does.",
    )


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _answer_of_unknown(code: str, message: str, status: int) -> Answer:
    """JSON and XML clients both find their code: the first in the header, the second in the body."""
    headers = {"Content-Type": "application/json", "X-Amzn-Errortype": code}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()


def s3_body(code: str, message: str) -> bytes:
    return f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>".encode()
