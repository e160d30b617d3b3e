"""Metric filters: each line that a log group gets is compared with the group's filters, and those that match become
values of a metric.

Source: "Creating metrics from log events using filters" in the CloudWatch Logs user guide, and the API reference of
PutMetricFilter and MetricTransformation.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

from moto.logs import urls
from moto.logs.exceptions import InvalidParameterException, LogsClientError, ResourceNotFoundException
from moto.logs.models import LogsBackend
from moto.logs.responses import LogsResponse

from localaws import state
from localaws.services.cloudwatch.metrics import Bucket, Metric, store
from localaws.services.logs import patterns
from localaws.services.logs.patterns import MISSING, PatternError

MOST_FILTERS = 100  # of a log group
MOST_DIMENSIONS = 3


class LocalLogsResponse(LogsResponse):
    """One request to the API."""

    @property
    def _url_module(self) -> Any:
        return urls

    def put_metric_filter(self) -> str:
        """A filter of the same name in the group is replaced, as on AWS."""
        group, name = self._get_param("logGroupName"), self._get_param("filterName")
        if group not in self.logs_backend.groups:
            raise ResourceNotFoundException("The specified log group does not exist.")
        for each in self._get_param("metricTransformations") or []:
            _check(each)
        try:
            patterns.parse(self._get_param("filterPattern") or "")
        except PatternError as error:
            raise InvalidParameterException(str(error)) from None
        kept = self.logs_backend.filters.metric_filters
        of_group = [each for each in kept if each["logGroupName"] == group]
        before = next((each for each in of_group if each["filterName"] == name), None)
        if before is None and len(of_group) >= MOST_FILTERS:
            raise LogsClientError("LimitExceededException", "Resource limit exceeded.")
        answer = super().put_metric_filter()
        if before is not None:
            kept.remove(before)
        state.touch()
        return answer

    def describe_metric_filters(self) -> str:
        group = self._get_param("logGroupName")
        if group is not None and group not in self.logs_backend.groups:
            raise ResourceNotFoundException("The specified log group does not exist.")
        return super().describe_metric_filters()

    def delete_metric_filter(self) -> str:
        group, name = self._get_param("logGroupName"), self._get_param("filterName")
        kept = self.logs_backend.filters.metric_filters
        if group not in self.logs_backend.groups:
            raise ResourceNotFoundException("The specified log group does not exist.")
        if not any(each["logGroupName"] == group and each["filterName"] == name for each in kept):
            raise ResourceNotFoundException("The specified metric filter does not exist.")
        state.touch()
        return super().delete_metric_filter()

    def delete_log_group(self) -> str:
        """A group's filters go with it."""
        answer = super().delete_log_group()
        group, filters = self._get_param("logGroupName"), self.logs_backend.filters
        filters.metric_filters = [each for each in filters.metric_filters if each["logGroupName"] != group]
        return answer


def _check(transformation: Mapping[str, Any]) -> None:
    """Raise InvalidParameterException for what makes no metric."""
    value, dimensions = str(transformation.get("metricValue") or ""), transformation.get("dimensions") or {}
    if not patterns.is_selector(value) and _number(value) is None:
        raise InvalidParameterException(
            f"Invalid metric transformation: metricValue {value} is neither a number nor a selector"
        )
    if dimensions and transformation.get("defaultValue") is not None:
        raise InvalidParameterException(
            "Invalid metric transformation: dimensions and default value are mutually exclusive."
        )
    if len(dimensions) > MOST_DIMENSIONS:
        raise InvalidParameterException(
            f"Invalid metric transformation: at most {MOST_DIMENSIONS} dimensions are allowed."
        )


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


@functools.lru_cache(maxsize=1000)
def _matcher(pattern: str) -> patterns.Matcher:
    return patterns.parse(pattern)


def count(filters: list[dict[str, Any]], region: str, events: list[dict[str, Any]]) -> None:
    """Make values of the filters' metrics from these lines of their log group."""
    for each in filters:
        matches = _matcher(each["filterPattern"] or "")
        for event in events:
            matched = matches(event["message"])
            for transformation in each["metricTransformations"]:
                _measure(transformation, region, event, matched)


def _measure(transformation: Mapping[str, Any], region: str, event: Mapping[str, Any], matched: bool) -> None:
    """Without a match, the default value says that there were lines."""
    at, unit = event["timestamp"] / 1000, transformation.get("unit") or "None"
    namespace, name = transformation["metricNamespace"], transformation["metricName"]
    if not matched:
        default = _number(transformation.get("defaultValue"))
        if default is not None:
            store.fill(Metric(region, namespace, name, ()), at, unit, default)
        return
    found = patterns.document(event["message"])
    value = _value(str(transformation["metricValue"]), found)
    dimensions = {key: patterns.select(found, path) for key, path in (transformation.get("dimensions") or {}).items()}
    if value is None or any(each is MISSING or isinstance(each, dict | list) for each in dimensions.values()):
        return
    bucket = Bucket()
    bucket.add(value)
    store.merge(
        Metric(region, namespace, name, tuple(sorted((k, str(v)) for k, v in dimensions.items()))), at, bucket, unit
    )


def _value(text: str, found: Any) -> float | None:
    return _number(patterns.select(found, text)) if patterns.is_selector(text) else _number(text)


_put_log_events = LogsBackend.put_log_events


def _put_and_count(
    backend: LogsBackend, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    answer = _put_log_events(backend, log_group_name, log_stream_name, log_events)
    filters = [each for each in backend.filters.metric_filters if each["logGroupName"] == log_group_name]
    if filters:
        count(filters, backend.region_name, log_events)
    return answer


def install() -> None:
    LogsBackend.put_log_events = _put_and_count  # also of backends in a kept state
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalLogsResponse.dispatch)
