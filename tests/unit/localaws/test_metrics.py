"""Numbers, metric math and alarms: the rules, on made-up minutes; and CloudWatch's API in front of them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from localaws import clock
from localaws.services.cloudwatch import alarms, expressions
from localaws.services.cloudwatch.expressions import MetricQuery
from localaws.services.cloudwatch.metrics import KEPT_FINE, KEPT_MINUTES, Metric, Store

METRIC = Metric("us-east-1", "Test", "Load", (("Name", "x"),))
NOON = 1_800_000_000.0  # a full minute


def filled(values: dict[int, list[float]]) -> Store:
    """A store with values by the minute they were in: 1 is the last full minute before NOON."""
    store = Store()
    for ago, group in values.items():
        for value in group:
            at = NOON - ago * 60 + 30
            store.record(METRIC.region, METRIC.namespace, [METRIC.dimensions], {METRIC.name: value}, {}, at)
    return store


def test_a_minute_has_the_statistics_of_its_values():
    store = filled({1: [1.0, 2.0, 3.0, 10.0]})
    ((at, bucket),) = store.periods(METRIC, NOON - 60, NOON, 60)
    names = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")
    assert (at, [bucket.statistic(name) for name in names]) == (NOON - 60, [16, 4, 1, 10, 4])
    assert bucket.statistic("p0") == pytest.approx(1, rel=0.05)
    assert bucket.statistic("p50") == pytest.approx(2, rel=0.05)
    assert bucket.statistic("p99.9") == pytest.approx(10, rel=0.05)
    assert bucket.statistic("p101") is bucket.statistic("IQM") is None


def test_percentiles_of_a_thousand_values_are_five_percent_off_at_most():
    store = filled({1: [float(n) for n in range(1, 1001)]})
    ((_, bucket),) = store.periods(METRIC, NOON - 60, NOON, 60)
    for share in (1, 10, 50, 90, 99, 100):
        assert bucket.statistic(f"p{share}") == pytest.approx(share * 10, rel=0.05)


def test_longer_periods_gather_minutes_and_empty_ones_are_left_out():
    store = filled({1: [1.0], 2: [2.0], 7: [4.0], 60: [8.0]})
    found = [(NOON - at, bucket.total) for at, bucket in store.periods(METRIC, NOON - 900, NOON, 300)]
    assert found == [(600.0, 4.0), (300.0, 3.0)]


def test_memory_does_not_grow_with_the_traffic_or_the_days():
    store = filled({1: [1.0] * 500})
    assert len(store._series[METRIC]) == 1
    for minute in range(KEPT_MINUTES + 10):
        store.record("us-east-1", "Test", [METRIC.dimensions], {"Load": 1.0}, {}, NOON + minute * 60)
    assert len(store._series[METRIC]) == KEPT_MINUTES


def test_numbers_are_kept_over_an_orderly_stop(tmp_path):
    store = filled({1: [1.0, 0.0, -2.5], 3: [7.0]})
    store.save(tmp_path / "metrics.json")
    other = Store()
    other.load(tmp_path / "metrics.json")
    assert other._series == store._series
    assert not (tmp_path / "metrics.json").exists(), "a crash after this must not bring old numbers back"


def alarm(**settings) -> SimpleNamespace:
    dimensions = [SimpleNamespace(name=name, value=value) for name, value in METRIC.dimensions]
    given = {
        "namespace": METRIC.namespace,
        "metric_name": METRIC.name,
        "dimensions": dimensions,
        "statistic": "Average",
        "extended_statistic": None,
        "period": 60,
        "evaluation_periods": 3,
        "datapoints_to_alarm": None,
        "comparison_operator": "GreaterThanThreshold",
        "threshold": 5.0,
        "treat_missing_data": None,
        "state_value": "before",
        "rule": None,
        "metric_data_queries": [],
    }
    return SimpleNamespace(**{**given, **settings})


KEPT = "the state that it had"


@pytest.mark.parametrize("before", ["OK", "ALARM", "INSUFFICIENT_DATA"])
@pytest.mark.parametrize(
    ("to_alarm", "minutes", "missing", "ignore", "breaching", "not_breaching"),
    [  # both tables of the CloudWatch user guide: the oldest first, X breaches, 0 does not, - is missing
        (3, "0-X-X", "OK", "OK", "OK", "OK"),
        (3, "0----", "OK", "OK", "OK", "OK"),
        (3, "-----", "INSUFFICIENT_DATA", KEPT, "ALARM", "OK"),
        (3, "0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (3, "--X--", "ALARM", KEPT, "ALARM", "OK"),
        (2, "0-X-X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (2, "00X0X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (2, "0-X--", "OK", "OK", "ALARM", "OK"),
        (2, "----0", "OK", "OK", "ALARM", "OK"),
        (2, "---X-", "ALARM", KEPT, "ALARM", "OK"),
        # and what the guide says about premature alarms
        (3, "----X", KEPT, KEPT, "ALARM", "OK"),
        (3, "---X-", KEPT, KEPT, "ALARM", "OK"),
        (3, "---X0", "OK", "OK", "OK", "OK"),
    ],
)
def test_missing_data_counts_as_the_user_guide_says(
    to_alarm, minutes, missing, ignore, breaching, not_breaching, before
):
    values = {"X": 9.0, "0": 1.0, "-": None}
    looked_at = [values[each] for each in reversed(minutes)]
    expected = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    for treatment, state in expected.items():
        rule = alarms.AlarmRule("GreaterThanThreshold", 5.0, 3, to_alarm, treatment)
        assert alarms.judge(rule, looked_at, before).state == (before if state == KEPT else state), treatment


@pytest.mark.parametrize(
    ("looked_at", "missing", "reason"),
    [
        ([9.0, 8.0, 7.0], "missing", "3 out of the last 3 datapoints [7, 8, 9] were greater than the threshold (5)."),
        (
            [1.0, 8.0, 7.0],
            "missing",
            "1 out of the last 3 datapoints [7, 8, 1] was not greater than the threshold (5).",
        ),
        ([None] * 5, "missing", "Insufficient Data: 3 datapoints were unknown."),
        (
            [None] * 5,
            "breaching",
            "no datapoints were received for 3 periods and 3 missing datapoints were treated as [Breaching].",
        ),
    ],
)
def test_an_alarm_gives_its_reason(looked_at, missing, reason):
    rule = alarms.AlarmRule("GreaterThanThreshold", 5.0, 3, 3, missing)
    assert alarms.judge(rule, looked_at, "OK").reason.endswith(reason)


def test_some_of_several_minutes_can_be_enough():
    store = filled({1: [9.0], 2: [1.0], 3: [9.0]})
    assert alarms.evaluate(alarm(), "us-east-1", store, NOON).state == "OK"
    assert alarms.evaluate(alarm(datapoints_to_alarm=2), "us-east-1", store, NOON).state == "ALARM"


def test_the_minute_that_runs_is_not_judged_yet():
    store = filled({0: [9.0], 1: [1.0], 2: [1.0], 3: [1.0]})
    verdict = alarms.evaluate(alarm(), "us-east-1", store, NOON + 59)
    assert verdict.state == "OK"
    assert verdict.values == (1.0, 1.0, 1.0)


def test_a_high_resolution_metric_has_ten_seconds_and_minutes():
    store = Store()
    for ago, value in ((5, 8.0), (15, 2.0), (65, 4.0)):
        store.record("us-east-1", "Test", [METRIC.dimensions], {"Load": value}, {}, NOON - ago, fine=True)
    fine = [(NOON - at, bucket.high) for at, bucket in store.periods(METRIC, NOON - 70, NOON, 10)]
    assert fine == [(70.0, 4.0), (20.0, 2.0), (10.0, 8.0)]
    assert [bucket.total for _, bucket in store.periods(METRIC, NOON - 120, NOON, 60)] == [4.0, 10.0]
    given = alarm(period=10, statistic="Maximum", evaluation_periods=2)
    assert alarms.evaluate(given, "us-east-1", store, NOON).values == (8.0, 2.0)
    for number in range(KEPT_FINE + 10):
        store.record("us-east-1", "Test", [METRIC.dimensions], {"Load": 1.0}, {}, NOON + number * 10, fine=True)
    assert len(store._fine[METRIC]) == KEPT_FINE


def test_a_minute_without_a_value_can_be_filled_with_zero():
    store = filled({1: [3.0]})
    for ago in (1, 2):
        store.fill(METRIC, NOON - ago * 60)
    found = [(bucket.total, bucket.count) for _, bucket in store.periods(METRIC, NOON - 180, NOON, 60)]
    assert found == [(0.0, 1), (3.0, 1)]


# --- metric math ---


@pytest.mark.parametrize(
    ("expression", "expected"),
    [  # a is 1 2 - 4, b is 10 0 30 -
        ("a", [1, 2, None, 4]),
        ("a + b", [11, 2, None, None]),
        ("b / a", [10, 0, None, None]),
        ("a / b", [0.1, None, None, None]),
        ("-(a - 3) * 2 ^ 2", [8, 4, None, -4]),
        ("FILL(a, 0)", [1, 2, 0, 4]),
        ("FILL(b, REPEAT)", [10, 0, 30, 30]),
        ("FILL(a, b)", [1, 2, 30, 4]),
        ("SUM([a, b])", [11, 2, 30, 4]),
        ("MAX(METRICS())", [10, 2, 30, 4]),
        ("a - MIN(a)", [0, 1, None, 3]),
        ("AVG(b)", [40 / 3] * 4),
        ("IF(a > 1, b, 7)", [7, 0, None, None]),
        ("IF(a = 2, 1, 0)", [0, 1, None, 0]),
        ("CEIL(a / 3)", [1, 1, None, 2]),
        ("12", [12] * 4),
    ],
)
def test_metric_math_follows_the_user_guide(expression, expected):
    store = Store()
    dimensions = {"a": (("Name", "a"),), "b": (("Name", "b"),)}
    for name, values in {"a": [1, 2, None, 4], "b": [10, 0, 30, None]}.items():
        for minute, value in enumerate(values):
            if value is not None:
                store.record("r", "Test", [dimensions[name]], {"Load": value}, {}, NOON + minute * 60)
    queries = [MetricQuery(name, Metric("r", "Test", "Load", each), "Sum") for name, each in dimensions.items()]
    queries.append(MetricQuery("e", expression=expression))
    series = expressions.evaluate(queries, store, NOON, NOON + 240, 60)["e"]
    assert [series.get(NOON + minute * 60) for minute in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("SEARCH('{x}', 'Sum')", "cannot evaluate SEARCH"),
        ("a.b", "cannot evaluate"),
        ("__import__('os')", "cannot evaluate"),
        ("nothing + 1", "no other query has this id"),
        ("a +", "cannot be read"),
        ("e + 1", "name each other"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_is_named(expression, words):
    queries = [MetricQuery("a", METRIC, "Sum"), MetricQuery("e", expression=expression)]
    with pytest.raises(expressions.ExpressionError, match=words):
        expressions.check(queries)


@pytest.mark.parametrize("value", ["0", "-1", "fast", "nan", "1e9"])
def test_a_time_scale_that_is_none_is_named(monkeypatch, value):
    monkeypatch.setenv("LOCALAWS_TIME_SCALE", value)
    clock.scale.cache_clear()
    try:
        with pytest.raises(SystemExit, match="LOCALAWS_TIME_SCALE"):
            clock.scale()
    finally:
        monkeypatch.undo()
        clock.scale.cache_clear()


# --- the API ---


def now() -> datetime:
    return datetime.now(UTC)


def test_what_a_client_puts_it_gets(localaws):
    client = localaws.client("cloudwatch")
    dimensions = [{"Name": "Model", "Value": "a"}]
    data = [
        {"MetricName": "Score", "Dimensions": dimensions, "Value": 3.0, "Unit": "Count"},
        {"MetricName": "Score", "Dimensions": dimensions, "Values": [1.0, 5.0], "Counts": [2.0, 1.0], "Unit": "Count"},
        {
            "MetricName": "Score",
            "Dimensions": dimensions,
            "StatisticValues": {"SampleCount": 2, "Sum": 20, "Minimum": 8, "Maximum": 12},
            "Unit": "Count",
        },
    ]
    client.put_metric_data(Namespace="Own", MetricData=data)
    asked = {"Namespace": "Own", "MetricName": "Score", "StartTime": now() - timedelta(minutes=5)}
    asked |= {"EndTime": now() + timedelta(minutes=5), "Period": 3600}
    statistics = {"Statistics": ["Sum", "Minimum", "Maximum", "SampleCount"], "ExtendedStatistics": ["p50"]}
    (point,) = client.get_metric_statistics(**asked, **statistics, Dimensions=dimensions)["Datapoints"]
    assert [point[name] for name in statistics["Statistics"]] == [30, 1, 12, 6]
    assert point["ExtendedStatistics"]["p50"] == pytest.approx(3, rel=0.05)
    assert point["Unit"] == "Count"
    assert client.get_metric_statistics(**asked, **statistics)["Datapoints"] == [], "dimensions are exact"
    stat = {"Metric": {"Namespace": "Own", "MetricName": "Score", "Dimensions": dimensions}, "Period": 3600}
    (result,) = client.get_metric_data(
        StartTime=asked["StartTime"],
        EndTime=asked["EndTime"],
        MetricDataQueries=[{"Id": "a", "MetricStat": {**stat, "Stat": "Average"}}],
    )["MetricDataResults"]
    assert (result["Id"], result["Values"], result["StatusCode"]) == ("a", [5.0], "Complete")
    (listed,) = client.list_metrics(Namespace="Own")["Metrics"]
    assert (listed["MetricName"], listed["Dimensions"]) == ("Score", dimensions)
    assert client.list_metrics(Namespace="Own", Dimensions=[{"Name": "Model", "Value": "b"}])["Metrics"] == []


def test_expressions_are_evaluated_or_refused(localaws):
    client = localaws.client("cloudwatch")
    data = [{"MetricName": "Part", "Value": 3.0}, {"MetricName": "Part", "Value": 5.0, "StorageResolution": 1}]
    client.put_metric_data(Namespace="Math", MetricData=data)
    stat = {"Metric": {"Namespace": "Math", "MetricName": "Part"}, "Period": 3600, "Stat": "Sum"}
    asked = {"StartTime": now() - timedelta(hours=1), "EndTime": now() + timedelta(hours=1)}

    def ask(expression: str) -> dict:
        queries = [{"Id": "m", "MetricStat": stat, "ReturnData": False}, {"Id": "e", "Expression": expression}]
        return client.get_metric_data(**asked, MetricDataQueries=queries)

    (result,) = ask("m * 100 / 2")["MetricDataResults"]
    assert (result["Id"], result["Values"]) == ("e", [400.0])
    with pytest.raises(ClientError, match="cannot evaluate ANOMALY_DETECTION_BAND"):
        ask("ANOMALY_DETECTION_BAND(m)")
    alarm = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 1.0, "EvaluationPeriods": 1}
    with pytest.raises(ClientError, match="Exactly one element"):
        client.put_metric_alarm(AlarmName="math", **alarm, Metrics=[{"Id": "m", "MetricStat": stat}] * 2)


def test_an_alarm_nobody_has_looked_at_yet_knows_nothing(localaws):
    client = localaws.client("cloudwatch")
    settings = {"Namespace": "Own", "MetricName": "None", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    settings |= {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 1.0}
    client.put_metric_alarm(AlarmName="quiet", **settings)
    (found,) = client.describe_alarms(AlarmNames=["quiet"])["MetricAlarms"]
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    client.set_alarm_state(AlarmName="quiet", StateValue="ALARM", StateReason="by hand")
    client.put_metric_alarm(AlarmName="quiet", **{**settings, "Threshold": 2.0})
    (found,) = client.describe_alarms(AlarmNames=["quiet"])["MetricAlarms"]
    assert (found["StateValue"], found["Threshold"]) == ("ALARM", 2.0)
