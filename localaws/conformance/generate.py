"""Parameters made from a service model: small valid ones, and some that break one constraint each.

Pure. `localaws.validation` has the constraints; `localaws.conformance.wire` writes and sends the requests.
"""

import functools
from collections.abc import Iterator
from typing import Any

import regex

from localaws.conformance.patterns import sample
from localaws.validation import Member

# Texts for patterns with conditions that a text cannot be built from.
SAMPLES = ("a1", "1", "ab", "a/b")
NOT_TEXT = "\u0007"  # a character that hardly any pattern takes
LONG = 100_000  # a text above this length is not made
MANY = 100  # nor a list of more elements


@functools.cache
def text_for(pattern: "regex.Pattern | None", least: int, most: int | None) -> str:
    """A text that matches. Raises ValueError if none is found."""
    if pattern is None:
        return "a" * least
    found = sample(pattern, least, most)
    found = found or next((each for each in SAMPLES if least <= len(each) and pattern.fullmatch(each)), None)
    if found is None:
        raise ValueError(f"No text of {least} to {most} characters for {pattern.pattern}: add one to SAMPLES.")
    return found


def value_for(member: Member, all_members: bool = False, inside: tuple[str, ...] = ()) -> Any:
    """A valid value: required members only, or the optional ones of the first structure as well."""
    kind, least = member.kind, int(member.least or 0)
    if member.members:
        inside = (*inside, member.shape.name)
        names = [name for name in member.members if name in member.required or all_members]
        names = names or [name for name in member.members if not name.startswith("_")][:1]
        wanted = {name: member.members[name] for name in names if member.members[name].shape.name not in inside}
        return {name: value_for(each, False, inside) for name, each in wanted.items()}
    if kind == "structure":
        return {}
    if kind == "list":
        return [value_for(member.element, False, inside) for _ in range(max(1, least))]
    if kind == "map":
        keys = [value_for(member.key)] if least < 2 else ["aa", "bb", "cc", "dd"][:least]
        return {key: value_for(member.element, False, inside) for key in keys}
    if member.enum:
        return member.enum[0]
    if kind in ("string", "character"):
        return text_for(member.pattern, max(1, least), None if member.most is None else int(member.most))
    if kind == "blob":
        return b"a" * max(1, least)
    if kind == "boolean":
        return True
    if kind == "timestamp":
        return "2026-11-25T00:00:00Z"
    return max(1, least) if member.most is None or member.most >= 1 else int(member.most)


def worse(member: Member, value: Any) -> Iterator[tuple[str, Any]]:
    """Values that each break one constraint of a scalar, by the kind of the constraint."""
    if member.kind in ("string", "character"):
        if member.enum:
            yield "enum", "no-such-value"
        if member.most is not None and member.most < LONG:
            yield "length", str(value) + "a" * int(member.most)
        if member.least is not None and member.least > 1:
            yield "length", "a" * (int(member.least) - 1)
        if member.pattern is not None and not member.pattern.fullmatch(NOT_TEXT):
            yield "pattern", NOT_TEXT
    elif member.kind in ("integer", "long", "float", "double"):
        if member.most is not None:
            yield "range", int(member.most) + 1
        if member.least is not None:
            yield "range", int(member.least) - 1


def mutants(member: Member, params: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The kind of a broken constraint, the member of the request that it is in, and the parameters."""
    for name, each in member.members.items():
        if name not in params:
            continue
        if name in member.required:
            yield "required", name, {key: value for key, value in params.items() if key != name}
        for kind, value in worse(each, params[name]):
            yield kind, name, {**params, name: value}
        if each.kind == "list" and each.most is not None and each.most <= MANY and params[name]:
            yield "length", name, {**params, name: params[name] * (int(each.most) + 1)}
        if each.kind == "list" and each.element.members and params[name]:
            for kind, _, inner in mutants(each.element, params[name][0]):
                yield kind, name, {**params, name: [inner, *params[name][1:]]}
        if each.kind == "structure" and each.members:
            for kind, _, inner in mutants(each, params[name]):
                yield kind, name, {**params, name: inner}
        if each.kind == "map" and each.element.kind == "string" and params[name]:
            for _, value in worse(each.element, "a"):
                yield "nested", name, {**params, name: dict.fromkeys(params[name], value)}


def sendable(member: Member, kind: str, where: str, params: dict[str, Any]) -> bool:
    """Whether a request can be written that has this fault, and still is one for this operation."""
    if member.members[where].kind in ("blob", "string") and member.shape.serialization.get("payload") == where:
        return False  # never read
    place = member.members[where].shape.serialization.get("location")
    if place == "uri":
        return kind != "required" and bool(params[where]) and NOT_TEXT not in str(params[where])
    if place == "header" and kind == "pattern":
        return False
    return kind != "required" or place is None


def unwritten(value: Any) -> bool:
    """Whether an empty structure is in a value: a form has no way to write one."""
    if isinstance(value, dict):
        return any(each == {} or unwritten(each) for each in value.values())
    return isinstance(value, list) and any(each == {} or unwritten(each) for each in value)
