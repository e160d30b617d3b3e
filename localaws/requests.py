"""A raw request in the terms of the service model: which operation, and the parameters as they were sent.

Values keep the form that they have on the wire if it is a right one for their shape. A value of another type raises
`Unreadable`, because no service reads further then. Bodies that are the payload itself are never read: objects of S3,
events of Lambda, requests to endpoints.
"""

import functools
import gzip
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, parse_qsl
from xml.etree import ElementTree

from botocore.model import Shape
from botocore.parsers import BaseCBORParser
from moto.core.model import OperationModel
from moto.core.utils import get_service_model

from localaws.errors import CBOR, matched, protocol_of
from localaws.validation import UNREAD

MOST_UNPACKED = 64 << 20  # bytes of a compressed body. AWS takes 1 MB (PutMetricData)
NUMBERS = ("integer", "long", "short", "byte", "float", "double")

# The names that Amazon's servers have for the types of JSON, and for those that they wanted.
TOKENS = {str: "STRING_VALUE", bool: "TRUE_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}
WANTED = {
    "string": "a String",
    "character": "a String",
    "timestamp": "a Date",
    "boolean": "a Boolean",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "blob": "a Blob",
}


class Unreadable(Exception):
    """A request that a service cannot read: `kind` is json, type, xml, empty or unknown. Its text is Amazon's."""

    def __init__(self, kind: str, words: str, name: str = "", value: str = ""):
        super().__init__(words)
        self.kind = kind
        self.name = name
        self.value = value


@dataclass
class ApiRequest:
    """A request to an operation, read."""

    service: str
    operation: OperationModel
    protocol: str
    params: dict[str, Any]


def read(service: str, environ: dict[str, Any]) -> ApiRequest | None:
    """A request, with its body put back for the next reader; None if it is for no operation of the model.

    Raises `Unreadable` with the operation that it is for.
    """
    protocol = protocol_of(service, environ)
    if protocol in ("query", "ec2"):
        return _read_form(service, protocol, environ)
    if protocol in ("rest-json", "rest-xml"):
        return _read_rest(service, protocol, environ)
    return _read_named(service, protocol, environ)


# --- the operation is named, the body has the parameters ---


def _read_named(service: str, protocol: str, environ: dict[str, Any]) -> ApiRequest | None:
    model = get_service_model(service)
    if protocol == CBOR:
        name = environ["PATH_INFO"].rpartition("/")[2]
    else:
        prefix, _, name = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
        if prefix != model.metadata.get("targetPrefix"):
            return None
    if name not in _names(service):
        return None
    operation, body = model.operation_model(name), body_of(environ)
    given: Any = {}
    if body:
        given = from_cbor(body) if protocol == CBOR else _from_json(body)
    shape = operation.input_shape
    params = {} if shape is None else read_json(shape, given)
    return ApiRequest(service, operation, protocol, params or {})


@functools.cache
def _names(service: str) -> frozenset[str]:
    return frozenset(get_service_model(service).operation_names)


def _from_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("json", str(error)) from None


def from_cbor(body: bytes) -> Any:
    """What a body in CBOR says: times as datetime, blobs as bytes. Raises Unreadable."""
    parser = BaseCBORParser()
    try:
        return parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))
    except Exception as error:  # what a broken body raises depends on where it is broken
        raise Unreadable("json", f"{type(error).__name__}: {error}") from None


def read_json(shape: Shape, value: Any) -> Any:
    """A value of JSON or CBOR by the names of its shape. Raises Unreadable for one of another type."""
    kind = shape.type_name
    if value is None or getattr(shape, "is_document_type", False):
        return value
    if kind == "structure":
        if not isinstance(value, dict):
            raise _unexpected(value)
        members = _members(shape)
        return {members[name][0]: read_json(members[name][1], each) for name, each in value.items() if name in members}
    if kind == "list":
        if not isinstance(value, list):
            raise _unexpected(value, "Expected list or null")
        return [read_json(shape.member, each) for each in value]
    if kind == "map":
        if not isinstance(value, dict):
            raise _unexpected(value)
        return {name: read_json(shape.value, each) for name, each in value.items()}
    if not _is_scalar(kind, value):
        raise _unexpected(value, wanted=WANTED.get(kind, "a Number"))
    return value


def _members(shape: Shape) -> dict[str, tuple[str, Shape]]:
    """The members of a structure by their names in JSON. Kept with the shape: models are made once."""
    known = shape.__dict__.get("_members_in_json")
    if known is None:
        known = {each.serialization.get("name", name): (name, each) for name, each in shape.members.items()}
        shape.__dict__["_members_in_json"] = known
    return known


def _is_scalar(kind: str, value: Any) -> bool:
    if kind in ("string", "character"):
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("float", "double") and isinstance(value, str):
        return value in ("NaN", "Infinity", "-Infinity")
    if kind in NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "blob":
        return isinstance(value, str | bytes)
    return not isinstance(value, dict | list | bool)


def _unexpected(value: Any, words: str = "Expected null", wanted: str = "") -> Unreadable:
    if isinstance(value, dict):
        words = "Start of structure or map found where not expected."
    elif isinstance(value, list):
        words = "Start of list found where not expected"
    elif wanted:
        token = "FALSE_VALUE" if value is False else TOKENS.get(type(value), "VALUE")
        words = f"{token} can not be converted to {wanted}"
    return Unreadable("type", words)


# --- query and ec2: a form whose names say the structure ---


def _read_form(service: str, protocol: str, environ: dict[str, Any]) -> ApiRequest | None:
    pairs = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if environ["REQUEST_METHOD"] == "POST":
        pairs += parse_qsl(body_of(environ).decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(pairs)
    name = form.get("Action")
    if name not in _names(service):
        return None
    operation = get_service_model(service).operation_model(name)
    shape = operation.input_shape
    tree = _tree(form)
    params = {} if shape is None else read_form(shape, tree, protocol)
    if protocol == "ec2" and (name := _unknown(shape, tree)):
        raise Unreadable("unknown", f"The parameter {name} is not recognized", name)
    return ApiRequest(service, operation, protocol, params or {})


# Fields of a form that belong to no operation: its name, and what older clients and presigned addresses sign with.
OF_EVERY_FORM = ("Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp")


def _unknown(shape: Shape | None, tree: Any) -> str:
    """The first field of a form of EC2 that its shape does not have, "" if there is none.

    Of `BlockDeviceMapping.1.VolumeType` EC2 names `VolumeType` (chef/knife-ec2 #444; also appoxy/aws #32).
    """
    if not isinstance(tree, dict):
        return ""
    if shape is None or shape.type_name == "structure":
        members = {} if shape is None else shape.members
        names = {form_name(each, member, "ec2"): each for member, each in members.items()}
        for name, inside in tree.items():
            if name in OF_EVERY_FORM or name.startswith("X-Amz-") or not name:
                continue
            if name not in names:
                return name
            if found := _unknown(names[name], inside):
                return found
    elif shape.type_name == "list":
        return next((found for each in _numbered(shape, tree) if (found := _unknown(shape.member, each))), "")
    return ""


def _tree(form: Mapping[str, str]) -> dict[str, Any]:
    """`A.1.B=x` as {"A": {"1": {"B": x}}}; a value that has both itself and members has itself under ""."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        *parents, last = name.split(".")
        here = tree
        for each in parents:
            there = here.setdefault(each, {})
            if isinstance(there, str):
                there = here[each] = {"": there}
            here = there
        if isinstance(here.get(last), dict):
            here[last][""] = value
        else:
            here[last] = value
    return tree


def read_form(shape: Shape, tree: Any, protocol: str, name: str = "") -> Any:
    """The value of a shape in the tree of a form. Raises Unreadable for a number that is not one."""
    kind = shape.type_name
    if kind in ("structure", "list", "map") and not isinstance(tree, dict):
        return {} if kind == "map" else [] if kind == "list" else None
    if kind == "structure":
        found = {}
        for member, each in shape.members.items():
            wire = form_name(each, member, protocol)
            if wire in tree:
                found[member] = read_form(each, tree[wire], protocol, wire)
        return found
    if kind == "list":
        return [read_form(shape.member, each, protocol, name) for each in _numbered(shape, tree)]
    if kind == "map":
        return _read_form_map(shape, tree, protocol)
    text = tree.get("", "") if isinstance(tree, dict) else tree
    return scalar(kind, text, name)


def form_name(shape: Shape, member: str, protocol: str) -> str:
    """The name of a member in a form."""
    given = shape.serialization
    if protocol == "ec2":
        if "queryName" in given:
            return given["queryName"]
        named = given.get("name", member)
        return named[:1].upper() + named[1:]
    if shape.type_name == "list" and given.get("flattened"):
        return shape.member.serialization.get("name") or given.get("name", member)
    return given.get("name", member)


def _numbered(shape: Shape, tree: dict[str, Any]) -> list[Any]:
    """The elements of a list, with or without the name that the protocol puts before their numbers."""
    named = shape.member.serialization.get("name", "member")
    for each in (tree, tree.get(named), tree.get("member"), tree.get("entry")):
        if isinstance(each, dict):
            numbers = sorted((number for number in each if number.isdigit()), key=int)
            if numbers:
                return [each[number] for number in numbers]
    return []


def _read_form_map(shape: Shape, tree: dict[str, Any], protocol: str) -> dict[str, Any]:
    entries = tree.get("entry", tree)
    found = {}
    for number, each in entries.items():
        if number.isdigit() and isinstance(each, dict):
            key = each.get(shape.key.serialization.get("name", "key"), "")
            value = each.get(shape.value.serialization.get("name", "value"), "")
            found[str(key)] = read_form(shape.value, value, protocol)
    return found


def scalar(kind: str, text: str, name: str) -> Any:
    """A scalar that came as text."""
    try:
        if kind in ("integer", "long", "short", "byte"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
    except ValueError:
        raise Unreadable("type", f"Value ({text}) for parameter {name} is invalid.", name, text) from None
    if kind == "boolean":
        if text.lower() not in ("true", "false", "1", "0"):
            raise Unreadable("type", f"Value ({text}) for parameter {name} is invalid.", name, text)
        return text.lower() in ("true", "1")
    return text


# --- rest-json and rest-xml: path, query, headers, body ---


def _read_rest(service: str, protocol: str, environ: dict[str, Any]) -> ApiRequest | None:
    operation, labels = matched(service, environ)
    if operation is None:
        return None
    shape = operation.input_shape
    if shape is None:
        return ApiRequest(service, operation, protocol, {})
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    params = {}
    for member, each in shape.members.items():
        value = _located(each, member, labels, query, environ)
        if value is not None:
            params[member] = value
    payload = shape.serialization.get("payload")
    if payload is None:
        params |= _read_rest_body(shape, protocol, environ)
    elif shape.members[payload].type_name in ("structure", "list", "map"):
        params |= _read_payload(shape.members[payload], payload, protocol, environ)
    else:
        params[payload] = UNREAD
    return ApiRequest(service, operation, protocol, params)


def _located(shape: Shape, member: str, labels: dict, query: dict[str, list[str]], environ: dict) -> Any:
    """A member that is in the path, in the query or in a header."""
    place, name = shape.serialization.get("location"), shape.serialization.get("name", member)
    if place == "uri":
        text = labels.get(name)
    elif place == "querystring":
        values = query.get(name)
        if values is None or shape.type_name == "map":
            return None
        if shape.type_name == "list":
            return values
        text = values[0]
        if text == "" and shape.type_name != "string":
            return None
    elif place == "header":
        text = environ.get(_header(name))
        if text is not None and shape.type_name == "list":
            return [each.strip() for each in text.split(",")]
    else:
        return None
    return None if text is None else scalar(shape.type_name, text, name)


def _header(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _read_rest_body(shape: Shape, protocol: str, environ: dict[str, Any]) -> dict[str, Any]:
    inside = {name for name, each in shape.members.items() if "location" not in each.serialization}
    body = body_of(environ) if inside else b""
    if not body.strip():
        return {}
    given = read_json(shape, _from_json(body)) if protocol == "rest-json" else read_xml(shape, _from_xml(body))
    return {name: value for name, value in (given or {}).items() if name in inside}


def _read_payload(shape: Shape, member: str, protocol: str, environ: dict[str, Any]) -> dict[str, Any]:
    if "aws-chunked" in environ.get("HTTP_CONTENT_ENCODING", ""):
        return {member: UNREAD}
    body = body_of(environ)
    if not body.strip():
        return {}
    if protocol == "rest-json":
        return {member: read_json(shape, _from_json(body))}
    return {member: read_xml(shape, _from_xml(body))}


def _from_xml(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)  # noqa: S314 today's expat limits what entities expand to
    except ElementTree.ParseError as error:
        raise Unreadable("xml", str(error)) from None


def read_xml(shape: Shape, node: ElementTree.Element) -> Any:
    """The value of a shape in an XML element."""
    if shape.type_name == "structure":
        found: dict[str, Any] = {}
        known = set()
        for member, each in shape.members.items():
            name = each.serialization.get("name", member)
            known |= {name, each.member.serialization.get("name") if each.type_name == "list" else name}
            if each.type_name == "list" and each.serialization.get("flattened"):
                name = each.member.serialization.get("name") or name
                children = [read_xml(each.member, child) for child in node if _tag(child) == name]
                if children:
                    found[member] = children
                continue
            for child in node:
                if _tag(child) == name:
                    found[member] = read_xml(each, child)
            if each.serialization.get("xmlAttribute"):
                wanted = name.partition(":")[2]
                for key, text in node.attrib.items():
                    if key.rpartition("}")[2] == wanted:
                        found[member] = text
        if unknown := next((_tag(child) for child in node if _tag(child) not in known), None):
            raise Unreadable("xml", f"{unknown} is not in the schema")  # S3 refuses it: aws/aws-sdk-cpp #1848
        return found
    if shape.type_name == "list":
        return [read_xml(shape.member, child) for child in node]
    if shape.type_name == "map":
        return {}
    return scalar(shape.type_name, (node.text or "").strip(), _tag(node))


def _tag(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


# --- the body ---


def body_of(environ: dict[str, Any]) -> bytes:
    """The whole body, without its compression; the next reader finds it as it came. Raises Unreadable for a bomb."""
    sent = environ["wsgi.input"].read()
    environ["wsgi.input"] = io.BytesIO(sent)
    if environ.get("HTTP_CONTENT_ENCODING") == "gzip":
        try:
            with gzip.open(io.BytesIO(sent)) as file:
                body = file.read(MOST_UNPACKED + 1)
        except (OSError, EOFError, zlib.error):
            return sent
        if len(body) > MOST_UNPACKED:
            raise Unreadable("json", f"The body has more than {MOST_UNPACKED:,} bytes without its compression.")
        return body
    return sent
