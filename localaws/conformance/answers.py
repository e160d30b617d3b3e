"""A raw answer held against the service's model: its status, its form, and every member.

`read` gives the answer by the names of the model and all that is wrong with it. Real clients forgive much of it.
"""

import base64
import binascii
import json
import re
from typing import Any
from xml.etree import ElementTree

from botocore.model import OperationModel, Shape

from localaws.conformance.elements import read_element, tag
from localaws.conformance.undeclared import NOT_IN_ENUM, NOT_THERE, WRONG_PATTERN
from localaws.conformance.wire import RawAnswer
from localaws.errors import CBOR
from localaws.requests import Unreadable, from_cbor
from localaws.validation import Breach, breaches, compiled_output

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")
RFC = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
CONTENT_TYPES = {
    "json": "application/x-amz-json-1.",
    "rest-json": "application/json",
    "query": "text/xml",
    "ec2": "text/xml",
    "rest-xml": "application/xml",
    CBOR: "application/cbor",
}


class AnswerReader:
    """Reads one answer; `faults` collects what is wrong with it."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def wrong(self, path: str, words: str) -> None:
        self.faults.append(f"{path or 'the answer'} {words}")

    # --- JSON and CBOR ---

    def structure(self, shape: Shape, value: Any, path: str, binary: bool = False) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.wrong(path, f"is not a structure: {value!r}")
            return {}
        names = {each.serialization.get("name", name): (name, each) for name, each in shape.members.items()}
        found = {}
        for name, given in value.items():
            if name not in names:
                self.wrong(f"{path}.{name}", "is not in the model")
            elif given is None:
                self.wrong(f"{path}.{name}", "is null")
            else:
                member, each = names[name]
                found[member] = self.value(each, given, f"{path}.{name}", binary)
        return found

    def value(self, shape: Shape, value: Any, path: str, binary: bool) -> Any:
        kind = shape.type_name
        if kind == "structure":
            return value if getattr(shape, "is_document_type", False) else self.structure(shape, value, path, binary)
        if kind == "list":
            if isinstance(value, list):
                return [self.value(shape.member, each, f"{path}[]", binary) for each in value]
        elif kind == "map":
            if isinstance(value, dict):
                return {name: self.value(shape.value, each, f"{path}.{name}", binary) for name, each in value.items()}
        elif self._is_scalar(shape, value, binary):
            return base64.b64decode(value) if kind == "blob" and isinstance(value, str) else value
        self.wrong(path, f"is not of the type {kind}: {value!r}")
        return {"list": [], "map": {}}.get(kind, value)

    def _is_scalar(self, shape: Shape, value: Any, binary: bool) -> bool:
        kind = shape.type_name
        if kind in ("string", "character"):
            return isinstance(value, str)
        if kind == "boolean":
            return isinstance(value, bool)
        if kind in ("integer", "long", "short", "byte"):
            return isinstance(value, int) and not isinstance(value, bool)
        if kind in ("float", "double"):
            return isinstance(value, int | float) and not isinstance(value, bool)
        if kind == "blob":
            return isinstance(value, bytes) if binary else _is_base64(value)
        if binary:
            return not isinstance(value, str | int | float)  # CBOR has a type for times
        if shape.serialization.get("timestampFormat", "unixTimestamp") == "unixTimestamp":
            return isinstance(value, int | float) and not isinstance(value, bool)
        return isinstance(value, str) and ISO.fullmatch(value) is not None

    # --- headers ---

    def headers(self, shape: Shape, answer: RawAnswer) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, each in shape.members.items():
            place = each.serialization.get("location")
            wire = each.serialization.get("name", name).lower()
            if place == "statusCode":
                found[name] = answer.status
            elif place == "headers":
                found[name] = {key[len(wire) :]: text for key, text in answer.headers.items() if key.startswith(wire)}
            elif place == "header" and wire in answer.headers:
                found[name] = self.text(each, answer.headers[wire], wire)
        return found

    def text(self, shape: Shape, text: str, path: str) -> Any:
        """A scalar that is written as text, in a header or in XML."""
        kind = shape.type_name
        if kind in ("integer", "long", "short", "byte", "float", "double"):
            try:
                return float(text) if kind in ("float", "double") else int(text)
            except ValueError:
                self.wrong(path, f"is not a number: {text!r}")
        elif kind == "boolean":
            if text not in ("true", "false"):
                self.wrong(path, f"is not true or false: {text!r}")
            return text == "true"
        elif kind == "timestamp":
            in_header = shape.serialization.get("location") == "header"
            default = "rfc822" if in_header else "iso8601"
            form = {"rfc822": RFC, "iso8601": ISO}.get(shape.serialization.get("timestampFormat", default))
            if form is not None and not form.fullmatch(text):
                self.wrong(path, f"is not a time of the right form: {text!r}")
        return text


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except binascii.Error:
        return False


def read(operation: OperationModel, protocol: str, answer: RawAnswer) -> tuple[dict[str, Any], list[str]]:
    """The members of a successful answer, and its faults."""
    reader = AnswerReader()
    shape = operation.output_shape
    wanted = operation.http.get("responseCode", 200)
    status_is_a_member = shape is not None and any(
        each.serialization.get("location") == "statusCode" for each in shape.members.values()
    )
    partial = answer.status == 206 and "content-range" in answer.headers
    if answer.status != wanted and not partial and not status_is_a_member:
        reader.wrong("the status", f"is {answer.status}, not {wanted}: {answer.body[:200]!r}")
        return {}, reader.faults
    for name in ("date", "x-amz-request-id" if operation.service_model.service_name == "s3" else "x-amzn-requestid"):
        if name not in answer.headers:
            reader.wrong(f"the header {name}", "is missing")
    if shape is None:
        found = {}
        if protocol in ("query", "ec2"):
            _read_xml(reader, operation, protocol, answer)
    else:
        found = _read_output(reader, operation, protocol, answer)
        member = compiled_output(operation)
        if member is not None:
            service = operation.service_model.service_name
            reader.faults += [
                f"{'.'.join(each.path)} is {each.value!r}: {each.constraint.words}"
                for each in breaches(member, found)
                if not _is_known(service, each)
            ]
    return found, reader.faults


def _is_known(service: str, breach: Breach) -> bool:
    """Whether AWS's own answers break the model so too."""
    named = service, breach.shape.shape.name
    if breach.constraint.kind == "pattern":
        return named in WRONG_PATTERN
    if breach.constraint.kind == "required":
        return (service, breach.name) in NOT_THERE
    return breach.constraint.kind == "enum" and breach.value in NOT_IN_ENUM.get(named, {})


def _read_output(reader: AnswerReader, operation: OperationModel, protocol: str, answer: RawAnswer) -> dict[str, Any]:
    shape = operation.output_shape
    located = reader.headers(shape, answer) if protocol.startswith("rest-") else {}
    payload = shape.serialization.get("payload")
    if payload is not None:
        member = shape.members[payload]
        if member.type_name in ("blob", "string"):
            return {**located, payload: answer.body}
        if not answer.body:
            return located
        if protocol == "rest-xml":
            return {**located, payload: read_element(reader, member, _root(answer.body), "", protocol)}
        return {**located, payload: reader.structure(member, json.loads(answer.body), "")}
    inside = [name for name, each in shape.members.items() if "location" not in each.serialization]
    if not inside and not answer.body:
        return located
    kind = answer.headers.get("content-type", "")
    if not kind.startswith(CONTENT_TYPES[protocol]):
        reader.wrong("the content type", f"is {kind!r}")
    if protocol == CBOR:
        try:
            return {**located, **reader.structure(shape, from_cbor(answer.body), "", binary=True)}
        except Unreadable as error:
            reader.wrong("", f"is not CBOR: {error}")
            return located
    if protocol in ("json", "rest-json"):
        try:
            return {**located, **reader.structure(shape, json.loads(answer.body), "")}
        except ValueError as error:
            reader.wrong("", f"is not JSON: {error}")
            return located
    return {**located, **_read_xml(reader, operation, protocol, answer)}


def _root(body: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(body)  # noqa: S314 from a server on this machine


def _read_xml(reader: AnswerReader, operation: OperationModel, protocol: str, answer: RawAnswer) -> dict[str, Any]:
    try:
        root = _root(answer.body)
    except ElementTree.ParseError as error:
        reader.wrong("", f"is not XML: {error}")
        return {}
    shape = operation.output_shape
    if protocol == "rest-xml":
        return read_element(reader, shape, root, "", protocol)
    if tag(root) != f"{operation.name}Response":
        reader.wrong("the root element", f"is {tag(root)}")
    if protocol == "ec2":
        identified = [each for each in root if tag(each) == "requestId"]
        if len(identified) != 1:
            reader.wrong("requestId", "is missing")
        for each in identified:
            root.remove(each)
        return {} if shape is None else read_element(reader, shape, root, "", protocol)
    metadata = [each for each in root if tag(each) == "ResponseMetadata"]
    if len(metadata) != 1 or [tag(each) for each in metadata[0]] != ["RequestId"]:
        reader.wrong("ResponseMetadata", "has no RequestId")
    if shape is None:
        return {}
    wrapper = shape.serialization.get("resultWrapper")
    result = next((each for each in root if tag(each) == wrapper), None)
    if result is None:
        reader.wrong(str(wrapper), "is missing")
        return {}
    return read_element(reader, shape, result, "", protocol)
