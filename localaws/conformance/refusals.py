"""A raw refusal held against the service's model: its code, its status, the form of its protocol."""

import json
from dataclasses import dataclass, field
from xml.etree import ElementTree

from botocore.model import OperationModel

from localaws.conformance.answers import CONTENT_TYPES
from localaws.conformance.elements import tag
from localaws.conformance.wire import RawAnswer
from localaws.errors import CBOR
from localaws.requests import from_cbor


@dataclass
class ErrorAnswer:
    """An error answer: its code, its message, and what is wrong with its form."""

    code: str = ""
    message: str = ""
    faults: list[str] = field(default_factory=list)


def codes_of(operation: OperationModel) -> dict[str, int | None]:
    """The codes of the errors that an operation declares, with their status if the model has it."""
    found = {}
    for shape in operation.error_shapes:
        error = shape.metadata.get("error", {})
        found[error.get("code", shape.name)] = error.get("httpStatusCode")
    return found


def read_refusal(operation: OperationModel, protocol: str, answer: RawAnswer) -> ErrorAnswer:
    """Read an error answer strictly."""
    if answer.status < 400:
        return ErrorAnswer(faults=[f"is not refused: {answer.status} {answer.body[:200]!r}"])
    service = operation.service_model.service_name
    found = _read(protocol, answer, wrapped=service != "s3")
    identifier = "x-amz-request-id" if service == "s3" else "x-amzn-requestid"
    found.faults += [f"has no header {name}" for name in ("date", identifier) if name not in answer.headers]
    if not answer.headers.get("content-type", "").startswith(CONTENT_TYPES[protocol]) and answer.body:
        found.faults.append(f"has the content type {answer.headers.get('content-type')!r}")
    if not found.message and answer.body:
        found.faults.append("has no message")
    # A model may name an error by its shape or by its code: CloudWatch's two protocols have one each.
    shape = operation.service_model.shape_for_error_code(found.code)
    wanted = shape and shape.metadata.get("error", {}).get("httpStatusCode")
    if wanted and wanted != answer.status:
        found.faults.append(f"has the status {answer.status}: {found.code} has {wanted}")
    if not found.code and answer.body:
        found.faults.append(f"has no code: {answer.body[:200]!r}")
    return found


def _read(protocol: str, answer: RawAnswer, wrapped: bool) -> ErrorAnswer:
    if not answer.body:  # of a HEAD request
        return ErrorAnswer(code=str(answer.status))
    if protocol in ("json", "rest-json", CBOR):
        try:
            body = from_cbor(answer.body) if protocol == CBOR else json.loads(answer.body)
        except ValueError:
            return ErrorAnswer(faults=[f"is not JSON: {answer.body[:200]!r}"])
        header = answer.headers.get("x-amzn-errortype", "")
        code = header if protocol == "rest-json" else body.get("__type", "")
        return ErrorAnswer(code.split(":")[0].rpartition("#")[2], body.get("message") or body.get("Message") or "")
    try:
        root = ElementTree.fromstring(answer.body)  # noqa: S314 from a server on this machine
    except ElementTree.ParseError:
        return ErrorAnswer(faults=[f"is not XML: {answer.body[:200]!r}"])
    parents = {"ec2": ["Response", "Errors", "Error"], "query": ["ErrorResponse", "Error"]}.get(protocol, ["Error"])
    node: ElementTree.Element | None = root
    for number, name in enumerate(parents):
        node = root if number == 0 else next((each for each in node if tag(each) == name), None)
        if node is None or tag(node) != name:
            return ErrorAnswer(faults=[f"is not a {' '.join(parents)}: {answer.body[:200]!r}"])
    texts = {tag(each): each.text or "" for each in node}
    found = ErrorAnswer(texts.get("Code", ""), texts.get("Message", ""))
    if protocol == "query" and texts.get("Type") not in ("Sender", "Receiver"):
        found.faults.append("has no Type")
    tags = {"ec2": "RequestID", "query": "RequestId", "rest-xml": "RequestId"}
    if tags[protocol] not in [tag(each) for each in (root if wrapped else node)]:
        found.faults.append(f"has no {tags[protocol]} in its body")
    return found
