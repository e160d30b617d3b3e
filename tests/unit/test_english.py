"""Plain technical English, checked by rules that a program can check."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT

AVERAGE_WORDS = 14  # in a sentence, on average over a document
MOST_WORDS = 32  # in one sentence


@dataclass(frozen=True)
class Rule:
    pattern: str
    better: str
    reason: str

    def hits(self, text: str) -> list[str]:
        return [found[0] for found in re.finditer(self.pattern, text, flags=re.IGNORECASE)]


RARE = "a reader who learnt English as a second language does not know it"
BOOKISH = "it is bookish; software documentation does not use it"
PLACE = "a file has no body: it is in a place"
ACTOR = "say who acts"
CONDITION = '"where" names a place; a condition is "if" or "when"'
TERM = "the field has a word of its own"

RULES = (
    Rule(r"\banew\b", "again", RARE),
    Rule(r"\breckon\w*", "compute, estimate", RARE),
    Rule(r"\btold of\b", "X warns about, X reports", ACTOR),
    Rule(r"\bbeside\b", "next to, with, in the same folder as", RARE),
    Rule(r"\bfor ever\b", "without end, never ends", BOOKISH),
    Rule(r"\b(?:whoever|whosoever)\b", "a person who, the program that", ACTOR),
    Rule(r"\bwhat serves is\b", "the served model is", ACTOR),
    Rule(r"\b(?:its|their) like\b", "such, similar", BOOKISH),
    Rule(r"\bof before\b", "older, the previous", BOOKISH),
    Rule(r"\bwhere (?:there (?:is|are)|nobody|nothing|it is not|they are not)\b", "if there is", CONDITION),
    Rule(
        r"(?<!\bthere )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|fewer\b)[a-z]\w*",
        "is not a",
        "negate the verb, not the noun",
    ),
    Rule(r"\b(?:lies|lie|lay) (?:in|at|on|under|behind|below|there)\b", "is in", PLACE),
    Rule(r"\bstands? (?:in(?! for\b)|at|on|under|above|below|behind|there)\b", "is in", PLACE),
    Rule(r"\bas (?:it|they) stands?\b", "unchanged", PLACE),
    Rule(r"\b(?:go|goes|going|went|gone) back\b", "roll back, return", TERM),
    Rule(r"\b(?:decides?|overrules?)(?: it)? instead\b|\boverrul\w+", "override", TERM),
    Rule(r"\bneeds? nobody\b|\bnobody (?:who|needs to) watch\w*", "unattended", TERM),
    Rule(r"\bconfusions\b", "confusion matrix", TERM),
    Rule(r"\b(?:an?|one) (?:image|row|GB|MB) more\b|\bfor each one image\b", "per image", TERM),
    Rule(r"\bat hand\b", "available", BOOKISH),
    Rule(r"\b(?:whence|hence|thereof|therein|hitherto|upon)\b", "from which, so, in it, until now, on", BOOKISH),
    Rule(r"\bsays? so\b|\bsaid outright\b", "reports it, is explicit", "a program does not speak"),
)

# ---- what is read ---------------------------------------------------------------------------------------------

DOCUMENTS = sorted(
    path
    for folder in (".", ".github", "docs", "docs/adr", "terraform", "terraform/modules/*", "terraform/examples/*")
    for path in ROOT.glob(f"{folder}/*.md")
)
TERRAFORM = sorted(
    path
    for pattern in ("*.tf", "modules/**/*.tf", "examples/**/*.tf", "environments/*.tfvars")
    for path in (ROOT / "terraform").glob(pattern)
    if ".terraform" not in path.parts
)
PYTHON = sorted(
    path
    for folder in ("bench", "deploy", "localaws", "payloads", "terraform", "tests", "tools")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__).resolve() and not {"__pycache__", ".terraform"} & set(path.parts)
)


NOTEBOOKS = sorted((ROOT / "payloads").rglob("*.ipynb"))


def prose_of_markdown(text: str) -> str:
    """A document without code, comments and addresses."""
    text = re.sub(r"^([`~]{3,}).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<pre>.*?</pre>|^<table.*?^</table>", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`", "CODE", text)
    return re.sub(r"(!?\[[^\]]*\])\([^)]*\)", r"\1", text)


def texts_of_python(text: str) -> Iterator[str]:
    """Comments and strings. Comments on lines that follow each other, and strings side by side, are one text."""
    kind, parts = None, []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        name = tokenize.tok_name[token.type]
        if name in ("NL", "INDENT", "DEDENT", "FSTRING_START", "FSTRING_END"):
            continue
        name = "STRING" if name == "FSTRING_MIDDLE" else name
        if name != kind and parts:
            yield " ".join("".join(parts).split())
            parts = []
        kind = name
        if name == "COMMENT":
            parts.append(f"{token.string.lstrip('# ')} ")
        elif name == "STRING":
            string = token.string
            if "f" in string[: string.index(string[-1])].lower():  # Python 3.11 has an f-string in one token
                string = re.sub(r"\{[^{}]*\}", " … ", string)
            parts.append(string.lstrip("rRbBuUfF").strip("'\""))


def texts_of_terraform(text: str) -> Iterator[str]:
    """Comments, and strings of more than one word."""
    yield from (each for each in re.findall(r'"((?:\\.|[^"\\\n])*)"', text) if " " in each)
    for block in re.findall(r"(?:^[ \t]*#.*\n)+|[ \t]#.*\n", text, flags=re.MULTILINE):
        yield " ".join(line.strip("# \t") for line in block.splitlines())


def hits(texts: Iterator[str]) -> list[str]:
    """Each hit with what is better, and why."""
    return [
        f'"{found}" in "…{shortened(text, found)}…": write "{rule.better}" ({rule.reason})'
        for text in texts
        for rule in RULES
        for found in rule.hits(text)
    ]


def shortened(text: str, found: str) -> str:
    start = text.find(found)
    return text[max(0, start - 40) : start + len(found) + 40]


def paragraphs(prose: str) -> list[str]:
    """Paragraphs, items of lists and cells of tables, each on one line, without headings."""
    blocks = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.) ?)", prose):
        line = " ".join(block.split())
        if line.startswith("#") or set(line) <= set("|-: "):
            continue
        blocks += line.strip("|").split(" | ") if line.startswith("|") else [line]
    return [block for block in blocks if len(block.split()) > 3]


def sentences(prose: str) -> list[str]:
    return [each for block in paragraphs(prose) for each in re.split(r"(?<=[.!?:])[)*]* ", block) if each.strip()]


def average_length(prose: str) -> float:
    found = sentences(prose)
    return sum(len(each.split()) for each in found) / max(1, len(found))


# ---- the tests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_has_no_forbidden_word(document: Path):
    assert hits(iter(paragraphs_and_headings(document))) == []


def paragraphs_and_headings(document: Path) -> list[str]:
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", prose_of_markdown(document.read_text()))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_sentences_of_a_document_are_short(document: Path):
    prose = prose_of_markdown(document.read_text())
    assert [each for each in sentences(prose) if len(each.split()) > MOST_WORDS] == []
    assert average_length(prose) <= AVERAGE_WORDS, sorted(sentences(prose), key=lambda each: -len(each.split()))[:5]


@pytest.mark.parametrize("path", TERRAFORM, ids=lambda path: str(path.relative_to(ROOT)))
def test_terraform_has_no_forbidden_word(path: Path):
    assert hits(texts_of_terraform(path.read_text())) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_has_no_forbidden_word(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n\n".join(prose_of_markdown(cell.source) for cell in cells if cell.cell_type == "markdown")
    code = [text for cell in cells if cell.cell_type == "code" for text in texts_of_python(without_magic(cell.source))]
    assert hits(iter([" ".join(prose.split()), *code])) == []
    assert [each for each in sentences(prose) if len(each.split()) > MOST_WORDS] == []
    assert average_length(prose) <= AVERAGE_WORDS


def without_magic(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.startswith("%")) + "\n"


def test_the_makefile_has_no_forbidden_word():
    assert hits(line.partition("#")[2] for line in (ROOT / "Makefile").read_text().splitlines()) == []


def test_python_sources_have_no_forbidden_word():
    found = {str(path.relative_to(ROOT)): hits(texts_of_python(path.read_text())) for path in PYTHON}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The text is no image.", 1),
        ("There is no image.", 0),
        ("It is no longer used, and are no more than 3.", 0),
        ("Copies are told of.", 1),
        ("It lies in a folder, and stands in for another.", 1),
        ("Where there is a GPU, it starts anew.", 2),
        ("The model rolls back if it fails.", 0),
        ("The table stands in the README and goes back to it.", 2),
        ("Consider the upper limits.", 0),
    ],
)
def test_the_rules_find_what_they_forbid(text: str, number: int):
    assert len(hits(iter([text]))) == number


def test_code_in_documents_and_names_in_sources_are_not_prose():
    assert prose_of_markdown("```\nfor ever\n```\n`for ever` [a](anew.md)<!-- anew -->") == "\nCODE [a]"
    source = (
        '"""A\nfor\never."""\nbeside = f"an{beside}ew"  # beside\n# what is told\n# of here\nx = ("is " "no good")\n'
    )
    assert len(hits(texts_of_python(source))) == 4


def test_sentences_are_counted_without_headings_and_with_cells_of_tables():
    prose = "# A heading that does not count\n\nOne two three four. Five six.\n\n| a | one two three four five six |\n"
    assert [len(each.split()) for each in sentences(prose)] == [4, 2, 6]
    assert average_length(prose) == 4
