"""Numbers, alarms and target tracking: the rules, on made-up minutes; and CloudWatch's API in front of them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from localaws import clock
from localaws.services.autoscaling import scaling
from localaws.services.cloudwatch import alarms
from localaws.services.cloudwatch.metrics import KEPT_MINUTES, Metric, Store

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


@pytest.mark.parametrize(
    ("minutes", "missing", "ignore", "breaching", "not_breaching"),
    [  # the table of the CloudWatch user guide: the oldest first, X breaches, 0 does not, - is missing
        ("0-X-X", "OK", "OK", "OK", "OK"),
        ("0----", "OK", "OK", "OK", "OK"),
        ("-----", "INSUFFICIENT_DATA", "before", "ALARM", "OK"),
        ("0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("--X--", "ALARM", "before", "ALARM", "OK"),
        ("----X", "before", "before", "ALARM", "OK"),
    ],
)
def test_missing_minutes_count_as_the_user_guide_says(minutes, missing, ignore, breaching, not_breaching):
    values = {"X": [9.0], "0": [1.0], "-": []}
    store = filled({ago: values[each] for ago, each in zip(range(5, 0, -1), minutes, strict=True)})
    expected = {None: missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    said = {
        each: alarms.evaluate(alarm(treat_missing_data=each), "us-east-1", store, NOON + 5).state for each in expected
    }
    assert said == expected


def test_some_of_several_minutes_can_be_enough():
    store = filled({1: [9.0], 2: [1.0], 3: [9.0]})
    assert alarms.evaluate(alarm(), "us-east-1", store, NOON).state == "OK"
    assert alarms.evaluate(alarm(datapoints_to_alarm=2), "us-east-1", store, NOON).state == "ALARM"


def test_the_minute_that_runs_is_not_judged_yet():
    store = filled({0: [9.0], 1: [1.0], 2: [1.0], 3: [1.0]})
    verdict = alarms.evaluate(alarm(), "us-east-1", store, NOON + 59)
    assert verdict.state == "OK"
    assert verdict.values[:3] == (1.0, 1.0, 1.0)


def track(kind: str, current: int, *values: float | None, cooldown=None, now=NOON, **configuration) -> int:
    settings = {"TargetValue": 0.7, **configuration}
    return scaling.desired(kind, current, values, settings, "lambda", cooldown or scaling.Cooldown(), now)


def test_capacity_follows_the_metric_in_proportion():
    assert track(scaling.HIGH, 10, 1.0, 0.9, 0.9) == 15
    assert track(scaling.HIGH, 1, 0.71) == 2, "at least one more"
    assert track(scaling.LOW, 10, *[0.35] * 15) == 5
    assert track(scaling.LOW, 10, *[0.1] * 14, 0.6) == 9, "the highest minute counts downwards"
    assert track(scaling.LOW, 2, *[0.62] * 15) == 2
    assert track(scaling.LOW, 2, None, None) == 2, "nothing is known"
    assert track(scaling.LOW, 10, 0.1, DisableScaleIn=True) == 10


def test_cooldowns_hold_back_what_they_should():
    just = scaling.Cooldown(scaled_out=NOON - 10, scaled_out_to=15)
    assert track(scaling.HIGH, 10, 1.0, cooldown=just, ScaleOutCooldown=60) == 10, "15 are on their way"
    assert track(scaling.HIGH, 12, 1.0, cooldown=just, ScaleOutCooldown=60) == 18, "and these are not enough"
    assert track(scaling.HIGH, 10, 1.0, cooldown=just, ScaleOutCooldown=5) == 15
    assert track(scaling.LOW, 10, 0.1, cooldown=just, ScaleInCooldown=60) == 10
    shrunk = scaling.Cooldown(scaled_in=NOON - 10)
    assert track(scaling.LOW, 10, 0.1, cooldown=shrunk, ScaleInCooldown=60) == 10
    assert track(scaling.LOW, 10, 0.1, cooldown=shrunk, ScaleInCooldown=5) == 2
    assert track(scaling.HIGH, 10, 1.0, cooldown=shrunk, ScaleInCooldown=60) == 15, "growing never waits for it"


def test_endpoints_wait_five_minutes_where_the_policy_says_nothing():
    just = scaling.Cooldown(scaled_in=NOON - 299)
    arguments = (scaling.LOW, 4, [1.0] * 15, {"TargetValue": 100})
    assert scaling.desired(*arguments, "sagemaker", just, NOON) == 4
    assert scaling.desired(*arguments, "sagemaker", just, NOON + 1) == 1
    assert scaling.desired(*arguments, "lambda", just, NOON) == 1


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


def test_metric_math_is_refused(localaws):
    with pytest.raises(ClientError, match="no metric math"):
        localaws.client("cloudwatch").get_metric_data(
            StartTime=now() - timedelta(hours=1),
            EndTime=now(),
            MetricDataQueries=[{"Id": "a", "Expression": "1 + 1"}],
        )


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
