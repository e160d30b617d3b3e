"""Activities from their begin to their end, limits and scheduled actions: on a resource that the test makes up."""

import copy
from types import SimpleNamespace

import pytest

from localaws.services.autoscaling import changes, scheduler
from localaws.services.autoscaling.activities import ScalableResource
from localaws.services.autoscaling.changes import ScalingChanges
from localaws.services.autoscaling.decision import CapacityChange, NotScaled
from localaws.services.autoscaling.scalable import ResourceState

RESOURCE = ScalableResource("sagemaker", "endpoint/e/variant/main", "sagemaker:variant:DesiredInstanceCount")


class Variant:
    """A resource that takes a capacity at once, or refuses it, and has it when the test lets it."""

    def __init__(self) -> None:
        self.resource: ResourceState | None = ResourceState(1, settled=True, scalable=True)
        self.refusal: str | None = None

    def look(self, region: str, resource_id: str) -> ResourceState | None:
        return self.resource

    def set_capacity(self, region: str, resource_id: str, wanted: int) -> str | None:
        if self.refusal is None:
            self.resource = ResourceState(wanted, settled=False, scalable=False)
        return self.refusal

    def settle(self, capacity: int, failure: str | None = None) -> None:
        self.resource = ResourceState(capacity, settled=True, scalable=True, failure=failure)


@pytest.fixture
def variant(monkeypatch) -> Variant:
    made = Variant()
    monkeypatch.setattr(changes.scalable, "look", made.look)
    monkeypatch.setattr(changes.scalable, "set_capacity", made.set_capacity)
    return made


def target(least: int = 1, most: int = 4, **suspended: bool) -> SimpleNamespace:
    names = {"service_namespace": RESOURCE.namespace, "resource_id": RESOURCE.id}
    names["scalable_dimension"] = RESOURCE.dimension
    return SimpleNamespace(**names, min_capacity=least, max_capacity=most, suspended_state=suspended)


def told(made: ScalingChanges) -> list[tuple]:
    described = [each.describe() for each in made.activities]
    return [(each["StatusCode"], each.get("StatusMessage"), "EndTime" in each) for each in described]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            lambda variant: variant.settle(3),
            (
                "Successful",
                "Successfully set desired instance count to 3. Change successfully fulfilled by sagemaker.",
                True,
            ),
        ),
        (
            lambda variant: variant.settle(2),
            ("Overridden", "Successfully set desired instance count to 3. Found it was later changed to 2.", True),
        ),
        (
            lambda variant: variant.settle(1, "No ping."),
            ("Failed", "Failed to set desired instance count to 3. Reason: No ping.", True),
        ),
        (
            lambda variant: setattr(variant, "resource", None),
            ("Failed", "Failed to set desired instance count to 3. Reason: The resource does not exist.", True),
        ),
        (
            lambda variant: None,
            (
                "InProgress",
                "Successfully set desired instance count to 3. Waiting for change to be fulfilled by sagemaker.",
                False,
            ),
        ),
    ],
)
def test_an_activity_lasts_as_long_as_its_change(variant, outcome, expected):
    made, policy = ScalingChanges("us-east-1"), "arn:policy"
    assert made.change(target(), 3, "because", policy)
    made.history(target()).begin(policy, CapacityChange(3, 1), 1)
    made.observe()
    assert told(made)[0][0] == "InProgress"
    outcome(variant)
    made.observe()
    assert told(made) == [expected]
    last = made.history(target()).last.get(policy)
    assert (last is not None and last.ended is not None) == (expected[0] == "Successful"), "its cooldown begins now"


def test_a_change_that_was_in_progress_ends_after_a_restart(variant):
    made = ScalingChanges("us-east-1")
    made.change(target(), 3, "because")
    restored = copy.deepcopy(made)  # as a snapshot does, with __getstate__ and __setstate__
    variant.settle(1, "The local AWS was stopped during this change of the endpoint.")
    restored.observe()
    assert told(restored)[0][0] == "Failed"


def test_a_refusal_is_an_activity_that_failed(variant):
    made, variant.refusal = ScalingChanges("us-east-1"), "The account-level service limit is 2 Instances."
    assert not made.change(target(), 3, "because")
    reason = f"Failed to set desired instance count to 3. Reason: {variant.refusal}"
    assert told(made) == [("Failed", reason, True)]


def test_a_reason_not_to_scale_is_told_once(variant):
    made = ScalingChanges("us-east-1")
    for reason in (NotScaled("AlreadyAtMaxCapacity", 4), NotScaled("AlreadyAtMaxCapacity", 4)):
        made.note(target(), reason, "monitor alarm a in state ALARM triggered policy p")
    made.note(target(), NotScaled("TargetServicePutResourceAsUnscalable"), "…")
    described = [each.describe() for each in made.activities]
    assert [each["NotScaledReasons"] for each in described] == [
        [{"Code": "TargetServicePutResourceAsUnscalable"}],
        [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 4}],
    ]
    assert described[1]["Description"] == "Attempting to scale due to alarm triggered"
    assert {"EndTime", "StatusMessage"}.isdisjoint(described[1])


def test_limits_are_kept_once_the_endpoint_can_be_changed(variant):
    made = ScalingChanges("us-east-1")
    variant.resource = ResourceState(3, settled=False, scalable=False)
    made.keep_limits(target(most=2))
    assert made.activities == [], "the endpoint is being updated"
    variant.settle(3)
    made.keep_late_limits(target(most=2))
    variant.settle(2)
    made.keep_late_limits(target(most=2))
    made.keep_limits(target(least=4))
    assert [each.cause for each in made.activities] == [
        "minimum capacity was set to 4",
        "maximum capacity was set to 2",
    ]


def test_a_target_goes_with_its_endpoint(variant):
    made = ScalingChanges("us-east-1")
    assert not made.has_gone(target())
    variant.resource = None
    assert made.has_gone(target())
    assert not ScalingChanges("us-east-1").has_gone(target()), "one that never was there is kept"


# --- scheduled actions ---

HOUR = 3600.0
ANCHOR = 1_800_000_000.0


def run(variant: Variant, scaled: SimpleNamespace, since: float, now: float, **settings) -> list[tuple[str, str]]:
    """What one action does between two times after its creation: the descriptions and causes, oldest first."""
    action = {"schedule": "rate(1 hour)", "timezone": None, "start_time": None, "end_time": None}
    action |= {"scheduled_action_name": "evening", "creation_time": ANCHOR, **settings}
    action |= {"resource_id": RESOURCE.id, "scalable_dimension": RESOURCE.dimension}
    made = ScalingChanges("us-east-1")
    targets = {RESOURCE.dimension: {RESOURCE.id: scaled}}
    backend = SimpleNamespace(targets=targets, scheduled_actions=[SimpleNamespace(**action)], changes=made)
    scheduler.run_due(backend, ANCHOR + since, ANCHOR + now)
    return [(each.description, each.cause) for each in reversed(made.activities)]


LIMITS = {"scalable_target_action": {"MinCapacity": 2, "MaxCapacity": 3}}
TRIGGERED = ("Setting min capacity to 2 and max capacity to 3", "scheduled action name evening was triggered")
GROWN = ("Setting desired instance count to 2.", "minimum capacity was set to 2")


@pytest.mark.parametrize(
    ("since", "now", "settings", "expected"),
    [
        (HOUR - 10, HOUR, LIMITS, [TRIGGERED, GROWN]),
        (HOUR - 10, HOUR - 1, LIMITS, []),
        (HOUR, HOUR + 10, LIMITS, []),
        (HOUR - 10, HOUR, {**LIMITS, "end_time": ANCHOR + 60}, []),
        (0, 10, {**LIMITS, "start_time": ANCHOR + 5}, [TRIGGERED, GROWN]),
        (HOUR - 10, HOUR, {**LIMITS, "start_time": ANCHOR + HOUR + 60}, []),
        (
            HOUR - 10,
            HOUR,
            {"scalable_target_action": {"MaxCapacity": 3}},
            [("Setting max capacity to 3", TRIGGERED[1])],
        ),
    ],
)
def test_a_scheduled_action_sets_limits_when_it_is_due(variant, since, now, settings, expected):
    scaled = target()
    assert run(variant, scaled, since, now, **settings) == expected
    assert scaled.max_capacity == (3 if expected else 4)


def test_a_scheduled_action_can_be_suspended_or_impossible(variant):
    assert run(variant, target(ScheduledScalingSuspended=True), 0, HOUR, **LIMITS) == []
    scaled = target(least=4, most=6)
    impossible = {"scalable_target_action": {"MaxCapacity": 3}}
    assert run(variant, scaled, 0, HOUR, **impossible) == [("Setting max capacity to 3", TRIGGERED[1])]
    assert (scaled.min_capacity, scaled.max_capacity) == (4, 6), "nothing is half done"
