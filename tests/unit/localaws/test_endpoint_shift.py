"""How an update moves the traffic: SageMaker's deployment guardrails as pure code, on a clock of the test."""

import pytest

from localaws.services.sagemaker.endpoints.shift import Shift, ShiftStep, UpdatePolicy, UpdatePolicyError


def percent(value: int) -> dict:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> dict:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(kind: str = "ALL_AT_ONCE", wait: int = 60, keep: int = 0, **sizes: dict) -> dict:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": keep}}


def rolling(batch: dict, **more: dict) -> dict:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60, **more}}


def shares(config: dict, count: int = 4) -> list[float]:
    return [round(step.share, 3) for step in UpdatePolicy.of(config).steps(count, count)]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, [1]),
        (blue_green(), [1]),
        (blue_green(keep=30), [1, 1]),
        (blue_green("CANARY", CanarySize=percent(30)), [0.3, 1]),
        (blue_green("CANARY", CanarySize=instances(1)), [0.25, 1]),
        (blue_green("LINEAR", LinearStepSize=percent(33)), [0.33, 0.66, 0.99, 1]),
        (blue_green("LINEAR", LinearStepSize=percent(50)), [0.5, 1]),
        (blue_green("LINEAR", LinearStepSize=percent(10)), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        (rolling(instances(2)), [0.5, 1]),
        (rolling(percent(5)), [0.25, 0.5, 0.75, 1]),
    ],
)
def test_each_kind_of_update_moves_the_traffic_in_its_steps(config, expected):
    assert shares(config) == expected


def test_a_rolling_update_starts_a_batch_before_it_ends_one_of_the_old_fleet():
    steps = UpdatePolicy.of(rolling(instances(2))).steps(5, 3)
    assert [(step.new, step.old) for step in steps] == [(2, 2), (4, 1), (5, 0)]
    assert all(step.seconds == 60 for step in steps)


def test_a_rolling_update_goes_back_at_once_or_in_batches():
    at_once = UpdatePolicy.of(rolling(instances(1))).way_back(4, 4, kept=2)
    assert [(step.old, step.new, step.share) for step in at_once] == [(4, 0, 0)]
    batches = UpdatePolicy.of(rolling(instances(1), RollbackMaximumBatchSize=instances(1))).way_back(4, 4, kept=2)
    assert [(step.old, step.new, step.share) for step in batches] == [(3, 1, 0.25), (4, 0, 0)]


@pytest.mark.parametrize(
    ("config", "count", "words"),
    [
        (blue_green("CANARY", CanarySize=percent(51)), 4, "CanarySize is 51%"),
        (blue_green("CANARY", CanarySize=instances(1)), 1, "less than or equal to 50%"),
        (blue_green("LINEAR", LinearStepSize=percent(9)), 4, "10-50%"),
        (blue_green("LINEAR"), 4, "LinearStepSize is required"),
        (blue_green("CANARY"), 4, "CanarySize is required"),
        (rolling(percent(4)), 4, "5-50%"),
        ({**blue_green(), **rolling(percent(10))}, 4, "Only one update policy"),
    ],
)
def test_sizes_that_aws_documents_as_wrong_are_refused(config, count, words):
    with pytest.raises(UpdatePolicyError, match=words):
        UpdatePolicy.of(config).require_size(count)


def test_a_step_is_watched_for_its_time_and_the_next_one_follows():
    shift = Shift([ShiftStep(0.1, 60), ShiftStep(1, 30)], began=0)
    shift.activated(100)  # the fleet needed a while to start, which is not a part of the watch
    assert shift.bakes(159, [])
    assert not shift.bakes(160, [])
    assert shift.step == ShiftStep(1, 30)
    shift.activated(161)
    assert shift.bakes(190, [])
    assert not shift.bakes(191, [])
    assert shift.step is None
    assert shift.failure is None


def test_an_alarm_ends_the_update_and_is_named():
    shift = Shift([ShiftStep(0.1, 60), ShiftStep(1, 60)], began=0)
    shift.activated(0)
    assert not shift.bakes(10, ["errors", "latency"])
    assert "errors, latency" in shift.failure
    assert shift.step is None


def test_an_alarm_in_the_last_moment_of_a_watch_still_counts():
    shift = Shift([ShiftStep(1, 60)], began=0)
    shift.activated(0)
    assert not shift.bakes(60, ["errors"])
    assert shift.failure is not None


def test_an_update_that_takes_longer_than_its_limit_is_rolled_back():
    shift = Shift([ShiftStep(0.5, 500), ShiftStep(1, 500)], began=0, limit=600)
    shift.activated(0)
    assert not shift.bakes(500, [])
    shift.activated(500)
    assert not shift.bakes(601, [])
    assert "longer than 600 seconds" in shift.failure
