"""Write the list of make targets and their variables in docs/COMMANDS.md.

    python -m tools.command_reference            write it
    python -m tools.command_reference --check    fail if it is out of date

The targets and their descriptions come from the `##` comments of the Makefile. A recipe names the variables that it
passes to a command. The command's own parser has the help, the choices and the defaults of these variables.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from classifier.settings import HYPERPARAMETERS

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = ROOT / "Makefile"
DOCUMENT = ROOT / "docs" / "COMMANDS.md"
BEGIN = "<!-- commands: written by `make docs` from the Makefile and the parsers of the commands -->"
END = "<!-- /commands -->"

OPTION = re.compile(r"\$\(call option,(\w+),([\w-]+)\)")  # the value of a variable, behind an option
SWITCH = re.compile(r"\$\(if \$\((\w+)\),--([\w-]+)\)")  # an option without a value
ARGUMENT = re.compile(
    r"\$\(call argument,(?:(\w+)|\$\(if \$\((\w+)\),\w+,(\w+)\))\)"
)  # the value alone; two names for it


class ReferenceError(Exception):
    """The Makefile or a parser does not have the expected form. The message names the place."""


@dataclass(frozen=True)
class Target:
    section: str
    name: str
    description: str
    recipe: str

    @property
    def summary(self) -> str:
        """The description without its variables, which `make help` lists after it."""
        text, colon, rest = self.description.partition(": ")
        return text if colon and re.search(r"\b[A-Z_]{2,}\b", rest) else self.description


@dataclass(frozen=True)
class Variable:
    name: str
    text: str


# ---- reading --------------------------------------------------------------------------------------------------


def read_targets(makefile: str) -> list[Target]:
    """The targets that have a `##` comment, in their order."""
    shared = re.search(r"^run_options = ((?:.*\\\n)*.*)$", makefile, flags=re.MULTILINE)
    makefile = makefile.replace("$(run_options)", _expanded(shared[1]) if shared else "")
    targets, section = [], ""
    for line in makefile.splitlines():
        if line.startswith("##@ "):
            section = line.removeprefix("##@ ").strip()
        elif found := re.match(r"([a-z0-9-]+):.*?## (.+)", line):
            targets.append(Target(section, found[1], found[2].strip(), ""))
        elif line.startswith("\t") and targets:
            last = targets.pop()
            targets.append(Target(last.section, last.name, last.description, f"{last.recipe}{line}\n"))
    return targets


def _expanded(definition: str) -> str:
    """The options of `run_options`, written out: it loops over pairs VARIABLE:option."""
    pairs = re.findall(r"\b([A-Z_]+):([a-z-]+)", definition)
    return " ".join([*(f"$(call option,{variable},{option})" for variable, option in pairs), *_switches(definition)])


def _switches(text: str) -> list[str]:
    return [found[0] for found in SWITCH.finditer(text)]


def variables(target: Target) -> list[Variable]:
    """The variables of a target, with the help of the parser that reads them. Raises ReferenceError."""
    options = OPTION.findall(target.recipe)
    options += [(f"{name}=1", option) for name, option in SWITCH.findall(target.recipe)]
    arguments = [" or ".join(filter(None, each)) for each in ARGUMENT.findall(target.recipe)]
    if not options and not arguments:
        return []
    module = re.search(r"-m ([\w.]+)", target.recipe)
    if not module:
        raise ReferenceError(f"make {target.name} passes variables, but its recipe runs no Python module.")
    parser = parser_of(module[1])
    positional = [action for action in parser._actions if not action.option_strings]
    by_option = {option: action for action in parser._actions for option in action.option_strings}
    if len(arguments) != len(positional):
        raise ReferenceError(
            f"make {target.name} passes {len(arguments)} values, and {module[1]} reads {len(positional)}."
        )
    found = [
        Variable(name, _text(target, name, parser, action)) for name, action in zip(arguments, positional, strict=True)
    ]
    for name, option in options:
        if f"--{option}" not in by_option:
            raise ReferenceError(f"make {target.name} passes --{option}, which {module[1]} does not read.")
        found.append(Variable(name, _text(target, name, parser, by_option[f"--{option}"])))
    return found


def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser of a command: its `main` runs until it would read the command line."""

    class Found(Exception):
        pass

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Found(parser)

    name = f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module
    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop):
        try:
            importlib.import_module(name).main()
        except Found as found:
            return found.args[0]
    raise ReferenceError(f"{module} does not read its command line.")


def _text(target: Target, name: str, parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help of an option, its choices and its default."""
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    if not text and not choices:
        raise ReferenceError(f"{name} of make {target.name} needs a help text in its parser.")
    defaults = {each.variable: each.default for each in HYPERPARAMETERS}
    default = action.default if choices else defaults.get(name)
    known = default is not None and default is not False
    shown = f"default: {default}" if known and "default:" not in text else ""
    return "; ".join(filter(None, [text, choices, shown]))


# ---- writing --------------------------------------------------------------------------------------------------


def reference(makefile: str) -> str:
    """All targets in Markdown, by section. Raises ReferenceError."""
    parts: list[str] = []
    section = None
    for target in read_targets(makefile):
        if target.section != section:
            section = target.section
            parts.append(f"## {section}")
        parts.append(f"### make {target.name}\n\n{target.summary}.")
        if found := variables(target):
            rows = [f"| `{each.name.replace(' or ', '` or `')}` | {_cell(each.text)} |" for each in found]
            parts.append("\n".join(["| variable | value |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def updated(document: Path = DOCUMENT, makefile: Path = MAKEFILE) -> str:
    """The text of the document with the current reference. Raises ReferenceError."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ReferenceError(f'{document} needs the lines "{BEGIN}" and "{END}".')
    return f"{before}{BEGIN}\n{reference(makefile.read_text())}\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Write or check the reference. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the list of make targets in docs/COMMANDS.md.")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if the list is out of date")
    check = parser.parse_args(arguments).check
    try:
        text = updated(DOCUMENT, MAKEFILE)
    except ReferenceError as error:
        print(error, file=sys.stderr)
        return 1
    if text == DOCUMENT.read_text():
        print("The command reference is up to date.")
        return 0
    if check:
        print("Out of date: docs/COMMANDS.md. Write it again: make docs", file=sys.stderr)
        return 1
    DOCUMENT.write_text(text)
    print("wrote docs/COMMANDS.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
