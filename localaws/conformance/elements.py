"""XML held against a shape: unknown elements, elements that come twice, texts of the wrong type."""

from typing import Any, Protocol
from xml.etree.ElementTree import Element

from botocore.model import Shape


class Notes(Protocol):
    """What takes notes of faults, and reads a scalar from a text."""

    def wrong(self, path: str, words: str) -> None: ...
    def text(self, shape: Shape, text: str, path: str) -> Any: ...


def tag(node: Element) -> str:
    """An element's name without its namespace."""
    return node.tag.rpartition("}")[2]


def read_element(notes: Notes, shape: Shape, node: Element, path: str, protocol: str) -> Any:
    """The value of a shape in an element."""
    kind = shape.type_name
    if kind == "structure":
        return _structure(notes, shape, node, path, protocol)
    if kind == "list":
        return _list(notes, shape, list(node), path, protocol)
    if kind == "map":
        return dict(_entry(notes, shape, each, path, protocol) for each in node)
    if len(node):
        notes.wrong(path, f"is not of the type {kind}: it has elements")
    return notes.text(shape, node.text or "", path)


def _structure(notes: Notes, shape: Shape, node: Element, path: str, protocol: str) -> dict[str, Any]:
    names = {_name(each, member, protocol): (member, each) for member, each in shape.members.items()}
    several: dict[str, list[Element]] = {}
    for child in node:
        several.setdefault(tag(child), []).append(child)
    found = {}
    for name, children in several.items():
        here = f"{path}.{name}"
        if name not in names:
            notes.wrong(here, "is not in the model")
            continue
        member, each = names[name]
        flat = each.serialization.get("flattened", False)
        if flat and each.type_name == "list":
            found[member] = [read_element(notes, each.member, child, here, protocol) for child in children]
        elif flat and each.type_name == "map":
            found[member] = dict(_entry(notes, each, child, here, protocol) for child in children)
        else:
            if len(children) > 1:
                notes.wrong(here, f"is there {len(children)} times")
            found[member] = read_element(notes, each, children[0], here, protocol)
    for key, text in node.attrib.items():
        for member, each in shape.members.items():
            if (
                each.serialization.get("xmlAttribute")
                and _name(each, member, protocol).partition(":")[2] == (key.rpartition("}")[2])
            ):
                found[member] = text
    return found


def _name(shape: Shape, member: str, protocol: str) -> str:
    """The name of a member's element. A flattened list may be named by its elements."""
    if shape.type_name == "list" and shape.serialization.get("flattened") and protocol != "ec2":
        return shape.member.serialization.get("name") or shape.serialization.get("name", member)
    return shape.serialization.get("name", member)


def _list(notes: Notes, shape: Shape, nodes: list[Element], path: str, protocol: str) -> list[Any]:
    wanted = shape.member.serialization.get("name", "item" if protocol == "ec2" else "member")
    for each in nodes:
        if tag(each) != wanted:
            notes.wrong(f"{path}.{tag(each)}", f"is not in the model, which has {wanted}")
    return [read_element(notes, shape.member, each, f"{path}[]", protocol) for each in nodes]


def _entry(notes: Notes, shape: Shape, node: Element, path: str, protocol: str) -> tuple[str, Any]:
    """The key and the value of an entry of a map."""
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    parts = {tag(each): each for each in node}
    if set(parts) != {key_name, value_name}:
        notes.wrong(path, f"has an entry of {', '.join(parts)}, not of {key_name} and {value_name}")
        return "", None
    value = read_element(notes, shape.value, parts[value_name], f"{path}.{value_name}", protocol)
    return parts[key_name].text or "", value
