"""Filter patterns of metric filters: which lines match, and what a selector of a JSON line gives.

Source: "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail" in the
CloudWatch Logs user guide. Patterns for space-delimited lines (`[ip, user, ...]`) and regular expressions (`%…%`) are
refused, because nothing here evaluates them.
"""

import fnmatch
import json
import re
from collections.abc import Callable
from typing import Any

Matcher = Callable[[str], bool]
Condition = Callable[[Any], bool]

MISSING = object()
_TOKEN = re.compile(
    r'\s*(?:(?P<selector>\$(?:\.[\w-]+|\["[^"]+"\]|\[\d+\]|\.\*)+)|(?P<operator>&&|\|\||!=|>=|<=|=|>|<|\(|\))'
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()=<>!&|"]+))'
)
_TERM = re.compile(r'\s*(?P<sign>[-?]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[\w.]+))(?=\s|$)')
_STEP = re.compile(r'\.([\w-]+)|\["([^"]+)"\]|\[(\d+)\]')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class PatternError(ValueError):
    """The pattern is not one, or one that is not evaluated here."""


def parse(pattern: str) -> Matcher:
    """Whether a line matches. Raises PatternError."""
    text = pattern.strip()
    if not text:
        return lambda line: True
    if text[0] == "[" or text.startswith("%"):
        raise PatternError("The local AWS evaluates patterns of terms and of JSON, and no others.")
    if text[0] != "{":
        return _terms(text)
    if text[-1] != "}":
        raise PatternError("Invalid filter pattern")
    condition = _Parser(text[1:-1]).whole()
    return lambda line: (found := document(line)) is not MISSING and condition(found)


def document(line: str) -> Any:
    """The JSON object of a line; MISSING for another line."""
    text = line.strip()
    if not text.startswith("{"):
        return MISSING
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return MISSING


def select(found: Any, selector: str) -> Any:
    """The value of `$.a.b[0]`; MISSING if there is none."""
    for name, quoted, index in _STEP.findall(selector):
        if index:
            found = found[int(index)] if isinstance(found, list) and int(index) < len(found) else MISSING
        else:
            found = found.get(name or quoted, MISSING) if isinstance(found, dict) else MISSING
    return found


def is_selector(text: str) -> bool:
    return bool(re.fullmatch(r'\$(?:\.[\w-]+|\["[^"]+"\]|\[\d+\])+', text))


def _terms(text: str) -> Matcher:
    """All plain terms, none with `-`, and one of those with `?` if there is any. Terms are case-sensitive."""
    groups: dict[str, list[str]] = {"": [], "-": [], "?": []}
    position = 0
    while position < len(text):
        found = _TERM.match(text, position)
        if not found:
            raise PatternError("Invalid filter pattern")
        groups[found["sign"]].append(_text(found))
        position = found.end()
    return lambda line: (
        all(term in line for term in groups[""])
        and not any(term in line for term in groups["-"])
        and (not groups["?"] or any(term in line for term in groups["?"]))
    )


def _text(found: re.Match[str]) -> str:
    return found["word"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"])


class _Parser:
    """`$.status >= 500 && ($.via = "invoke" || $.code NOT EXISTS)`: && binds more than ||."""

    def __init__(self, text: str):
        self._tokens: list[re.Match[str]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if not found:
                raise PatternError("Invalid filter pattern")
            self._tokens.append(found)
            position = found.end()

    def whole(self) -> Condition:
        condition = self._any()
        if self._tokens:
            raise PatternError("Invalid filter pattern")
        return condition

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("||"):
            parts.append(self._all())
        return lambda found: any(part(found) for part in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._take("&&"):
            parts.append(self._one())
        return lambda found: all(part(found) for part in parts)

    def _one(self) -> Condition:
        if self._take("("):
            inside = self._any()
            if not self._take(")"):
                raise PatternError("Invalid filter pattern")
            return inside
        token = self._next()
        if not token["selector"]:
            raise PatternError("Invalid filter pattern")
        return self._comparison(token["selector"])

    def _comparison(self, selector: str) -> Condition:
        token = self._next()
        if operator := token["operator"]:
            return _compared(selector, operator, self._next())
        words = (token["word"] or "").upper()
        if words in ("IS", "NOT"):
            words += " " + (self._next()["word"] or "").upper()
        tests: dict[str, Condition] = {
            "IS NULL": lambda value: value is None,
            "IS TRUE": lambda value: value is True,
            "IS FALSE": lambda value: value is False,
            "EXISTS": lambda value: value is not MISSING,
            "NOT EXISTS": lambda value: value is MISSING,
        }
        if words not in tests:
            raise PatternError("Invalid filter pattern")
        return lambda found: tests[words](select(found, selector))

    def _next(self) -> re.Match[str]:
        if not self._tokens:
            raise PatternError("Invalid filter pattern")
        return self._tokens.pop(0)

    def _take(self, operator: str) -> bool:
        if self._tokens and self._tokens[0]["operator"] == operator:
            self._tokens.pop(0)
            return True
        return False


def _compared(selector: str, operator: str, token: re.Match[str]) -> Condition:
    """A number compares with numbers. A text may have `*`, and knows = and != only."""
    if token["operator"] or token["selector"]:
        raise PatternError("Invalid filter pattern")
    text = _text(token)
    if token["quoted"] is None and _NUMBER.fullmatch(text):
        return _of_number(selector, operator, float(text))
    if operator not in ("=", "!="):
        raise PatternError("Invalid filter pattern")

    def matches(found: Any) -> bool:
        value = select(found, selector)
        if not isinstance(value, str):
            return False
        escaped = text.replace("[", "[[]").replace("?", "[?]")
        return fnmatch.fnmatchcase(value, escaped) == (operator == "=")

    return matches


def _of_number(selector: str, operator: str, number: float) -> Condition:
    comparisons: dict[str, Callable[[float], bool]] = {
        "=": lambda value: value == number,
        "!=": lambda value: value != number,
        ">": lambda value: value > number,
        "<": lambda value: value < number,
        ">=": lambda value: value >= number,
        "<=": lambda value: value <= number,
    }
    if operator not in comparisons:
        raise PatternError("Invalid filter pattern")
    compare = comparisons[operator]

    def matches(found: Any) -> bool:
        value = select(found, selector)
        return isinstance(value, int | float) and not isinstance(value, bool) and compare(float(value))

    return matches
