"""The names of the settings in a .tfvars file, checked against the types in terraform/variables.tf.

Terraform ignores a name that it does not know: inside an object without a word, at the top level with a warning. A
misspelt limit would then have no effect.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2

from deploy.console import Failure
from deploy.environment import ROOT, TERRAFORM

VARIABLES = TERRAFORM / "variables.tf"
COLLECTION = re.compile(r"(?:list|set|map)\((.*)\)", re.DOTALL)
OBJECT = re.compile(r"object\(\{(.*)\}\)", re.DOTALL)
OPTIONAL = re.compile(r"optional\((.*)\)", re.DOTALL)


def require_known_names(tfvars: Path) -> None:
    """Raise Failure if the file sets something that no variable has. The message names all of them."""
    wrong = list(unknown_names(_load(tfvars), types()))
    if wrong:
        file = tfvars.relative_to(ROOT) if tfvars.is_relative_to(ROOT) else tfvars
        lines = "".join(f"\n  {each}" for each in wrong)
        raise Failure(f"{file} has settings that do not exist. They would have no effect:{lines}\nNothing was changed.")


def value(tfvars: Path, name: str) -> Any:
    """A setting: of the file, or the default in terraform/variables.tf."""
    given = _load(tfvars)
    return _plain(given[name] if name in given else _declared()[name].get("default"))


def endpoint_kind(tfvars: Path) -> str:
    """The kind of endpoint that the file asks for, one of deploy.deployment's."""
    return str(value(tfvars, "endpoint").get("kind", '"instances"')).strip('"')


def effective(tfvars: Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every setting as Terraform sees it: of `overrides`, or of the file, else the default; in objects too."""
    given = {name: _plain(value) for name, value in _load(tfvars).items()} | dict(overrides or {})
    return {
        name: _completed(given.get(name, _plain(body.get("default"))), _expression(body.get("type", "any")))
        for name, body in _declared().items()
    }


def _completed(value: Any, expression: str) -> Any:
    """A value with the defaults that the type expression has for what it leaves out."""
    found = OBJECT.fullmatch(expression)
    if not found or not isinstance(value, dict):
        return value
    completed = {}
    for each in _arguments(found[1]):
        name, _, inner = (part.strip() for part in each.partition("="))
        optional = OPTIONAL.fullmatch(inner)
        inner, *default = _arguments(optional[1]) if optional else [inner]
        completed[name] = _completed(value.get(name, json.loads(default[0]) if default else None), inner)
    return completed


def _plain(value: Any) -> Any:
    """A value without the quotes that the parser leaves around strings."""
    if isinstance(value, dict):
        return {name.strip('"'): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == '"' else value


def types() -> dict[str, str]:
    """Variable -> its type expression."""
    return {name: _expression(body.get("type", "any")) for name, body in _declared().items()}


def _declared() -> dict[str, dict[str, Any]]:
    return {name.strip('"'): body for block in _load(VARIABLES)["variable"] for name, body in block.items()}


def unknown_names(values: Mapping[str, Any], known: Mapping[str, str], where: str = "") -> Iterator[str]:
    """Each setting that `known`, name -> type expression, does not have, with the likely name."""
    for raw, value in values.items():
        name = raw.strip('"')
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            yield f"{where}{name}" + (f": did you mean {close[0]}?" if close else f" (known: {', '.join(known)})")
            continue
        yield from _unknown_inside(value, known[name], f"{where}{name}.")


def _unknown_inside(value: Any, expression: str, where: str) -> Iterator[str]:
    if found := OPTIONAL.fullmatch(expression):
        yield from _unknown_inside(value, _arguments(found[1])[0], where)
    elif found := COLLECTION.fullmatch(expression):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        for each in inner:
            yield from _unknown_inside(each, found[1].strip(), where)
    elif (found := OBJECT.fullmatch(expression)) and isinstance(value, dict):
        pairs = [each.partition("=") for each in _arguments(found[1])]
        yield from unknown_names(value, {name.strip(): inner.strip() for name, _, inner in pairs}, where)


def _arguments(text: str) -> list[str]:
    """The parts between the commas that are outside of brackets and strings."""
    parts, depth, start, quoted = [], 0, 0, False
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif not quoted:
            depth += (character in "([{") - (character in ")]}")
            if character == "," and depth == 0:
                parts.append(text[start:position])
                start = position + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _expression(text: str) -> str:
    return text.removeprefix("${").removesuffix("}") if text.startswith("${") else text


def _load(path: Path) -> dict[str, Any]:
    """A file of Terraform's language as a dictionary. Raises Failure if its syntax is wrong."""
    try:
        with path.open(encoding="utf-8") as file:
            loaded = hcl2.load(file)
    except Exception as error:  # the parser's own, of several kinds
        raise Failure(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
    return {name: value for name, value in loaded.items() if not name.startswith("__")}
