"""Metric math: expressions over metrics, for GetMetricData, alarms and target tracking.

Source: "Using math expressions with CloudWatch metrics" in the CloudWatch user guide. A series has a value for some of
the periods, by the period's start; a scalar has one value for all. An operation on two series has a value for the
periods in which both have one; a division by zero has none.
"""

import ast
import math
import operator
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from localaws.services.cloudwatch.metrics import Metric, Store

Series = dict[float, float]  # values by the start of their period, in seconds since 1970
Value = Series | float

OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "AVG": statistics.fmean,
    "MIN": min,
    "MAX": max,
}
ROUNDINGS: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
CAN = f"{', '.join([*AGGREGATES, *ROUNDINGS, 'FILL', 'IF', 'METRICS'])}, + - * / ^ and comparisons"


class ExpressionError(Exception):
    """An expression that is wrong or not evaluated here; the message says what can be used."""


@dataclass(frozen=True)
class MetricQuery:
    """One member of `MetricDataQueries` or of an alarm's `Metrics`: a metric with a statistic, or an expression.

    `seconds` is the length of its periods, if it has its own.
    """

    id: str
    metric: Metric | None = None
    statistic: str = ""
    expression: str = ""
    returned: bool = True
    seconds: float | None = None


def check(queries: Sequence[MetricQuery]) -> None:
    """Raise ExpressionError for a query that names no other one, or that cannot be evaluated here."""
    _Evaluation(queries, {each.id: {} for each in queries if each.metric}, []).all()


def evaluate(
    queries: Sequence[MetricQuery], store: Store, start: float, end: float, seconds: float
) -> dict[str, Series]:
    """The series of each query, by its id: the periods of `seconds` from `start` to `end`. Raises ExpressionError."""
    known: dict[str, Series] = {}
    for query in queries:
        if query.metric:
            length = query.seconds or seconds
            first = start if query.seconds is None else start // length * length
            found = store.periods(query.metric, first, end, length)
            values = {at: bucket.statistic(query.statistic) for at, bucket in found}
            known[query.id] = {_whole(at): value for at, value in values.items() if value is not None}
    periods = [_whole(start + number * seconds) for number in range(round((end - start) / seconds))]
    return _Evaluation(queries, known, periods).all()


def result(queries: Sequence[MetricQuery]) -> MetricQuery:
    """The query whose series counts for an alarm. Raises ExpressionError unless there is exactly one."""
    returned = [each for each in queries if each.returned]
    if len(returned) != 1:
        raise ExpressionError("Exactly one element of the metrics list should return data.")
    return returned[0]


class _Evaluation:
    """Evaluates the expressions of a request, each after those that it names."""

    def __init__(self, queries: Sequence[MetricQuery], known: Mapping[str, Series], periods: Sequence[float]):
        self._queries = {each.id: each for each in queries}
        self._known: dict[str, Value] = dict(known)
        self._periods = periods
        self._within: list[str] = []

    def all(self) -> dict[str, Series]:
        values = {name: self._named(name) for name in self._queries}
        return {
            name: value if isinstance(value, dict) else dict.fromkeys(self._periods, value)
            for name, value in values.items()
        }

    def _named(self, name: str) -> Value:
        if name in self._known:
            return self._known[name]
        if name not in self._queries:
            raise ExpressionError(f"The expression names {name!r}, but no other query has this id.")
        if name in self._within:
            raise ExpressionError(f"The expressions {' and '.join(self._within)} name each other.")
        self._within.append(name)
        text = re.sub(r"(?<![<>=!])=(?!=)", "==", self._queries[name].expression).replace("^", "**")
        try:
            value = self._value(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, RecursionError):
            raise ExpressionError(f"The expression {self._queries[name].expression!r} cannot be read.") from None
        self._within.pop()
        if not isinstance(value, dict | int | float):
            raise ExpressionError(f"The expression {self._queries[name].expression!r} has no single result.")
        self._known[name] = value
        return value

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return float(number)
            case ast.Name(id=name):
                return self._named(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _combined(operator.sub, 0.0, self._value(operand))
            case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in OPERATORS:
                return _combined(OPERATORS[type(symbol)], self._value(left), self._value(right))
            case ast.Compare(left=left, ops=[symbol], comparators=[right]) if type(symbol) in OPERATORS:
                return _combined(OPERATORS[type(symbol)], self._value(left), self._value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._called(name, arguments)
        raise ExpressionError(f"The local AWS evaluates {CAN}; it cannot evaluate {ast.unparse(node)!r}.")

    def _called(self, name: str, arguments: list[ast.expr]) -> Value:
        match name, arguments:
            case "FILL", [series, ast.Name(id="REPEAT")]:
                return self._repeated(self._series(series))
            case "FILL", [series, filler]:
                filled = _combined(lambda _, value: value, dict.fromkeys(self._periods, 0.0), self._value(filler))
                return {**_as_series(filled, self._periods), **self._series(series)}
            case "IF", [condition, yes, no]:
                chosen = self._value(condition)
                if not isinstance(chosen, dict):
                    return self._value(yes if chosen else no)
                sides = [_as_series(self._value(each), chosen) for each in (yes, no)]
                picked = {at: sides[0 if value else 1].get(at) for at, value in chosen.items()}
                return {at: value for at, value in picked.items() if value is not None}
            case _, [single] if name in ROUNDINGS:
                return _mapped(ROUNDINGS[name], self._value(single))
            case _, [argument] if name in AGGREGATES:
                return self._aggregated(AGGREGATES[name], argument)
        raise ExpressionError(f"The local AWS evaluates {CAN}; it cannot evaluate {name}.")

    def _aggregated(self, aggregate: Callable[[Sequence[float]], float], argument: ast.expr) -> Value:
        """Over several series, period by period; over one series, the scalar of all its values."""
        match argument:
            case ast.List(elts=elements):
                parts = [self._value(each) for each in elements]
            case ast.Call(func=ast.Name(id="METRICS"), args=[]):
                parts = [self._named(each.id) for each in self._queries.values() if each.metric]
            case _:
                values = list(self._series(argument).values())
                return float(aggregate(values)) if values else {}
        moments = sorted({at for part in parts if isinstance(part, dict) for at in part})
        if not moments and parts and not any(isinstance(part, dict) for part in parts):
            return float(aggregate([part for part in parts if not isinstance(part, dict)]))
        groups = {at: [value for part in parts if (value := _at(part, at)) is not None] for at in moments}
        return {at: float(aggregate(group)) for at, group in groups.items()}

    def _series(self, node: ast.expr) -> Series:
        return _as_series(self._value(node), self._periods)

    def _repeated(self, series: Series) -> Series:
        """Each missing value as the last one before it."""
        filled, last = {}, None
        for at in self._periods:
            last = series.get(at, last)
            if last is not None:
                filled[at] = last
        return filled


def _whole(at: float) -> float:
    """Periods of a clock that was divided by the time scale are not exact; their starts must be equal all the same."""
    return round(at, 3)


def _at(value: Value, at: float) -> float | None:
    return value.get(at) if isinstance(value, dict) else value


def _as_series(value: Value, moments: Sequence[float] | Series) -> Series:
    return value if isinstance(value, dict) else dict.fromkeys(moments, value)


def _mapped(change: Callable[[float], float], value: Value) -> Value:
    return {at: float(change(each)) for at, each in value.items()} if isinstance(value, dict) else float(change(value))


def _combined(combine: Callable[[float, float], float], left: Value, right: Value) -> Value:
    if not isinstance(left, dict) and not isinstance(right, dict):
        found = _defined(combine, left, right)
        return {} if found is None else found
    moments = left if isinstance(left, dict) else right
    found = {at: _defined(combine, _at(left, at), _at(right, at)) for at in moments}
    return {at: value for at, value in found.items() if value is not None}


def _defined(combine: Callable[[float, float], float], left: float | None, right: float | None) -> float | None:
    """The result, or None if a side or the result is not defined."""
    if left is None or right is None:
        return None
    try:
        found = float(combine(left, right))
    except (ArithmeticError, ValueError, TypeError):  # a division by zero; the root of a negative number is complex
        return None
    return found if math.isfinite(found) else None
