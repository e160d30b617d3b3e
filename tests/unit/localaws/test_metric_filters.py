"""Metric filters: the lines of a log become values of a metric, which an alarm can watch. And a dashboard's form."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from localaws.services.cloudwatch import dashboards
from localaws.services.logs import patterns
from localaws.services.logs.api import MOST_FILTERS
from localaws.services.logs.patterns import PatternError

LINE = {"level": "ERROR", "status": 502, "ms": 12.5, "via": "function-url", "model": {"classes": [3, 4]}, "none": None}


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("", True),
        ("ERROR", True),
        ("error", False),
        ('"function-url"', True),
        ("ERROR -function", False),
        ("?WARN ?ERROR", True),
        ("?WARN ?INFO", False),
        ("{ $.status >= 500 }", True),
        ("{ $.status > 502 }", False),
        ("{$.status=502}", True),
        ("{ $.status != 502 }", False),
        ("{ $.via >= 1 }", False),
        ('{ $.level = "ERR*" }', True),
        ('{ $.level != "ERR*" }', False),
        ("{ $.level = ERROR && $.ms < 5 }", False),
        ("{ $.ms < 5 || $.level = ERROR }", True),
        ("{ ($.ms < 5 || $.ms > 12) && $.status = 502 }", True),
        ("{ $.model.classes[1] = 4 }", True),
        ("{ $.model.classes[2] = 4 }", False),
        ("{ $.none IS NULL }", True),
        ("{ $.code NOT EXISTS }", True),
        ("{ $.code IS NULL }", False),
    ],
)
def test_a_pattern_matches_as_in_the_guide(pattern: str, matches: bool):
    assert patterns.parse(pattern)(json.dumps(LINE)) is matches


@pytest.mark.parametrize("line", ["Init Duration: 5 ms", "{broken", '["status", 502]'])
def test_a_line_that_is_no_json_object_matches_no_pattern_of_json(line: str):
    assert not patterns.parse("{ $.status != 1 }")(line)


@pytest.mark.parametrize(
    "pattern",
    ["{ $.status", "{ status > 1 }", "{ $.a = }", "{ $.a = 1 & }", "{ $.a > x }", "{ ($.a = 1 }", "[ip, user]", "%a%"],
)
def test_what_is_no_pattern_is_refused(pattern: str):
    with pytest.raises(PatternError):
        patterns.parse(pattern)


def transformation(name: str, value: str, **more) -> list[dict]:
    return [{"metricName": name, "metricNamespace": "Test/Filters", "metricValue": value, **more}]


def values(localaws, metric: str, statistic: str, dimensions: tuple = ()) -> list[float]:
    now = datetime.now(UTC)
    found = localaws.client("cloudwatch").get_metric_statistics(
        Namespace="Test/Filters",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=[statistic],
    )
    return [each[statistic] for each in found["Datapoints"]]


@pytest.fixture
def group(localaws):
    logs = localaws.client("logs")
    logs.create_log_group(logGroupName="/filters")
    logs.create_log_stream(logGroupName="/filters", logStreamName="s")
    yield "/filters"
    logs.delete_log_group(logGroupName="/filters")
    kept = logs.describe_metric_filters()["metricFilters"]
    assert [each for each in kept if each["logGroupName"] == "/filters"] == [], "they go with their group"


def test_lines_become_values_of_a_metric_from_the_filter_on(localaws, group: str):
    logs = localaws.client("logs")

    def put(*lines: dict) -> None:
        events = [{"timestamp": int(time.time() * 1000), "message": json.dumps(line)} for line in lines]
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)

    put({"status": 500, "ms": 1})  # before there is a filter
    failed = {"logGroupName": group, "filterName": "failed", "filterPattern": "{ $.status >= 500 }"}
    logs.put_metric_filter(**failed, metricTransformations=transformation("Old", "1"))
    logs.put_metric_filter(**failed, metricTransformations=transformation("Failed", "1", defaultValue=0))
    timed = transformation("Ms", "$.ms", dimensions={"Via": "$.via"}, unit="Milliseconds")
    logs.put_metric_filter(logGroupName=group, filterName="ms", filterPattern="", metricTransformations=timed)
    assert len(logs.describe_metric_filters(logGroupName=group)["metricFilters"]) == 2, "one of a name is replaced"

    put({"status": 200, "ms": 3, "via": "url"})
    assert values(localaws, "Failed", "Sum") == [0]
    put({"status": 502, "ms": 5, "via": "url"}, {"status": 504, "ms": "slow", "via": "url"})

    assert values(localaws, "Failed", "Sum") == [2]
    assert values(localaws, "Ms", "Average", (("Via", "url"),)) == [4]
    assert values(localaws, "Old", "Sum") == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"logGroupName": "/none"}, "ResourceNotFoundException"),
        ({"filterPattern": "{ $.a = }"}, "InvalidParameterException"),
        ({"metricTransformations": transformation("A", "many")}, "InvalidParameterException"),
        (
            {"metricTransformations": transformation("A", "1", dimensions={"B": "$.b"}, defaultValue=0)},
            "InvalidParameterException",
        ),
    ],
)
def test_a_filter_that_aws_refuses_is_refused(localaws, group: str, changed: dict, code: str):
    asked = {
        "logGroupName": group,
        "filterName": "f",
        "filterPattern": "",
        "metricTransformations": transformation("A", "1"),
    }
    with pytest.raises(ClientError) as refused:
        localaws.client("logs").put_metric_filter(**(asked | changed))
    assert refused.value.response["Error"]["Code"] == code


def test_a_group_has_a_hundred_filters(localaws, group: str):
    logs = localaws.client("logs")
    asked = {"logGroupName": group, "filterPattern": "", "metricTransformations": transformation("A", "1")}
    for number in range(MOST_FILTERS):
        logs.put_metric_filter(**asked, filterName=f"f{number}")
    with pytest.raises(ClientError, match="LimitExceededException"):
        logs.put_metric_filter(**asked, filterName="one-more")


GRAPH = {
    "type": "metric",
    "properties": {"region": "us-east-1", "metrics": [["AWS/Lambda", "Errors", "FunctionName", "f"]]},
}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("{", ""),
        ({}, ""),
        ({"widgets": [GRAPH | {"type": "graph"}]}, "/widgets/0/type"),
        ({"widgets": [GRAPH, GRAPH | {"width": 25}]}, "/widgets/1/width"),
        ({"widgets": [{"type": "text", "properties": {}}]}, "/widgets/0/properties"),
        ({"widgets": [{"type": "alarm", "properties": {"alarms": []}}]}, "/widgets/0/properties/alarms"),
        ({"widgets": [{"type": "metric", "properties": {"metrics": [["A", "B"]]}}]}, "/widgets/0/properties"),
        (
            {"widgets": [{"type": "metric", "properties": {"region": "r", "metrics": [["A", "B", "C"]]}}]},
            "/widgets/0/properties/metrics/0",
        ),
    ],
)
def test_a_dashboard_with_a_fault_is_refused_with_its_place(body, where: str):
    [fault] = dashboards.faults(body if isinstance(body, str) else json.dumps(body))
    assert fault["dataPath"] == where


def test_a_dashboard_is_checked_kept_and_given_back(localaws):
    cloudwatch = localaws.client("cloudwatch")
    with pytest.raises(ClientError) as refused:
        cloudwatch.put_dashboard(DashboardName="d", DashboardBody='{"widgets": 1}')
    assert refused.value.response["Error"]["Code"] == "InvalidParameterInput"
    assert "there are 1 validation errors" in str(refused.value)
    body = json.dumps(
        {"widgets": [GRAPH, {"type": "metric", "properties": {"region": "r", "metrics": [[{"expression": "1"}]]}}]}
    )
    cloudwatch.put_dashboard(DashboardName="d", DashboardBody=body)
    assert cloudwatch.get_dashboard(DashboardName="d")["DashboardBody"] == body
    cloudwatch.delete_dashboards(DashboardNames=["d"])
