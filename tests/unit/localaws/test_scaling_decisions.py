"""What a scaling policy decides: pure code, on made-up datapoints and a simulated clock."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaws.services.autoscaling import policies
from localaws.services.autoscaling.decision import (
    AlarmSignal,
    CapacityChange,
    CapacityLimits,
    LastChange,
    NotScaled,
    Peer,
    ScalingHistory,
    Situation,
    adjusted,
    decide,
    matching_step,
)
from localaws.services.autoscaling.policies import InvalidPolicy, StepScaling, TargetTracking
from localaws.services.cloudwatch import alarms, expressions
from localaws.services.cloudwatch.metrics import Store

ENDPOINT = "endpoint/e/variant/main"
DIMENSIONS = (("EndpointName", "e"), ("VariantName", "main"))
NOW = 1_800_000_000.0
MINUTE = 60.0


def tracking(target: float = 0.7, out: float = 0, into: float = 0, scales_in: bool = True) -> TargetTracking:
    return TargetTracking(target, out, into, scales_in)


def situation(capacity: int, least: int = 1, most: int = 100, **more: bool) -> Situation:
    return Situation(capacity, CapacityLimits(least, most), **more)


def up(capacity: int, *values: float, policy=None, last=None, **more) -> CapacityChange | NotScaled | None:
    policy = policy or tracking()
    return decide(policy, AlarmSignal(values, policy.target, below=False), situation(capacity, **more), NOW, last)


def down(capacity: int, *values: float, policy=None, last=None, peers=(), **more) -> CapacityChange | NotScaled | None:
    policy = policy or tracking()
    signal = AlarmSignal(values, policy.target * 0.9, below=True)
    return decide(policy, signal, situation(capacity, **more), NOW, last, peers)


AT_DESIRED, UNSCALABLE = "AlreadyAtDesiredCapacity", "TargetServicePutResourceAsUnscalable"


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        (up(10, 1.0, 0.9, 0.9), 15),  # the newest datapoint counts
        (up(1, 0.71), 2),  # at least one more
        (up(0, 0.9), 1),
        (down(10, *[0.35] * 15), 5),
        (down(10, *[0.1] * 14, 0.6), 9),  # the highest datapoint counts
        (down(3, *[0.0] * 15), 1),  # no traffic is zero, and the minimum is left
        (down(3, *[0.0] * 15, least=0), 0),
        (up(10, 9.9, most=12), 12),
        (down(10, 0.1, least=4), 4),
        (down(2, *[0.62] * 15), NotScaled(AT_DESIRED, 2)),
        (up(12, 0.9, most=12), NotScaled("AlreadyAtMaxCapacity", 12)),
        (up(15, 0.9, most=12), NotScaled("AlreadyAtMaxCapacity", 12)),  # a limit is not a policy's business
        (down(4, 0.1, least=4), NotScaled("AlreadyAtMinCapacity", 4)),
        (up(10, 1.0, scalable=False), NotScaled(UNSCALABLE)),
        (down(10, 0.1, scalable=False), NotScaled(UNSCALABLE)),
        (up(10, 1.0, scale_out_suspended=True), None),
        (down(10, 0.1, scale_in_suspended=True), None),
        (up(10, 1.0, scale_in_suspended=True), 15),
        (down(10, 0.1, policy=tracking(scales_in=False)), None),
        (down(2), None),  # nothing is known
    ],
)
def test_target_tracking_follows_its_metric_within_the_limits(decided, expected):
    assert (decided.to if isinstance(decided, CapacityChange) else decided) == expected


def test_a_scale_in_waits_for_scale_ins_only():
    policy = tracking(out=300, into=300)
    shrunk, grown = LastChange(12, 10, NOW - 10), LastChange(8, 10, NOW - 10)
    assert down(10, 0.1, policy=policy, last=shrunk) is None
    assert down(10, 0.1, policy=policy, last=LastChange(12, 10, None)) is None, "it has not even ended"
    assert down(10, 0.1, policy=policy, last=LastChange(12, 10, NOW - 300)).to == 2
    assert down(10, 0.1, policy=policy, last=grown).to == 2, "a scale-out does not hold it back"
    assert up(10, 1.0, policy=policy, last=shrunk).to == 15, "a scale-out does not wait for a scale-in"


def test_what_a_scale_out_added_counts_towards_the_next():
    policy = tracking(target=10, out=60)
    grown = LastChange(1, 3, NOW - 10)
    assert up(3, 30.0, policy=policy, last=grown) == NotScaled(AT_DESIRED, 3), "three were added for this already"
    assert up(3, 50.0, policy=policy, last=grown) == CapacityChange(5, 1), "a larger one is at once"
    assert up(3, 30.0, policy=policy, last=LastChange(1, 3, NOW - 60)) == CapacityChange(9, 3)
    steps = StepScaling(
        policies.CHANGE, (policies.StepAdjustment(0, 10, 2), policies.StepAdjustment(10, float("inf"), 3)), 60
    )
    signal = AlarmSignal((65.0,), 50.0, below=False)
    assert decide(steps, signal, situation(12), NOW, LastChange(10, 12, NOW - 10)).to == 13, "the guide's example"


def test_a_history_forgets_scale_ins_when_something_scales_out():
    history = ScalingHistory()
    history.begin("in", CapacityChange(5, 10), 10)
    history.end("in", True, NOW)
    assert history.last["in"] == LastChange(10, 5, NOW)
    history.begin("out", CapacityChange(8, 5), 5)
    assert list(history.last) == ["out"]
    history.end("out", False, NOW)
    assert history.last == {}, "a change that failed has no cooldown"


def test_all_tracking_policies_must_agree_to_scale_in():
    other = tracking(target=100)
    assert down(10, 0.1, peers=[Peer(other, None)]) is None
    assert down(10, 0.1, peers=[Peer(other, (60.0,))]).to == 6, "the largest capacity counts"
    assert down(10, 0.1, peers=[Peer(tracking(100, into=60), (60.0,), LastChange(12, 10, NOW - 1))]) is None
    assert down(10, 0.1, peers=[Peer(tracking(scales_in=False), None)]).to == 2, "one that never scales in has no say"


# --- steps ---

GUIDE = {
    "AdjustmentType": "PercentChangeInCapacity",
    "StepAdjustments": [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 0},
        {"MetricIntervalLowerBound": 10, "MetricIntervalUpperBound": 20, "ScalingAdjustment": 10},
        {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 30},
    ],
}
GUIDE_IN = {
    "AdjustmentType": "PercentChangeInCapacity",
    "StepAdjustments": [
        {"MetricIntervalLowerBound": -10, "MetricIntervalUpperBound": 0, "ScalingAdjustment": 0},
        {"MetricIntervalLowerBound": -20, "MetricIntervalUpperBound": -10, "ScalingAdjustment": -10},
        {"MetricIntervalUpperBound": -20, "ScalingAdjustment": -30},
    ],
}


@pytest.mark.parametrize(
    ("below", "value", "capacity", "expected"),
    [  # the user guide's example with the threshold 50
        (False, 59.9, 10, None),
        (False, 60.0, 10, 11),
        (False, 70.0, 11, 14),
        (True, 40.1, 14, None),
        (True, 40.0, 14, 13),
        (True, 30.0, 13, 10),
    ],
)
def test_steps_follow_the_user_guide(below, value, capacity, expected):
    policy = policies.steps_of(GUIDE_IN if below else GUIDE)
    decided = decide(policy, AlarmSignal((value,), 50.0, below), situation(capacity), NOW)
    assert decided == (NotScaled(AT_DESIRED, capacity) if expected is None else CapacityChange(expected, capacity))


@pytest.mark.parametrize(
    ("kind", "adjustment", "base", "least", "expected"),
    [
        ("ChangeInCapacity", 5, 3, 1, 8),
        ("ExactCapacity", 5, 3, 1, 5),
        ("PercentChangeInCapacity", 10, 10, 1, 11),
        ("PercentChangeInCapacity", 127, 10, 1, 22),
        ("PercentChangeInCapacity", 10, 6, 1, 7),
        ("PercentChangeInCapacity", -10, 6, 1, 5),
        ("PercentChangeInCapacity", -66, 10, 1, 4),
        ("PercentChangeInCapacity", 25, 4, 2, 6),
        ("PercentChangeInCapacity", 0, 4, 2, 4),
        ("ChangeInCapacity", -5, 3, 1, 0),
    ],
)
def test_adjustments_are_rounded_as_documented(kind, adjustment, base, least, expected):
    assert adjusted(StepScaling(kind, (), least=least), adjustment, base) == expected


def test_steps_aggregate_the_datapoints_of_their_alarm():
    values, steps = (10.0, 20.0, 90.0), GUIDE["StepAdjustments"]
    for aggregation, expected in (("Maximum", 13), ("Average", NotScaled(AT_DESIRED, 10)), ("Minimum", None)):
        asked = {"AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": steps}
        policy = policies.steps_of({**asked, "MetricAggregationType": aggregation})
        decided = decide(policy, AlarmSignal(values, 38.0, below=False), situation(10), NOW)
        assert (decided.to if isinstance(decided, CapacityChange) else decided) == expected


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({}, "AdjustmentType"),
        ({"AdjustmentType": "ChangeInCapacity"}, "at least one step"),
        ({**GUIDE, "StepAdjustments": [{"ScalingAdjustment": 1}]}, "At least one of the bounds"),
        ({**GUIDE, "StepAdjustments": GUIDE["StepAdjustments"][:2]}, "without an upper bound"),
        ({**GUIDE, "StepAdjustments": GUIDE["StepAdjustments"][::2]}, "overlap or have a gap"),
        ({**GUIDE_IN, "StepAdjustments": GUIDE_IN["StepAdjustments"][:2]}, "without a lower bound"),
        ({**GUIDE, "AdjustmentType": "ChangeInCapacity", "MinAdjustmentMagnitude": 2}, "MinAdjustmentMagnitude"),
    ],
)
def test_steps_that_cannot_be_carried_out_are_named(configuration, words):
    with pytest.raises(InvalidPolicy, match=words):
        policies.steps_of(configuration)


# --- properties ---

tracked = st.builds(TargetTracking, st.floats(0.01, 1e4), st.floats(0, 600), st.floats(0, 600), st.booleans())
edges = st.lists(st.integers(-40, 40), min_size=1, max_size=5, unique=True).map(sorted)
stepped = st.builds(
    lambda edge, kind, sizes: StepScaling(
        kind,
        tuple(
            policies.StepAdjustment(low, high, abs(size) if kind == "ExactCapacity" else size)
            for low, high, size in zip([float("-inf"), *edge], [*edge, float("inf")], sizes, strict=False)
        ),
    ),
    edges,
    st.sampled_from([policies.EXACT, policies.CHANGE, policies.PERCENT]),
    st.lists(st.integers(-200, 200), min_size=6, max_size=6),
)
situations = st.builds(
    lambda capacity, least, more, flags: Situation(capacity, CapacityLimits(least, least + more), *flags),
    st.integers(0, 50),
    st.integers(0, 20),
    st.integers(0, 30),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
histories = st.none() | st.builds(
    LastChange, st.integers(0, 50), st.integers(0, 50), st.none() | st.floats(NOW - 900, NOW)
)
points = st.lists(st.floats(0, 1e6), max_size=15).map(tuple)


@given(tracked | stepped, points, st.floats(0, 1e4), st.booleans(), situations, histories)
def test_a_decision_keeps_to_limits_and_suspensions(policy, values, threshold, below, now, last):
    decided = decide(policy, AlarmSignal(values, threshold, below), now, NOW, last)
    if isinstance(decided, CapacityChange):
        assert now.scalable
        assert now.limits.least <= decided.to <= now.limits.most
        assert decided.to != now.capacity
        assert not (decided.to > now.capacity and now.scale_out_suspended)
        assert not (decided.to < now.capacity and now.scale_in_suspended)
        assert decided.start <= now.capacity
        if isinstance(policy, TargetTracking):
            assert below == (decided.to < now.capacity)


@given(tracked, st.integers(1, 100), st.floats(0, 1e3), st.floats(1, 10))
def test_more_load_never_calls_for_less(policy, capacity, value, factor):
    def wanted(load: float) -> int:
        signal = AlarmSignal((load,), policy.target, below=load < policy.target)
        decided = decide(policy, signal, situation(capacity, 0, 10**9), NOW)
        return decided.to if isinstance(decided, CapacityChange) else capacity

    assert wanted(value * factor) >= wanted(value)


@given(stepped, st.floats(-1e3, 1e3), st.booleans())
def test_every_breach_has_exactly_one_step(policy, breach, below):
    assert matching_step(policy.steps, breach, below) is not None
    matching = [each for each in policy.steps if matching_step((each,), breach, below)]
    assert len(matching) == 1


# --- a simulated clock ---


@dataclass
class Simulation:
    """A variant of an endpoint with one policy, its alarms and its traffic. A change takes `delay` seconds."""

    configuration: dict
    capacity: int
    limits: CapacityLimits
    delay: float = 240.0
    store: Store = field(default_factory=Store)
    history: ScalingHistory = field(default_factory=ScalingHistory)
    now: float = NOW
    pending: tuple[float, int] | None = None
    log: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = policies.tracking_of(self.configuration, "sagemaker")
        self.tracked = policies.tracked_by(self.configuration, "us-east-1", ENDPOINT)
        self.states = {each.kind: alarms.UNKNOWN for each in policies.alarms_for(self.policy, self.tracked)}
        self.instances = self.capacity

    def run(self, minutes: int, load: Callable[[int], float]) -> list[int]:
        """Let minutes pass, each with so many requests per minute, or so many at a time; the instances after each."""
        (query,) = self.tracked.queries
        counts, step = [], self.tracked.seconds
        for _ in range(round(minutes * MINUTE / step)):
            if self.pending and self.pending[0] <= self.now:
                self.instances, self.pending = self.pending[1], None
                self.history.end("policy", True, self.now)
            value = load(self.instances) / self.instances
            fine = step < MINUTE
            values = {query.metric.name: value}
            self.store.record("us-east-1", query.metric.namespace, [DIMENSIONS], values, {}, self.now, fine)
            self.now += step
            for spec in policies.alarms_for(self.policy, self.tracked):
                self._evaluate(spec)
            counts.append(self.instances)
        return counts[round(MINUTE / step) - 1 :: round(MINUTE / step)]

    def _evaluate(self, spec: policies.AlarmSpec) -> None:
        length = (spec.periods + alarms.MORE_PERIODS) * spec.seconds
        series = expressions.evaluate(self.tracked.queries, self.store, self.now - length, self.now, spec.seconds)
        found = {round((self.now - at) / spec.seconds): value for at, value in series["value"].items()}
        looked_at = [found.get(age + 1) for age in range(spec.periods + alarms.MORE_PERIODS)]
        verdict = alarms.judge(spec.rule, looked_at, self.states[spec.kind])
        self.states[spec.kind] = verdict.state
        if verdict.state != alarms.ALARM:
            return
        signal = AlarmSignal(verdict.values, spec.threshold, spec.rule.watches_below)
        now = Situation(self.capacity, self.limits, scalable=self.pending is None)
        decided = decide(self.policy, signal, now, self.now, self.history.last.get("policy"))
        if isinstance(decided, CapacityChange):
            self.history.begin("policy", decided, self.capacity)
            self.capacity, self.pending = decided.to, (self.now + self.delay, decided.to)
            self.log.append(((self.now - NOW) / MINUTE, decided.to))


INVOCATIONS = {
    "TargetValue": 100.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}


def test_an_idle_fleet_scales_in_to_its_minimum_within_45_minutes():
    simulation = Simulation(INVOCATIONS, 3, CapacityLimits(1, 3))
    counts = simulation.run(45, load=lambda instances: 0)
    assert simulation.log == [(15.0, 1)], "after fifteen minutes without traffic"
    assert counts[-1] == 1
    assert set(counts) == {3, 1}


def test_a_spike_scales_out_and_in_again():
    simulation = Simulation(INVOCATIONS, 1, CapacityLimits(1, 4))
    simulation.run(20, load=lambda instances: 50)
    assert simulation.log == []
    simulation.run(30, load=lambda instances: 290)
    assert simulation.log == [(23.0, 3)], "one change for the whole spike, in proportion to it"
    simulation.run(40, load=lambda instances: 50)
    assert [to for _, to in simulation.log] == [3, 1]
    assert simulation.log[1][0] == 65.0, "fifteen minutes below the target"


def test_a_high_resolution_metric_scales_out_after_half_a_minute_and_in_as_slowly_as_others():
    kind = {"PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"}
    simulation = Simulation({"TargetValue": 5.0, "PredefinedMetricSpecification": kind}, 1, CapacityLimits(1, 4))
    simulation.run(2, load=lambda instances: 2)
    simulation.run(10, load=lambda instances: 14)
    assert simulation.log == [(2.5, 3)]
    simulation.run(30, load=lambda instances: 1)
    assert simulation.log[1:] == [(27.0, 1)]


def test_a_function_without_requests_keeps_its_environments_unless_the_policy_fills_the_gap():
    """Source: Lambda developer guide; a minute without requests has no utilisation. Metric math can put zeros there."""
    metric = {"Namespace": "AWS/Lambda", "MetricName": "ProvisionedConcurrencyUtilization"}
    queries = [
        {"Id": "m", "MetricStat": {"Metric": metric, "Stat": "Maximum"}, "ReturnData": False},
        {"Id": "filled", "Expression": "FILL(m, 0)"},
    ]
    tracked = policies.tracked_by({"CustomizedMetricSpecification": {"Metrics": queries}}, "us-east-1", "function:f:a")
    series = expressions.evaluate(tracked.queries, Store(), NOW, NOW + 17 * MINUTE, MINUTE)
    (_, low) = policies.alarms_for(tracking(), tracked)
    assert alarms.judge(low.rule, [None] * 17, alarms.OK).state == alarms.UNKNOWN
    assert alarms.judge(low.rule, list(series["filled"].values()), alarms.OK).state == alarms.ALARM
