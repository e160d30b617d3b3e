"""Patterns of policies: wildcards, policy variables, and what cannot be decided.

Sources, in the IAM user guide: "IAM policy elements: Variables and tags" and "IAM JSON policy elements: Resource". A
value that replaces a variable is literal: its `*` and `?` are not wildcards.
"""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

_VARIABLE = re.compile(r"\$\{(?:(?P<special>[*?$])|(?P<key>[^,{}]+?)(?:,\s*'(?P<default>[^']*)')?)\}")


@dataclass(frozen=True)
class Doubt:
    """What cannot be decided, and why: `reason` names the key, the operator or the value."""

    reason: str


Verdict = bool | Doubt
Lookup = Callable[[str], str | Doubt | None]  # a variable's value; None: it has none


class Wildcard(Enum):
    """A wildcard of a pattern."""

    MANY = "*"
    ONE = "?"


Pattern = Sequence[str | Wildcard]  # single characters and wildcards
_WILDCARDS: dict[str, Wildcard] = {each.value: each for each in Wildcard}


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """True if any verdict is true. Otherwise a doubt, if there is one."""
    doubt: Doubt | None = None
    for verdict in verdicts:
        if verdict is True:
            return True
        doubt = verdict if isinstance(verdict, Doubt) else doubt
    return doubt or False


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """False if any verdict is false. Otherwise a doubt, if there is one."""
    doubt: Doubt | None = None
    for verdict in verdicts:
        if verdict is False:
            return False
        doubt = verdict if isinstance(verdict, Doubt) else doubt
    return doubt or True


def negated(verdict: Verdict) -> Verdict:
    return verdict if isinstance(verdict, Doubt) else not verdict


def expand(text: str, lookup: Lookup | None, wildcards: bool = True) -> Pattern | Doubt | None:
    """The pattern that a text stands for, its variables replaced; None if one of them has no value.

    Without `lookup` the text is of a language version that has no variables.
    """
    pattern: list[str | Wildcard] = []
    end = 0
    for found in _VARIABLE.finditer(text) if lookup else ():
        pattern += _plain(text[end : found.start()], wildcards)
        end = found.end()
        value = found["special"] or lookup(found["key"].strip())
        if isinstance(value, Doubt):
            return value
        value = found["default"] if value is None else value
        if value is None:
            return None
        pattern += value
    return [*pattern, *_plain(text[end:], wildcards)]


def matches(pattern: Pattern, value: str) -> bool:
    """Whether a pattern covers a whole value. The time is at most the product of the lengths."""
    at, place = 0, 0
    star, resume = -1, 0  # the last `*`, and how far it reaches
    while place < len(value):
        token = pattern[at] if at < len(pattern) else None
        if token is Wildcard.MANY:
            star, resume = at, place
            at += 1
        elif token is Wildcard.ONE or token == value[place]:
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return all(token is Wildcard.MANY for token in pattern[at:])


def covers(text: str, value: str, lookup: Lookup | None = None, wildcards: bool = True) -> Verdict:
    """Whether a text with wildcards and variables covers a value. A variable without a value covers nothing."""
    if lookup is None or "${" not in text:
        return _covers(text, value, wildcards)
    pattern = expand(text, lookup, wildcards)
    if isinstance(pattern, Doubt):
        return pattern
    return pattern is not None and matches(pattern, value)


@functools.lru_cache(maxsize=1 << 16)
def _covers(text: str, value: str, wildcards: bool) -> bool:
    """`covers` for a text without variables. The same few hundred texts meet the same few hundred actions."""
    return matches(_plain(text, wildcards), value)


def covers_arn(text: str, value: str, lookup: Lookup | None = None) -> Verdict:
    """Whether an ARN with wildcards and variables covers another one: each of its six parts is compared by itself."""
    wanted, given = text.split(":", 5), value.split(":", 5)
    if len(wanted) < 6 or len(given) < 6:
        return False
    return all_of(covers(each, part, lookup) for each, part in zip(wanted, given, strict=True))


def _plain(text: str, wildcards: bool) -> list[str | Wildcard]:
    return [_WILDCARDS.get(each, each) if wildcards else each for each in text]
