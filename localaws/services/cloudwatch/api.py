"""CloudWatch: numbers that come from the work itself or from PutMetricData, and alarms that are evaluated every minute,
or every ten seconds if their period is shorter than a minute.

An alarm's state is looked up by endpoint updates, which roll back on it, and an alarm of a scaling policy calls that
policy for as long as it is on. Notifications are sent to nobody. Composite alarms keep the state they have.
"""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch import urls
from moto.cloudwatch.exceptions import (
    CloudWatchException,
    DashboardInvalidInputError,
    InvalidParameterCombination,
    InvalidParameterValue,
    ValidationError,
)
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from localaws import clock, state
from localaws.context import context
from localaws.paging import InvalidToken, page
from localaws.services.cloudwatch import alarms, dashboards, evaluation, expressions
from localaws.services.cloudwatch.expressions import MetricQuery
from localaws.services.cloudwatch.metrics import Bucket, Metric, store

MAX_DATAPOINTS = 1440  # of GetMetricStatistics
HIGH_RESOLUTION = 1  # the StorageResolution of a high-resolution metric


class UnknownToken(CloudWatchException):
    """A token that no listing has given."""

    code = "InvalidNextToken"
    message = "The next token specified is invalid."


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
            fine = each.get("StorageResolution") == HIGH_RESOLUTION
            store.merge(metric, at, _bucket(each), each.get("Unit") or "None", fine)
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
        if params.get("NextToken"):  # every answer is whole: no token was ever given
            raise UnknownToken
        start, end = _moment(params["StartTime"]), _moment(params["EndTime"])
        if start >= end:
            raise ValidationError("The parameter EndTime must be greater than StartTime.")
        asked = params.get("MetricDataQueries", [])
        queries = [self._query(each) for each in asked]
        period = max((each.seconds for each in queries if each.seconds), default=clock.MINUTE)
        try:
            series = expressions.evaluate(queries, store, _aligned(start, period), end, period)
        except expressions.ExpressionError as error:
            raise ValidationError(str(error)) from None
        descending = params.get("ScanBy") != "TimestampAscending"
        results = [
            _answered(query, each, sorted(series[query.id].items(), reverse=descending))
            for query, each in zip(queries, asked, strict=True)
            if query.returned
        ]
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
        try:
            shown, following = page(found, asked.get("NextToken"), 500)
        except InvalidToken:
            raise InvalidParameterValue("Invalid nextToken") from None
        return ActionResult({"Metrics": shown, **({"NextToken": following} if following else {})})

    def describe_alarms(self) -> ActionResult:
        """The alarms that meet all conditions. Without `AlarmTypes` there are no composite alarms, as on AWS."""
        asked = self._get_params()
        names, prefix, state_value = asked.get("AlarmNames"), asked.get("AlarmNamePrefix"), asked.get("StateValue")
        action, kinds = asked.get("ActionPrefix") or "", asked.get("AlarmTypes") or ["MetricAlarm"]
        found = [
            each
            for name, each in sorted(self.cloudwatch_backend.alarms.items())
            if (not names or name in names)
            and name.startswith(prefix or "")
            and state_value in (None, each.state_value)
            and (not action or any(arn.startswith(action) for arn in _actions(each)))
            and ("MetricAlarm" if each.rule is None else "CompositeAlarm") in kinds
        ]
        try:
            shown, following = page(found, asked.get("NextToken"), asked.get("MaxRecords") or 50)
        except InvalidToken:
            raise UnknownToken from None
        result: dict[str, Any] = {
            "MetricAlarms": [each for each in shown if each.rule is None],
            "CompositeAlarms": [each for each in shown if each.rule is not None],
        }
        return ActionResult({**result, "NextToken": following} if following else result)

    def put_metric_alarm(self) -> ActionResult:
        self._check_expressions(self._get_param("Metrics") or [])
        known = self.cloudwatch_backend.alarms
        before = known.get(self._get_param("AlarmName"))
        answer = super().put_metric_alarm()
        alarm = known[self._get_param("AlarmName")]
        alarm.state_value = before.state_value if before else alarms.UNKNOWN
        alarm.history = before.history if before else []
        return answer

    def put_dashboard(self) -> ActionResult:
        if found := dashboards.faults(self._get_param("DashboardBody")):
            listed = json.dumps(found, indent=2)
            raise DashboardInvalidInputError(
                f"The dashboard body is invalid, there are {len(found)} validation errors:\n{listed}"
            )
        return super().put_dashboard()

    def set_alarm_state(self) -> ActionResult:
        answer = super().set_alarm_state()
        evaluation.set_by_hand(self.cloudwatch_backend.alarms[self._get_param("AlarmName")])
        return answer

    def _metric(self, asked: dict[str, Any]) -> Metric:
        dimensions = _dimensions(asked.get("Dimensions") or [])
        return Metric(self.region, asked["Namespace"], asked["MetricName"], dimensions)

    def _query(self, asked: dict[str, Any]) -> MetricQuery:
        returned = asked.get("ReturnData", True)
        if "MetricStat" not in asked:
            return MetricQuery(asked["Id"], expression=asked.get("Expression") or "", returned=returned)
        stat = asked["MetricStat"]
        return MetricQuery(
            asked["Id"], self._metric(stat["Metric"]), stat["Stat"], returned=returned, seconds=stat["Period"]
        )

    def _check_expressions(self, asked: list[dict[str, Any]]) -> None:
        """Refuse what an alarm could not be evaluated with."""
        queries = [self._query(each) for each in asked]
        try:
            if queries:
                expressions.check(queries)
                expressions.result(queries)
        except expressions.ExpressionError as error:
            raise ValidationError(str(error)) from None


def _answered(query: MetricQuery, asked: dict[str, Any], points: list[tuple[float, float]]) -> dict[str, Any]:
    return {
        "Id": query.id,
        "Label": asked.get("Label") or (query.metric.name if query.metric else query.id),
        "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete",
    }


def _actions(alarm: Any) -> list[str]:
    return [*(alarm.alarm_actions or []), *(alarm.ok_actions or []), *(alarm.insufficient_data_actions or [])]


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


def _path() -> Any:
    return context().home / "state" / "metrics.json"


def _restore() -> None:
    store.load(_path())
    evaluation.start()


def _stop() -> None:
    evaluation.stop()
    store.save(_path())


def install() -> None:
    clock.scale()  # a wrong one is said at the start
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalCloudWatchResponse.dispatch)
    state.register("cloudwatch", restore=_restore, stop=_stop)
