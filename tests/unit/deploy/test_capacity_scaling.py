"""Scaling in the capacity simulation: the local AWS's alarms and decisions, on simulated time."""

from __future__ import annotations

import numpy as np
import pytest

from deploy.capacity import forecast
from deploy.capacity.plan import steps, tracking
from deploy.capacity.simulate import simulate
from deploy.capacity.system import CONCURRENT, INVOCATIONS, Action, Function, Instances, Scaling, System, Times
from deploy.capacity.trace import Trace

CALL = Function(Times.fixed(0.0), Times.fixed(0.0))
SPIKE = Trace(np.r_[np.full(600, 1.0), np.full(1200, 20.0), np.full(2400, 1.0)], 1.0)


def fleet(scaling: Scaling, initial: int = 1, start: float = 240.0) -> System:
    return System(CALL, Instances(Times.fixed(0.05), 2, initial, scaling, Times.fixed(start)))


def changes(system: System, trace: Trace = SPIKE, **more: bool) -> list[tuple[float, int]]:
    return [(round(at / 60, 1), to) for at, to in simulate(system, trace, **more).changes]


@pytest.mark.parametrize("exact", [True, False])
def test_a_spike_has_the_alarms_timing(exact: bool):
    """Three minutes above the target, then in proportion; fifteen below it, then in again (ADR 14)."""
    scaling = Scaling(1, 4, (tracking(INVOCATIONS, 600),))
    result = simulate(fleet(scaling), SPIKE, exact=exact)
    assert [(round(at / 60, 1), to) for at, to in result.changes] == [(13.0, 2), (45.0, 1)]
    ready = result.column("ready")
    assert (np.argmax(ready == 2) * 10, np.argmax(result.column("paid") == 2) * 10) == (1020, 780), "240 s to start"
    paid = 2 * (45 - 13) + 70 - (45 - 13)
    assert result.instance_seconds / 60 == pytest.approx(paid, abs=0.5)


def test_a_high_resolution_policy_reacts_within_a_minute():
    load = Trace(np.r_[np.full(600, 1.0), np.full(600, 36.0)], 1.0)
    ((at, to), *_) = changes(fleet(Scaling(1, 4, (tracking(CONCURRENT, 3.0),))), load)
    assert 10.5 <= at < 10.9 and to > 1


def test_steps_follow_the_size_of_a_breach():
    load = Trace(np.r_[np.full(600, 5.0), np.full(900, 30.0)], 1.0)
    made = changes(fleet(Scaling(4, 16, steps(100.0)), initial=4), load)
    assert made[0] == (11.0, 8), "one minute at 450 is more than half above 100: twice as many"


def test_two_policies_scale_in_only_together():
    both = (tracking(INVOCATIONS, 600), tracking(CONCURRENT, 0.5))
    assert changes(fleet(Scaling(1, 2, both[:1]), initial=2), SPIKE)[0][1] == 1
    assert changes(fleet(Scaling(1, 2, both), initial=2), Trace(np.full(3600, 1.0), 1.0)) == []


def test_provisioned_concurrency_follows_its_use_and_stays_without_traffic():
    use = {
        "TargetValue": 0.7,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"},
    }
    function = Function(Times.fixed(0.5), Times.fixed(0.0), provisioned=2, scaling=Scaling(2, 10, (use,)))
    trace = Trace(np.r_[np.full(600, 10.0), np.zeros(1800)], 1.0)
    warm = simulate(System(function, None), trace).column("provisioned")
    assert warm[0] == 2 and warm[59] >= 5 and warm[-1] >= warm[70], "Lambda has no data without requests"


def test_scheduled_actions_set_the_limits_at_their_time():
    actions = (Action("cron(10 0 * * ? *)", 3, 5), Action("cron(20 0 * * ? *)", 1, 2))
    assert changes(fleet(Scaling(1, 5, (), actions)), SPIKE) == [(10.0, 3), (20.0, 2)]


def test_a_faster_clock_shortens_alarms_and_not_starts():
    """As LOCALAWS_TIME_SCALE does (ADR 8)."""
    scaling = Scaling(1, 4, (tracking(INVOCATIONS, 10),))
    system = System(CALL, Instances(Times.fixed(0.05), 2, 1, scaling, Times.fixed(5.0)), time_scale=60)
    result = simulate(system, Trace(np.r_[np.full(10, 1.0), np.full(30, 20.0)], 1.0))
    assert result.changes[0] == (pytest.approx(13.0), 2)
    assert np.argmax(result.column("ready") == 2) / 6 == pytest.approx(18.0, abs=0.2)


def test_the_same_seed_gives_the_same_result():
    system = fleet(Scaling(1, 4, (tracking(INVOCATIONS, 600),)))
    one, same, other = (simulate(system, Trace(np.full(60, 9.0), 1.0), seed=seed) for seed in (1, 1, 2))
    assert (one.bins == same.bins).all() and (one.bins != other.bins).any()


# --- forecasts ---


def weeks(number: int, peak: float) -> Trace:
    """From a Monday on: busy from 9 to 17 on five days of each."""
    hours = np.array([peak if 9 <= hour % 24 < 17 and hour // 24 % 7 < 5 else 1.0 for hour in range(number * 168)])
    return Trace(np.repeat(hours * 600, 6), 600.0, begin=4 * 86_400)


def test_a_forecast_asks_for_instances_before_the_hours_that_need_them():
    found = forecast.actions(weeks(2, 20.0), one=5.0, most=8)
    assert [(each.schedule, each.least) for each in found[:2]] == [
        ("cron(50 8 ? * MON *)", 4),
        ("cron(0 17 ? * MON *)", 1),
    ]
    assert len(found) == 10, "up and down on five days"


def test_a_forecast_needs_two_weeks_to_learn_and_one_to_judge():
    assert forecast.split(weeks(2, 1.0)) is None
    history, week = forecast.split(weeks(3, 1.0)) or (None, None)
    assert history is not None and week is not None
    assert (history.seconds, week.seconds, week.begin) == (1_209_600, 604_800, 18 * 86_400)
    assert forecast.actions(Trace(np.ones(60), 60.0), 1.0, 5) == (), "an hour has no pattern"
