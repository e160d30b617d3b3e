"""A text that matches a regular expression of AWS's models, and has a length within limits."""

import functools
import re
from re import _constants as op
from re import _parser as parser

import regex

# Categories of Unicode, as classes that Python's own parser knows.
CLASSES = {
    r"\p{L}": "a-z",
    r"\p{M}": "",
    r"\p{N}": "0-9",
    r"\p{Nd}": "0-9",
    r"\p{Z}": " ",
    r"\p{Zs}": " ",
    r"\p{S}": "+",
    r"\p{P}": "_",
    r"\p{Alnum}": "a-z0-9",
    r"\p{ASCII}": "a",
    r"\p{Print}": "a",
    r"[\w-_]": r"[\w_]",
    r"[\w-\/": r"[\w\/",
    r"\z": r"\Z",
    r"\uD800\uDC00-\uDBFF\uDFFF": "",
    "(?i)": "",  # a flag after the beginning, which Java takes
}


@functools.cache
def sample(pattern: "regex.Pattern", least: int, most: int | None) -> str | None:
    """A text of `least` to `most` characters that matches; None if none was found."""
    text = pattern.pattern
    for java, python in CLASSES.items():
        while java in text:
            before, _, after = text.partition(java)
            inside = before.rfind("[") > before.rfind("]") or not java.startswith(r"\p")
            text = before + (python if inside else f"[{python}]") + after
    tree = parser.parse(re.sub(r"\$\{1,(\d+)\}", "", text))
    for repeated in range(0, max(least, 1) + 2):
        found = _written(tree, repeated)
        if least <= len(found) and (most is None or len(found) <= most) and pattern.fullmatch(found):
            return found
    return None


def _written(tree: object, repeated: int) -> str:
    return "".join(_part(kind, value, repeated) for kind, value in tree)


def _part(kind: object, value: object, repeated: int) -> str:
    if kind is op.LITERAL:
        return chr(value)
    if kind is op.NOT_LITERAL:
        return "b" if value == ord("a") else "a"
    if kind is op.ANY:
        return "a"
    if kind is op.IN:
        return _member(value)
    if kind is op.BRANCH:
        return next(filter(None, (_written(each, repeated) for each in value[1])), "")
    if kind is op.SUBPATTERN:
        return _written(value[-1], repeated)
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, most, inner = value
        times = min(most, max(least, repeated)) if most > 1 else least
        return _written(inner, repeated if times == 1 else 0) * times
    return ""


def _member(choices: list) -> str:
    """One character of a class: a letter or a digit if there is one."""
    wanted = "abzAZ01259 _-./:+=@"
    if choices[0][0] is op.NEGATE:
        return next(each for each in wanted if not _has(choices[1:], each))
    return next((each for each in wanted if _has(choices, each)), _first(choices[0]))


def _first(choice: tuple) -> str:
    kind, value = choice
    return chr(value[0] if kind is op.RANGE else value) if kind is not op.CATEGORY else "a"


def _has(choices: list, character: str) -> bool:
    code = ord(character)
    for kind, value in choices:
        if kind is op.LITERAL and value == code:
            return True
        if kind is op.RANGE and value[0] <= code <= value[1]:
            return True
        if kind is op.CATEGORY and re.fullmatch(CATEGORIES[value], character):
            return True
    return False


CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}
