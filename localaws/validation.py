"""What AWS's service model says of a request's members, and which members do not keep to it.

Pure: a model and the parameters of a request go in, a list of breaches comes out. `localaws.refusals` words them as the
service does. The constraints of an operation are compiled once: clients poll several times per second.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import regex
from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape

UNREAD = object()  # the value of a member that was sent and is not looked at
NULL = "Member must not be null"
SCALARS = ("string", "blob", "boolean", "integer", "long", "float", "double", "timestamp", "character", "byte", "short")

# Where a model is wrong or looser than AWS: service and shape, what replaces it, and why.
CORRECTIONS: dict[tuple[str, str], tuple[dict[str, Any], str]] = {
    ("ec2", "PlacementGroupArn"): (
        {"pattern": r"arn:aws([a-z-]+)?:ec2:[a-z\d-]+:\d{12}:placement-group/.{1,255}"},
        "the model's pattern has ^ and $ in its middle, so that no text matches it",
    ),
}

# Java's words for what Python's `regex` writes otherwise.
_JAVA = ((r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"), (r"\z", r"\Z"))
_UNICODE = re.compile(r"\\[pP]\{[A-Z][a-z]?\}")


@dataclass(frozen=True)
class Constraint:
    """One sentence that a value must keep to: `kind` is required, length, range, enum, pattern or nested."""

    kind: str
    words: str


@dataclass(frozen=True)
class Breach:
    """A member that breaks a constraint. `path` is its name in the model, with the numbers of lists."""

    path: tuple[str, ...]
    value: Any
    constraint: Constraint
    shape: "Member"

    @property
    def name(self) -> str:
        """The last name in the path that is not a number of a list."""
        return next(name for name in reversed(self.path) if not name.isdigit() and name != "member")


@dataclass
class Member:
    """The compiled constraints of a shape."""

    shape: Shape
    required: frozenset[str] = frozenset()
    members: "dict[str, Member]" = field(default_factory=dict)
    element: "Member | None" = None  # of a list, or the value of a map
    key: "Member | None" = None
    least: float | None = None
    most: float | None = None
    enum: tuple[str, ...] = ()
    pattern: "regex.Pattern | None" = None
    expression: str = ""  # the pattern as the model has it

    @property
    def kind(self) -> str:
        return self.shape.type_name

    @functools.cached_property
    def sensitive(self) -> bool:
        return bool(self.shape.metadata.get("sensitive"))

    @functools.cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """Every constraint on a value itself, in the order in which AWS lists them for the values of a map."""
        sized = self.kind in ("string", "blob", "list", "map")
        kind, words = ("length", "length") if sized else ("range", "value")
        found = []
        if self.most is not None:
            found.append(Constraint(kind, f"Member must have {words} less than or equal to {self.number(self.most)}"))
        if self.least is not None:
            found.append(
                Constraint(kind, f"Member must have {words} greater than or equal to {self.number(self.least)}")
            )
        if self.enum:
            found.append(Constraint("enum", f"Member must satisfy enum value set: [{', '.join(self.enum)}]"))
        if self.pattern is not None:
            text = f"Member must satisfy regular expression pattern: {self.expression}"
            found.append(Constraint("pattern", text))
        return tuple(found)

    def number(self, value: float) -> str:
        """A number as Java prints it."""
        return str(float(value) if self.kind in ("double", "float") else int(value))

    def broken(self, value: Any) -> Iterator[Constraint]:
        """The constraints on a value itself that it breaks."""
        size: float | None = None
        if self.least is not None or self.most is not None:
            size = _size(self.kind, value)
        for constraint in self.constraints:
            if constraint.kind in ("length", "range"):
                less = constraint.words.rpartition(" ")[0].endswith("less than or equal to")
                if size is None or (size <= (self.most or 0) if less else size >= (self.least or 0)):
                    continue
            elif constraint.kind == "enum":
                if value in self.enum:
                    continue
            elif not isinstance(value, str) or self.pattern is None or self.pattern.fullmatch(value):
                continue
            yield constraint


_operations: dict[tuple[str, str], Member | None] = {}


def compiled(operation: OperationModel) -> Member | None:
    """The constraints of an operation's input; None if it has no input."""
    named = operation.service_model.service_name, operation.name
    if named not in _operations:
        shape = operation.input_shape
        _operations[named] = None if shape is None else _compile(named[0], shape, {})
    return _operations[named]


def compiled_output(operation: OperationModel) -> Member | None:
    """The constraints of an operation's output; None if it has no output."""
    shape = operation.output_shape
    return None if shape is None else _compile(operation.service_model.service_name, shape, {})


def _compile(service: str, shape: Shape, known: dict[tuple[str, str], Member]) -> Member:
    # Shapes may contain themselves. Members of one shape have their own names on the wire, which messages need.
    named = shape.name, repr(sorted(shape.serialization.items()))
    if named in known:
        return known[named]
    corrected, _ = CORRECTIONS.get((service, shape.name), ({}, ""))
    given = {**shape.metadata, **corrected}
    member = known[named] = Member(shape, least=given.get("min"), most=given.get("max"))
    if isinstance(shape, StructureShape):
        member.required = frozenset(given.get("required", ()))
        member.members = {name: _compile(service, each, known) for name, each in shape.members.items()}
    elif isinstance(shape, ListShape):
        member.element = _compile(service, shape.member, known)
    elif isinstance(shape, MapShape):
        member.key = _compile(service, shape.key, known)
        member.element = _compile(service, shape.value, known)
    elif isinstance(shape, StringShape):
        member.enum = tuple(given.get("enum", ()))
    if given.get("pattern"):
        member.expression = given["pattern"]
        member.pattern = pattern_of(member.expression)
    return member


@functools.cache
def pattern_of(text: str) -> "regex.Pattern":
    """A pattern of a service model. Java's classes are ASCII's, except for the categories of Unicode."""
    for java, python in _JAVA:
        text = text.replace(java, python)
    return regex.compile(text, 0 if _UNICODE.search(text) else regex.ASCII)


def breaches(member: Member, value: Any, path: tuple[str, ...] = ()) -> Iterator[Breach]:
    """What in a value breaks the constraints of its shape. Members that the model does not know are left alone."""
    if value is UNREAD:
        return
    for constraint in member.broken(value):
        yield Breach(path, value, constraint, member)
    if member.members:
        for name, each in member.members.items():
            given = value.get(name)
            if given is not None:
                yield from breaches(each, given, (*path, name))
            elif name in member.required:
                yield Breach((*path, name), None, Constraint("required", NULL), each)
    elif member.kind == "list":
        yield from _of_list(member, value, path)
    elif member.kind == "map":
        yield from _of_map(member, value, path)


def _of_list(member: Member, value: list, path: tuple[str, ...]) -> Iterator[Breach]:
    element = member.element
    assert element is not None
    if element.kind in SCALARS:
        if any(next(element.broken(each), None) for each in value if each is not None):
            yield Breach(path, value, _nested("Member", element), member)
        return
    for number, each in enumerate(value, 1):
        if each is not None:
            yield from breaches(element, each, (*path, str(number), "member"))


def _of_map(member: Member, value: dict, path: tuple[str, ...]) -> Iterator[Breach]:
    key, element = member.key, member.element
    assert key is not None and element is not None
    if any(next(key.broken(each), None) for each in value):
        yield Breach(path, value, _nested("Map keys", key), member)
    if element.kind in SCALARS:
        if any(next(element.broken(each), None) for each in value.values() if each is not None):
            yield Breach(path, value, _nested("Map value", element), member)
        return
    for name, each in value.items():
        if each is not None:
            yield from breaches(element, each, (*path, name, "member"))


def _nested(subject: str, member: Member) -> Constraint:
    words = ", ".join(each.words for each in member.constraints)
    return Constraint("nested", f"{subject} must satisfy constraint: [{words}]")


def _size(kind: str, value: Any) -> float | None:
    """What a limit of the model limits: a length, or the number itself; None for what cannot be measured."""
    if kind == "blob" and isinstance(value, str):  # base64
        return len(value) * 3 // 4 - value[-2:].count("=")
    if kind == "blob":
        return len(value)
    if kind in ("string", "list", "map"):
        return len(value)
    return value if isinstance(value, int | float) else None
