"""When an alarm goes off: CloudWatch's rules for metric alarms, missing data included.

Source: "Configuring how CloudWatch alarms treat missing data" in the CloudWatch user guide. An alarm looks at its
evaluation periods and a few more before them. The newest periods that have data count. Only if these are too few,
TreatMissingData speaks for the rest.

`judge` is the whole rule and needs no store.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localaws import clock
from localaws.services.cloudwatch import expressions
from localaws.services.cloudwatch.expressions import MetricQuery
from localaws.services.cloudwatch.metrics import Metric, Store, period_of

MORE_PERIODS = 2  # looked at beyond the evaluation periods, for data that came late
OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"
MISSING, IGNORE, BREACHING, NOT_BREACHING = "missing", "ignore", "breaching", "notBreaching"
COMPARISONS = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class AlarmRule:
    """M out of N: an alarm is on if `to_alarm` of its `periods` breach the threshold."""

    comparison: str
    threshold: float
    periods: int
    to_alarm: int
    missing: str = MISSING

    @property
    def watches_below(self) -> bool:
        """Whether values below the threshold breach it."""
        return self.comparison.startswith("Less")


@dataclass(frozen=True)
class Verdict:
    """An alarm's state, why, and the values that it came from: the newest period first."""

    state: str
    reason: str
    values: tuple[float, ...]


def judge(rule: AlarmRule, looked_at: Sequence[float | None], before: str) -> Verdict:
    """The state of an alarm that was in `before`, from the values of its evaluation range.

    `looked_at` has the newest period first, and None for a period without data.
    """
    breaches = COMPARISONS[rule.comparison][0]
    known = [(age, value) for age, value in enumerate(looked_at) if value is not None][: rule.periods]
    values = tuple(value for _, value in known)
    breaching = [bool(breaches(value, rule.threshold)) for value in values]
    absent = rule.periods - len(values)
    state = _state(rule, breaching, absent, known[-1][0] + 1 if known else 0, before)
    return Verdict(state, _reason(rule, state, values, sum(breaching), absent), values)


def _state(rule: AlarmRule, breaching: Sequence[bool], absent: int, oldest: int, before: str) -> str:
    """`breaching` has the known values, the newest first; the oldest of them is of the period number `oldest`."""
    certain = sum(breaching)
    if certain >= rule.to_alarm:
        return ALARM
    if not absent or rule.missing == NOT_BREACHING:
        return OK
    if rule.missing == BREACHING:
        return ALARM if certain + absent >= rule.to_alarm else OK
    if not breaching:
        return before if rule.missing == IGNORE else UNKNOWN
    if not all(breaching):
        return OK
    # Nothing but a few breaching values. One that is old enough counts as an alarm, unless what is missing is ignored;
    # one that has just come may be contradicted by the next.
    return ALARM if rule.missing != IGNORE and oldest >= rule.to_alarm else before


def _reason(rule: AlarmRule, state: str, values: Sequence[float], breaching: int, absent: int) -> str:
    """In AWS's words, without the times of the datapoints."""
    if not values:
        text = f"no datapoints were received for {_counted(rule.periods, 'period')}"
        if state == UNKNOWN:
            return f"Insufficient Data: {_counted(rule.periods, 'datapoint')} {_were(rule.periods)} unknown."
        treated = {BREACHING: "Breaching", NOT_BREACHING: "NonBreaching"}.get(rule.missing, "Ignored")
        missing = f"{_counted(rule.periods, 'missing datapoint')} {_were(rule.periods)} treated as [{treated}]"
        return f"Threshold Crossed: {text} and {missing}."
    shown = ", ".join(f"{value:g}" for value in reversed(values))
    number = breaching if state == ALARM else len(values) - breaching
    verb = f"{_were(number)} {'' if state == ALARM else 'not '}{COMPARISONS[rule.comparison][1]}"
    filled = f", {absent} missing" if absent else ""
    of = f"{number} out of the last {_counted(len(values), 'datapoint')} [{shown}]{filled}"
    return f"Threshold Crossed: {of} {verb} the threshold ({rule.threshold:g})."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


# --- the alarms of the API ---


def can_be_evaluated(alarm: Any) -> bool:
    """Whether an alarm is of metrics and a threshold; composites and anomalies are not evaluated."""
    return not alarm.rule and alarm.comparison_operator in COMPARISONS


def is_fine(alarm: Any) -> bool:
    """Whether an alarm has a period of less than a minute: it is evaluated every ten seconds."""
    return seconds_of(alarm) < clock.MINUTE


def rule_of(alarm: Any) -> AlarmRule:
    periods = int(alarm.evaluation_periods)
    return AlarmRule(
        alarm.comparison_operator,
        float(alarm.threshold),
        periods,
        int(alarm.datapoints_to_alarm or periods),
        alarm.treat_missing_data or MISSING,
    )


def seconds_of(alarm: Any) -> int:
    """The length of an alarm's periods, in seconds of AWS's clock."""
    stated = [each.metric_stat.period for each in alarm.metric_data_queries if each.metric_stat]
    stated += [each.period for each in alarm.metric_data_queries]
    return int(alarm.period or next((each for each in stated if each), clock.MINUTE))


def queries_of(alarm: Any, region: str) -> list[MetricQuery]:
    """What an alarm watches: one metric, or metrics and expressions over them."""
    if not alarm.metric_data_queries:
        metric = Metric(region, alarm.namespace, alarm.metric_name, _dimensions(alarm.dimensions))
        return [MetricQuery("value", metric, alarm.statistic or alarm.extended_statistic)]
    queries = []
    for each in alarm.metric_data_queries:
        metric = None
        if each.metric_stat:
            watched = each.metric_stat.metric
            metric = Metric(region, watched.namespace, watched.metric_name, _dimensions(watched.dimensions))
        statistic = each.metric_stat.stat if each.metric_stat else ""
        returned = each.return_data is not False
        queries.append(MetricQuery(each.id, metric, statistic, each.expression or "", returned))
    return queries


def evaluate(alarm: Any, region: str, store: Store, now: float) -> Verdict:
    """What an alarm says at `now` (seconds since 1970), of the periods that have ended by then."""
    rule, length = rule_of(alarm), seconds_of(alarm)
    number, seconds = rule.periods + MORE_PERIODS, clock.real(length)
    end = period_of(now, min(length, clock.MINUTE))
    start = end - number * seconds
    queries = queries_of(alarm, region)
    series = expressions.evaluate(queries, store, start, end, seconds)[expressions.result(queries).id]
    found = {round((at - start) / seconds): value for at, value in series.items()}
    return judge(rule, [found.get(age) for age in reversed(range(number))], alarm.state_value)


def _dimensions(given: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((each.name, each.value) for each in given))
