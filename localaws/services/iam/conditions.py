"""Condition elements of policy statements.

Sources, in the IAM user guide: "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys
or values" and "Single-valued vs. multivalued context keys". All conditions must be met. Of the values of one of them
one must match, and with a negated operator none may match.

A key, an operator or a value that is not understood leaves a doubt. A key without a value in the request leaves none.
"""

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from localaws.services.iam.patterns import Doubt, Lookup, Verdict, all_of, any_of, covers, covers_arn, expand, negated

FOR_ALL, FOR_ANY = "forallvalues", "foranyvalue"
NULL = "null"

T = TypeVar("T")


class RequestContext:
    """The condition keys of one request; their names ignore case.

    `known` names the keys that the request would have a value for, if there were one: it may end in `*`. A key that is
    not there and not known leaves a doubt.
    """

    def __init__(self, values: Mapping[str, str | Sequence[str]] | None = None, known: Collection[str] = ()):
        self._values = {
            key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in (values or {}).items()
        }
        self._known = tuple(each.lower() for each in known)

    def get(self, key: str) -> tuple[str, ...] | Doubt:
        """A key's values; none if the request does not have it."""
        key = key.lower()
        if key in self._values:
            return self._values[key]
        if any(covers(each, key) is True for each in self._known):
            return ()
        return Doubt(f"the condition key {key}")

    def variable(self, key: str) -> str | Doubt | None:
        """The value of a policy variable; None without one, and for a key with several values."""
        values = self.get(key)
        if isinstance(values, Doubt):
            return Doubt(f"the policy variable {key}")
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True)
class Condition:
    """One operator, one key, and the values that the policy names."""

    operator: str
    key: str
    expected: tuple[str, ...]

    def met(self, context: RequestContext, variables: bool) -> Verdict:
        """Whether a request meets the condition. `variables`: the language version has policy variables."""
        of_set, _, name = self.operator.lower().rpartition(":")
        values = context.get(self.key)
        if isinstance(values, Doubt):
            return values
        if name == NULL and of_set in ("", FOR_ALL, FOR_ANY):
            return any_of(each.lower() == ("false" if values else "true") for each in self.expected)
        if_exists = name.endswith("ifexists")
        test = OPERATORS.get(name.removesuffix("ifexists"))
        if test is None or of_set not in ("", FOR_ALL, FOR_ANY):
            return Doubt(f"the condition operator {self.operator}")
        if not values or (of_set and not any(values)):  # no value, or a set of nothing but empty ones
            return if_exists or {FOR_ALL: True, FOR_ANY: False}.get(of_set, test.negates)
        lookup = context.variable if variables and test.takes_variables else None
        verdicts = (test.holds(self.expected, value, lookup) for value in values)
        if of_set:
            return all_of(verdicts) if of_set == FOR_ALL else any_of(verdicts)
        # A key with several values takes a set operator: without one no policy matches it.
        return next(verdicts) if len(values) == 1 else False


Compare = Callable[[str, str, Lookup | None], Verdict]  # a policy's value, a request's value, the variables


@dataclass(frozen=True)
class Operator:
    """A condition operator, without IfExists and without a set operator."""

    compare: Compare
    negates: bool = False
    takes_variables: bool = False

    def holds(self, expected: tuple[str, ...], value: str, lookup: Lookup | None) -> Verdict:
        found = any_of(self.compare(each, value, lookup) for each in expected)
        return negated(found) if self.negates else found


def _same(expected: str, value: str, lookup: Lookup | None) -> Verdict:
    return covers(expected, value, lookup, wildcards=False)


def _same_ignoring_case(expected: str, value: str, lookup: Lookup | None) -> Verdict:
    pattern = expand(expected, lookup, wildcards=False)
    if isinstance(pattern, Doubt):
        return pattern
    return pattern is not None and "".join(map(str, pattern)).casefold() == value.casefold()


def _boolean(expected: str, value: str, lookup: Lookup | None) -> Verdict:
    return all_of((_same_ignoring_case(expected, value, lookup), value.lower() in ("true", "false")))


def _parsed(parse: Callable[[str], T | None], test: Callable[[T, T], bool]) -> Compare:
    """Compare values of a type. A value that is not of the type leaves a doubt."""

    def compare(expected: str, value: str, _lookup: Lookup | None) -> Verdict:
        wanted, given = parse(expected), parse(value)
        if wanted is None or given is None:
            return Doubt(f"the value {expected if wanted is None else value!r}")
        return test(given, wanted)

    return compare


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


_DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)


def _date(text: str) -> datetime | None:
    """A moment: one of the W3C's forms of ISO 8601, or seconds since 1970."""
    try:
        if match := _DATE.fullmatch(text.strip()):
            date = f"{match['year']}-{match['month'] or '01'}-{match['day'] or '01'}"
            time = f"{match['hour'] or '00'}:{match['minute'] or '00'}:{match['second'] or '00'}"
            fraction = (match["fraction"] or "0")[:6].ljust(6, "0")
            return datetime.fromisoformat(f"{date}T{time}.{fraction}{match['zone'] or 'Z'}")
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _within(
    address: ipaddress.IPv4Network | ipaddress.IPv6Network, network: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return address.version == network.version and address.subnet_of(network)


def _family(prefix: str, parse: Callable[[str], T | None]) -> dict[str, Operator]:
    """The six comparisons of numbers or dates."""
    tests: dict[str, Callable[[T, T], bool]] = {
        "equals": operator.eq,
        "lessthan": operator.lt,
        "lessthanequals": operator.le,
        "greaterthan": operator.gt,
        "greaterthanequals": operator.ge,
    }
    family = {f"{prefix}{name}": Operator(_parsed(parse, test)) for name, test in tests.items()}
    return {**family, f"{prefix}notequals": Operator(_parsed(parse, operator.eq), negates=True)}


OPERATORS: dict[str, Operator] = {
    "stringequals": Operator(_same, takes_variables=True),
    "stringnotequals": Operator(_same, negates=True, takes_variables=True),
    "stringequalsignorecase": Operator(_same_ignoring_case, takes_variables=True),
    "stringnotequalsignorecase": Operator(_same_ignoring_case, negates=True, takes_variables=True),
    "stringlike": Operator(covers, takes_variables=True),
    "stringnotlike": Operator(covers, negates=True, takes_variables=True),
    **_family("numeric", _number),
    **_family("date", _date),
    "bool": Operator(_boolean, takes_variables=True),
    "binaryequals": Operator(_parsed(_bytes, operator.eq)),
    "ipaddress": Operator(_parsed(_network, _within)),
    "notipaddress": Operator(_parsed(_network, _within), negates=True),
    "arnequals": Operator(covers_arn, takes_variables=True),
    "arnlike": Operator(covers_arn, takes_variables=True),
    "arnnotequals": Operator(covers_arn, negates=True, takes_variables=True),
    "arnnotlike": Operator(covers_arn, negates=True, takes_variables=True),
}
