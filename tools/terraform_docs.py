"""Write the tables of inputs and outputs in the READMEs of the Terraform folders.

    python -m tools.terraform_docs            write them
    python -m tools.terraform_docs --check    fail if one is out of date

A README with the markers BEGIN and END gets its tables between them, from the variables and outputs of the .tf files in
its folder. terraform-docs does the same, but it is a Go program that no Python package contains. This reader parses
strings, comments and brackets. That is enough for files that `terraform fmt` has formatted. It does not change the text
of a type.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TERRAFORM = ROOT / "terraform"
BEGIN = "<!-- terraform: written by `make docs` from the .tf files -->"
END = "<!-- /terraform -->"

OPENING, CLOSING = "([{", ")]}"
MARKS = re.compile(
    r"[*|<\[\]\\]|(?<!\w)_|_(?!\w)"
)  # characters with a meaning in Markdown; an underscore within a word has none
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


class DocsError(Exception):
    """A file cannot be read or written. The message names it."""


@dataclass(frozen=True)
class Block:
    """A block of a .tf file: `variable "name" { … }` with its attributes as they are written. Nested blocks are left
    out."""

    kind: str
    name: str
    attributes: dict[str, str]

    @property
    def description(self) -> str:
        """The text of the description. Raises DocsError if there is none."""
        written = self.attributes.get("description", "")
        if not re.fullmatch(r'"(\\.|[^"\\])*"', written):
            raise DocsError(f"The {self.kind} {self.name} needs a description in one pair of quotes.")
        return _unquoted(written)


# ---- reading --------------------------------------------------------------------------------------------------


def read_blocks(text: str) -> list[Block]:
    """The blocks with one label at the top level of a .tf file, in order. Raises DocsError if strings or brackets do
    not end."""
    found = []
    for header, body in _statements(text):
        labels = re.fullmatch(r'(\w+)\s+"([^"]+)"', header.strip())
        if labels and body is not None:
            attributes = {}
            for statement, nested in _statements(body):
                name, equals, value = statement.partition("=")
                if equals and nested is None:
                    attributes[name.strip()] = value.strip()
            found.append(Block(labels[1], labels[2], attributes))
    return found


def _statements(text: str) -> Iterator[tuple[str, str | None]]:
    """(text, None) of each attribute, (header, body) of each block, at the top level of `text`."""
    position = 0
    while position < len(text):
        end, opening = _end_of_statement(text, position)
        statement = _without_comments(text[position:end])
        if opening is None or "=" in _without_comments(text[position:opening]):  # braces behind "=" are a value
            if statement.strip():
                yield statement, None
        else:
            yield _without_comments(text[position:opening]), text[opening + 1 : text.rindex("}", opening, end)]
        position = end + 1


def _end_of_statement(text: str, position: int) -> tuple[int, int | None]:
    """The end of the statement at `position`, and the position of its first brace. A newline outside brackets ends
    it."""
    depth, opening = 0, None
    while position < len(text):
        following = _behind_token(text, position)
        character = text[position]
        if character in OPENING:
            depth += 1
            if character == "{" and opening is None:
                opening = position
        elif character in CLOSING:
            depth -= 1
            if depth < 0:
                raise DocsError("A bracket is closed that was not opened.")
        elif character == "\n" and depth == 0:
            return position, opening
        position = following
    if depth:
        raise DocsError("A bracket is not closed.")
    return position, opening


def _behind_token(text: str, position: int) -> int:
    """The position behind the string, heredoc, comment or single character at `position`."""
    if text[position] == '"':
        return _behind_string(text, position)
    if text[position] == "#" or text.startswith("//", position):
        end = text.find("\n", position)
        return len(text) if end < 0 else end
    if text.startswith("/*", position):
        end = text.find("*/", position)
        if end < 0:
            raise DocsError("A comment is not closed.")
        return end + 2
    if heredoc := re.compile(r"<<-?(\w+)\n.*?^[ \t]*\1$", re.DOTALL | re.MULTILINE).match(text, position):
        return heredoc.end()
    return position + 1


def _behind_string(text: str, position: int) -> int:
    """The position behind the string at `position`. A template in it, `${…}` or `%{…}`, may have strings of its own."""
    position += 1
    while position < len(text) and text[position] != "\n":
        if text[position] == '"':
            return position + 1
        if text[position] == "\\" or text.startswith(("$${", "%%{"), position):
            position += 2 if text[position] == "\\" else 3
        elif text.startswith(("${", "%{"), position):
            depth, position = 1, position + 2
            while depth and position < len(text):
                depth += {"{": 1, "}": -1}.get(text[position], 0)
                position = _behind_token(text, position)
        else:
            position += 1
    raise DocsError("A string is not closed.")


def _without_comments(text: str) -> str:
    kept, position = [], 0
    while position < len(text):
        following = _behind_token(text, position)
        if text[position] != "#" and not text.startswith(("//", "/*"), position):
            kept.append(text[position:following])
        position = following
    return "\n".join(line.rstrip() for line in "".join(kept).split("\n") if line.strip())


def _unquoted(text: str) -> str:
    plain = re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[0]), text[1:-1])
    return plain.replace("$${", "${").replace("%%{", "%{")


# ---- writing --------------------------------------------------------------------------------------------------


def tables(blocks: Iterable[Block]) -> str:
    """The tables of inputs and outputs in Markdown."""
    inputs = [block for block in blocks if block.kind == "variable"]
    outputs = [block for block in blocks if block.kind == "output"]
    parts = []
    if inputs:
        rows = [
            f"| `{block.name}` | {_code(block.attributes.get('type', 'any'))} | {_default(block)} "
            f"| {_text(block.description)} |"
            for block in inputs
        ]
        parts += ["## Inputs", "\n".join(["| name | type | default | description |", "|---|---|---|---|", *rows])]
    if outputs:
        rows = [f"| `{block.name}` | {_text(block.description)} |" for block in outputs]
        parts += ["## Outputs", "\n".join(["| name | description |", "|---|---|", *rows])]
    return "\n\n".join(parts)


def _default(block: Block) -> str:
    return _code(block.attributes["default"]) if "default" in block.attributes else "**required**"


def _code(expression: str) -> str:
    """An expression in a cell: as a code span, or, if it has several lines, with its lines and indentation."""
    if "\n" not in expression:
        return f"`{expression}`".replace("|", "\\|")
    first, _, others = expression.partition("\n")
    lines = [first, *textwrap.dedent(others).split("\n")]  # the closing bracket has the smallest indentation
    return f"<pre>{'<br>'.join(_escaped(line) for line in lines)}</pre>"


def _escaped(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("*", "&#42;"), ("|", "&#124;")):
        text = text.replace(character, entity)
    return text


def _text(description: str) -> str:
    """A description in a cell. Text in backquotes is not changed."""
    spans = re.split(r"(`[^`]*`)", " ".join(description.split()))
    return "".join(span.replace("|", "\\|") if span.startswith("`") else MARKS.sub(r"\\\g<0>", span) for span in spans)


# ---- the files ------------------------------------------------------------------------------------------------


def updated(readme: Path) -> str:
    """The text of a README with the tables of its folder. Raises DocsError."""
    try:
        blocks = [block for path in sorted(readme.parent.glob("*.tf")) for block in read_blocks(path.read_text())]
        text = tables(blocks)
    except DocsError as error:
        raise DocsError(f"{readme.parent}: {error}") from None
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DocsError(f'{readme} needs the lines "{BEGIN}" and "{END}".')
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def readmes(root: Path = TERRAFORM) -> list[Path]:
    """The READMEs that have tables: the root stack's and that of each module. Raises DocsError if a folder has none."""
    folders = [root, *sorted(path for path in (root / "modules").iterdir() if path.is_dir())]
    for folder in folders:
        if not (folder / "README.md").is_file():
            raise DocsError(f"{folder} has no README.md.")
    return [folder / "README.md" for folder in folders]


def main(arguments: list[str] | None = None) -> int:
    """Write or check all tables. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the tables in the READMEs of the Terraform folders.")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a table is out of date")
    check = parser.parse_args(arguments).check
    stale = []
    try:
        for readme in readmes():
            text = updated(readme)
            if text == readme.read_text():
                continue
            stale.append(str(readme.relative_to(ROOT)))
            if not check:
                readme.write_text(text)
    except DocsError as error:
        print(error, file=sys.stderr)
        return 1
    if stale and check:
        print(f"Out of date: {', '.join(stale)}. Write the tables again: make docs", file=sys.stderr)
        return 1
    print("\n".join(f"wrote {name}" for name in stale) or "The tables of the Terraform folders are up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
