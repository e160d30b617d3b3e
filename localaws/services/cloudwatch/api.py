"""CloudWatch: numbers that come from the work itself or from PutMetricData, and alarms that are evaluated every minute.

An alarm's state is looked up by endpoint updates, which roll back on it, and an alarm of a scaling policy calls that
policy for as long as it is on. Notifications are sent to nobody. Alarms of expressions and composites keep the state
they have.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch import urls
from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import Alarm, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from localaws import clock, state
from localaws.context import ACCOUNT_ID, context
from localaws.services.cloudwatch import alarms
from localaws.services.cloudwatch.metrics import Bucket, Metric, store

MAX_DATAPOINTS = 1440  # of GetMetricStatistics

log = logging.getLogger(__name__)

_actions: dict[str, Callable[[str, Alarm, alarms.Verdict], None]] = {}
_set_by_hand: dict[str, float] = {}  # alarm ARN -> when: such a state holds for a minute
_closing = threading.Event()


def on_alarm(prefix: str, act: Callable[[str, Alarm, alarms.Verdict], None]) -> None:
    """Call `act(arn, alarm, verdict)` in each minute that an alarm is on and names an action with this prefix."""
    _actions[prefix] = act


class LocalCloudWatchResponse(CloudWatchResponse):
    """One request to the API."""

    @property
    def _url_module(self) -> Any:
        return urls

    def put_metric_data(self) -> ActionResult:
        namespace, data = self._get_param("Namespace"), self._get_param("MetricData", [])
        for number, each in enumerate(data, 1):
            self.cloudwatch_backend._validate_parameters_put_metric_data(each, number)
        for each in data:
            dimensions = _dimensions(each.get("Dimensions") or [])
            metric = Metric(self.region, namespace, each["MetricName"], dimensions)
            at = each["Timestamp"].timestamp() if each.get("Timestamp") else time.time()
            store.merge(metric, at, _bucket(each), each.get("Unit") or "None")
        return EmptyResult()

    def get_metric_statistics(self) -> ActionResult:
        names = [*(self._get_param("Statistics") or []), *(self._get_param("ExtendedStatistics") or [])]
        if not names:
            raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
        metric = self._metric(self._get_params())
        start, end = _moment(self._get_param("StartTime")), _moment(self._get_param("EndTime"))
        seconds = int(self._get_param("Period"))
        if start >= end:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        if (end - start) / seconds > MAX_DATAPOINTS:
            raise InvalidParameterCombination(
                f"You have requested up to {(end - start) / seconds:.0f} datapoints, which exceeds the limit of "
                f"{MAX_DATAPOINTS}."
            )
        points = []
        for at, bucket in store.periods(metric, _aligned(start, seconds), end, seconds):
            values = {name: bucket.statistic(name) for name in names}
            point = {"Timestamp": datetime.fromtimestamp(at, UTC), "Unit": store.unit(metric)}
            point |= {name: value for name, value in values.items() if not name.startswith("p")}
            extended = {name: value for name, value in values.items() if name.startswith("p")}
            points.append({**point, "ExtendedStatistics": extended} if extended else point)
        return ActionResult({"Label": metric.name, "Datapoints": points})

    def get_metric_data(self) -> ActionResult:
        params = self._get_params()
        start, end = _moment(params["StartTime"]), _moment(params["EndTime"])
        if start >= end:
            raise ValidationError("The parameter EndTime must be greater than StartTime.")
        ascending = params.get("ScanBy") == "TimestampAscending"
        results = []
        for query in params.get("MetricDataQueries", []):
            if "MetricStat" not in query:
                raise ValidationError("The local AWS has no metric math: a query needs its MetricStat.")
            if query.get("ReturnData", True):
                results.append(self._queried(query, start, end, ascending))
        return ActionResult({"MetricDataResults": results})

    def list_metrics(self) -> ActionResult:
        asked = self._get_params()
        wanted = {each["Name"]: each.get("Value") for each in asked.get("Dimensions") or []}
        found = [
            {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
            }
            for metric in store.metrics(self.region)
            if asked.get("Namespace") in (None, metric.namespace)
            and asked.get("MetricName") in (None, metric.name)
            and all(value in (None, dict(metric.dimensions).get(name, "")) for name, value in wanted.items())
            and wanted.keys() <= dict(metric.dimensions).keys()
        ]
        first = int(asked.get("NextToken") or 0)
        more = {"NextToken": str(first + 500)} if len(found) > first + 500 else {}
        return ActionResult({"Metrics": found[first : first + 500], **more})

    def put_metric_alarm(self) -> ActionResult:
        known = self.cloudwatch_backend.alarms
        before = known.get(self._get_param("AlarmName"))
        answer = super().put_metric_alarm()
        alarm = known[self._get_param("AlarmName")]
        alarm.state_value = before.state_value if before else alarms.UNKNOWN
        alarm.history = before.history if before else []
        return answer

    def set_alarm_state(self) -> ActionResult:
        answer = super().set_alarm_state()
        _set_by_hand[self.cloudwatch_backend.alarms[self._get_param("AlarmName")].alarm_arn] = time.time()
        return answer

    def _metric(self, asked: dict[str, Any]) -> Metric:
        dimensions = _dimensions(asked.get("Dimensions") or [])
        return Metric(self.region, asked["Namespace"], asked["MetricName"], dimensions)

    def _queried(self, query: dict[str, Any], start: float, end: float, ascending: bool) -> dict[str, Any]:
        asked = query["MetricStat"]
        metric, seconds = self._metric(asked["Metric"]), int(asked["Period"])
        points = [
            (datetime.fromtimestamp(at, UTC), value)
            for at, bucket in store.periods(metric, _aligned(start, seconds), end, seconds)
            if (value := bucket.statistic(asked["Stat"])) is not None
        ]
        points = points if ascending else points[::-1]
        return {
            "Id": query["Id"],
            "Label": query.get("Label") or metric.name,
            "Timestamps": [at for at, _ in points],
            "Values": [value for _, value in points],
            "StatusCode": "Complete",
        }


def _dimensions(asked: Iterable[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((each["Name"], each["Value"]) for each in asked))


def _bucket(datum: dict[str, Any]) -> Bucket:
    """What one member of PutMetricData says: a value, values with their counts, or statistics."""
    bucket = Bucket()
    if given := datum.get("StatisticValues"):
        numbers = {name: float(given[name]) for name in ("SampleCount", "Sum", "Minimum", "Maximum")}
        bucket.add(numbers["Sum"] / numbers["SampleCount"], numbers["SampleCount"])
        bucket.low, bucket.high = numbers["Minimum"], numbers["Maximum"]
    elif datum.get("Values"):
        counts = datum.get("Counts") or [1] * len(datum["Values"])
        for value, count in zip(datum["Values"], counts, strict=True):
            bucket.add(float(value), float(count))
    else:
        bucket.add(float(datum.get("Value", 0)))
    return bucket


def _moment(given: datetime) -> float:
    return given.replace(tzinfo=given.tzinfo or UTC).timestamp()


def _aligned(start: float, seconds: int) -> float:
    """Where the periods begin: at full ones, as CloudWatch rounds a start time down."""
    return start // seconds * seconds


# --- alarms, minute by minute ---


def evaluate_alarms(now: float) -> None:
    """Bring every alarm to the state that its metric calls for at `now`, and call the actions of those that are on."""
    for region, backend in list(cloudwatch_backends[ACCOUNT_ID].items()):
        for alarm in [each for each in list(backend.alarms.values()) if alarms.can_be_evaluated(each)]:
            if now - _set_by_hand.get(alarm.alarm_arn, 0) < clock.real(clock.MINUTE):
                continue
            try:
                _evaluate(alarm, region, now)
            except Exception:  # one alarm that fails must not keep the others from being looked at
                log.exception("the alarm %s could not be evaluated", alarm.name)


def _evaluate(alarm: Alarm, region: str, now: float) -> None:
    verdict = alarms.evaluate(alarm, region, store, now)
    if verdict.state != alarm.state_value:
        alarm.update_state(verdict.reason, json.dumps({"recentDatapoints": verdict.values}), verdict.state)
        log.info("alarm %s is %s: %s", alarm.name, verdict.state, verdict.reason)
        state.touch()
    if verdict.state != alarms.ALARM or not alarm.actions_enabled:
        return
    for arn in alarm.alarm_actions or []:
        for prefix, act in _actions.items():
            if arn.startswith(prefix):
                act(arn, alarm, verdict)


def _run() -> None:
    width = clock.real(clock.MINUTE)
    while not _closing.wait(width - time.time() % width):
        evaluate_alarms(time.time())


def _path() -> Any:
    return context().home / "state" / "metrics.json"


def _restore() -> None:
    store.load(_path())
    threading.Thread(target=_run, name="alarms", daemon=True).start()


def _stop() -> None:
    _closing.set()
    store.save(_path())


def install() -> None:
    clock.scale()  # a wrong one is said at the start
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalCloudWatchResponse.dispatch)
    state.register("cloudwatch", restore=_restore, stop=_stop)
