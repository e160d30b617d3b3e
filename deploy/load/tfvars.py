"""Write numbers into a .tfvars file, in place: comments, order and everything else stay."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from deploy import console
from deploy.console import Failure


def with_values(text: str, values: Mapping[str, int | str]) -> str:
    """The text with each `endpoint.scaling.target` set to its number or text. A missing line or object is added.

    Objects are written over several lines (`name = {`), as `terraform fmt` keeps them. Raises ValueError for an object
    on one line.
    """
    lines = text.splitlines()
    for setting, value in values.items():
        lines = _set(lines, setting.split("."), json.dumps(value), 0, len(lines))
    return "\n".join(lines) + "\n"


def write(path: Path, values: Mapping[str, int | str]) -> None:
    """Write the values to the settings. Raises Failure if the file cannot be changed safely."""
    try:
        path.write_text(with_values(path.read_text(), values))
    except ValueError as error:
        raise Failure(f"{path.name} was not changed: {error}.") from None
    console.done(f"wrote {len(values)} values to {path.name}. To use them: {console.make('apply')}")


def _set(lines: list[str], path: list[str], value: str, begin: int, end: int) -> list[str]:
    name, indent = path[0], "  " * _depth(lines[:begin])
    place = _find(lines, name, begin, end)
    if len(path) == 1:
        if place is None:
            return [*lines[:end], f"{indent}{name} = {value}", *lines[end:]]
        kept = re.sub(r"=\s*[^#]*?(\s*#.*)?$", lambda match: f"= {value}{match[1] or ''}", lines[place])
        return [*lines[:place], kept, *lines[place + 1 :]]
    if place is None:
        opened = [*lines[:end], f"{indent}{name} = {{", f"{indent}}}", *lines[end:]]
        return _set(opened, path[1:], value, end + 1, end + 1)
    if not re.search(r"{\s*(#.*)?$", lines[place]):
        raise ValueError(f"{lines[place].strip()} is an object on one line; write it over several lines")
    close = next(at for at in range(place + 1, end + 1) if _depth(lines[place : at + 1]) == 0)
    return _set(lines, path[1:], value, place + 1, close)


def _find(lines: list[str], name: str, begin: int, end: int) -> int | None:
    """The line of a name directly in the object whose content is from `begin` to before `end`."""
    for place in range(begin, end):
        if re.match(rf"\s*{name}\s*=", lines[place]) and _depth(lines[begin:place]) == 0:
            return place
    return None


def _depth(lines: list[str]) -> int:
    code = [line.partition("#")[0] for line in lines]
    return sum(line.count("{") - line.count("}") for line in code)
