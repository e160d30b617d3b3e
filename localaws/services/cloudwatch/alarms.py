"""When an alarm goes off: CloudWatch's rules for metric alarms, missing data included.

Source: "Configuring how CloudWatch alarms treat missing data" in the CloudWatch user guide. An alarm looks at its
evaluation periods and a few more before them; the newest periods that have data count, and only where these are too
few does TreatMissingData speak for the rest.
"""

import operator
from dataclasses import dataclass
from typing import Any

from localaws import clock
from localaws.services.cloudwatch.metrics import Metric, Store, minute_of

MORE_PERIODS = 2  # looked at beyond the evaluation periods, for data that came late
OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"
COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True)
class Verdict:
    """An alarm's state, why, and the values that were looked at: the newest period first, None without data."""

    state: str
    reason: str
    values: tuple[float | None, ...]


def can_be_evaluated(alarm: Any) -> bool:
    """Whether an alarm is of one metric and a threshold; expressions, composites and anomalies are not evaluated."""
    return not alarm.rule and not alarm.metric_data_queries and alarm.comparison_operator in COMPARISONS


def metric_of(alarm: Any, region: str) -> Metric:
    dimensions = sorted((dimension.name, dimension.value) for dimension in alarm.dimensions)
    return Metric(region, alarm.namespace, alarm.metric_name, tuple(dimensions))


def evaluate(alarm: Any, region: str, store: Store, now: float) -> Verdict:
    """What an alarm says at `now` (seconds since 1970), of the periods that have ended by then."""
    needed, seconds = int(alarm.evaluation_periods), clock.real(int(alarm.period))
    looked_at = needed + MORE_PERIODS
    end = minute_of(now)
    start = end - looked_at * seconds
    statistic = alarm.statistic or alarm.extended_statistic
    found = {
        round((at - start) / seconds): bucket.statistic(statistic)
        for at, bucket in store.periods(metric_of(alarm, region), start, end, seconds)
    }
    values = tuple(found.get(number) for number in reversed(range(looked_at)))
    breaches = COMPARISONS[alarm.comparison_operator]
    bad = [None if value is None else bool(breaches(value, float(alarm.threshold))) for value in values]
    state = _state(bad, needed, int(alarm.datapoints_to_alarm or needed), alarm.treat_missing_data, alarm.state_value)
    return Verdict(state, _reason(state, [value for value in values if value is not None][:needed], alarm), values)


def _state(bad: list[bool | None], needed: int, to_alarm: int, missing: str | None, before: str) -> str:
    """The state from whether each period breaches, the newest first, None without data."""
    present = [each for each in bad if each is not None][:needed]
    breaching, absent = sum(present), needed - len(present)
    if missing == "breaching":
        breaching += absent
    if breaching >= to_alarm:
        return ALARM
    if missing in ("breaching", "notBreaching") or breaching + absent < to_alarm:
        return OK
    if missing == "ignore":
        return before
    if not present:
        return UNKNOWN
    oldest = max(number for number, each in enumerate(bad) if each is not None) + 1
    return ALARM if all(present) and oldest >= to_alarm else before


def _reason(state: str, values: list[float], alarm: Any) -> str:
    if state == UNKNOWN:
        return "Insufficient Data: no datapoints were received for the evaluation periods."
    known = ", ".join(f"{value:g}" for value in values) or "none"
    return (
        f"Threshold {'Crossed' if state == ALARM else 'not crossed'}: of the datapoints there are, the newest are "
        f"{known}; the threshold is {float(alarm.threshold):g} ({alarm.comparison_operator})."
    )
