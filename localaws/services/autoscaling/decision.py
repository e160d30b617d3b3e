"""What a scaling policy does in a period in which its alarm is on.

Pure code, for the local AWS and for simulations: the datapoints of an alarm, the policy, the capacity with its limits,
the history and the time go in, a decision comes out. All times are in seconds of one clock.

Sources: the Application Auto Scaling user guide ("How target tracking scaling works", "How step scaling works",
"Scaling activities"). The guide does not say which datapoints target tracking counts with. Here the newest counts
upwards, and the highest of the alarm's downwards.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from localaws.services.autoscaling.policies import (
    CHANGE,
    EXACT,
    ScalingPolicy,
    StepAdjustment,
    StepScaling,
    TargetTracking,
)

FUZZ = 1e-9  # a capacity that a division puts so little above a whole number is that number
AT_MAX, AT_MIN, AT_DESIRED = "AlreadyAtMaxCapacity", "AlreadyAtMinCapacity", "AlreadyAtDesiredCapacity"
UNSCALABLE = "TargetServicePutResourceAsUnscalable"
AGGREGATES = {"Average": statistics.fmean, "Minimum": min, "Maximum": max}


@dataclass(frozen=True)
class CapacityLimits:
    least: int
    most: int

    def bound(self, capacity: float) -> int:
        return int(max(self.least, min(self.most, capacity)))


@dataclass(frozen=True)
class AlarmSignal:
    """An alarm that is on: its datapoints, the newest first, its threshold, and whether it watches below that."""

    values: tuple[float, ...]
    threshold: float
    below: bool


@dataclass(frozen=True)
class Situation:
    """The resource: the capacity that was asked for last, the limits, and what may not be done now."""

    capacity: int
    limits: CapacityLimits
    scalable: bool = True
    scale_in_suspended: bool = False
    scale_out_suspended: bool = False


@dataclass(frozen=True)
class LastChange:
    """A policy's last change of the capacity. `ended` is None while the resource is still being changed.

    `start` is the capacity before all changes that the present cooldown is about.
    """

    start: int
    to: int
    ended: float | None = None

    def cools(self, now: float, cooldown: float) -> bool:
        return self.ended is None or 0 <= now - self.ended < cooldown


@dataclass(frozen=True)
class Peer:
    """Another target tracking policy of the same target. `values` is None unless its alarm Low is on."""

    policy: TargetTracking
    values: tuple[float, ...] | None
    last: LastChange | None = None


@dataclass(frozen=True)
class CapacityChange:
    """The capacity is to become `to`; `start` is what the cooldown counts from."""

    to: int
    start: int


@dataclass(frozen=True)
class NotScaled:
    """Nothing is done, for a reason that DescribeScalingActivities names: its code and the capacity that it shows."""

    code: str
    capacity: int | None = None


def decide(
    policy: ScalingPolicy,
    signal: AlarmSignal,
    situation: Situation,
    now: float,
    last: LastChange | None = None,
    peers: Sequence[Peer] = (),
) -> CapacityChange | NotScaled | None:
    """What `policy` does about `signal`; None if it waits, is suspended, or has no step for this breach."""
    capacity = situation.capacity
    wanted = _wanted(policy, signal, capacity) if signal.values else None
    if wanted is None:
        return None
    if wanted > capacity:
        return _scale_out(policy, signal, situation, now, last)
    if wanted < capacity:
        return _scale_in(policy, wanted, situation, now, last, peers)
    return _nothing_to_do(situation, grows=not signal.below)


def _wanted(policy: ScalingPolicy, signal: AlarmSignal, capacity: int) -> int | None:
    """What a policy makes of a capacity, without limits; None if none of its steps matches."""
    if isinstance(policy, TargetTracking):
        return (tracked_down if signal.below else tracked_up)(policy, signal.values, capacity)
    aggregated = AGGREGATES[policy.aggregation](signal.values)
    step = matching_step(policy.steps, aggregated - signal.threshold, signal.below)
    return None if step is None else adjusted(policy, step.adjustment, capacity)


def _scale_out(
    policy: ScalingPolicy, signal: AlarmSignal, situation: Situation, now: float, last: LastChange | None
) -> CapacityChange | NotScaled | None:
    if situation.scale_out_suspended:
        return None
    cooldown = policy.cooldown if isinstance(policy, StepScaling) else policy.scale_out_cooldown
    added = last.to - last.start if last and last.to > last.start and last.cools(now, cooldown) else 0
    base = max(0, situation.capacity - added)  # what a cooldown is about counts towards the next scale-out
    to = situation.limits.bound(_wanted(policy, signal, base))
    if to <= situation.capacity:
        return _nothing_to_do(situation, grows=True)
    return CapacityChange(to, base) if situation.scalable else NotScaled(UNSCALABLE)


def _scale_in(
    policy: ScalingPolicy,
    wanted: int,
    situation: Situation,
    now: float,
    last: LastChange | None,
    peers: Sequence[Peer],
) -> CapacityChange | NotScaled | None:
    cooldown = policy.cooldown if isinstance(policy, StepScaling) else policy.scale_in_cooldown
    if situation.scale_in_suspended or _cooling_in(last, now, cooldown):
        return None
    if isinstance(policy, TargetTracking):  # a step policy does not ask the others
        if not policy.scales_in:
            return None
        for peer in [each for each in peers if each.policy.scales_in]:
            if not peer.values or _cooling_in(peer.last, now, peer.policy.scale_in_cooldown):
                return None
            wanted = max(wanted, tracked_down(peer.policy, peer.values, situation.capacity))
    to = situation.limits.bound(wanted)
    if to >= situation.capacity:
        return _nothing_to_do(situation, grows=False)
    return CapacityChange(to, situation.capacity) if situation.scalable else NotScaled(UNSCALABLE)


def _cooling_in(last: LastChange | None, now: float, cooldown: float) -> bool:
    return last is not None and last.to < last.start and last.cools(now, cooldown)


def _nothing_to_do(situation: Situation, grows: bool) -> NotScaled:
    capacity, limits = situation.capacity, situation.limits
    if grows and capacity >= limits.most:
        return NotScaled(AT_MAX, limits.most)
    if not grows and capacity <= limits.least:
        return NotScaled(AT_MIN, limits.least)
    return NotScaled(AT_DESIRED, capacity)


# --- the arithmetic ---


def tracked_up(policy: TargetTracking, values: Sequence[float], capacity: int) -> int:
    """What would put the newest datapoint on the target, and one more than there is at least."""
    return max(capacity + 1, math.ceil(capacity * values[0] / policy.target - FUZZ))


def tracked_down(policy: TargetTracking, values: Sequence[float], capacity: int) -> int:
    """What would put the highest of the datapoints on the target, and not more than there is."""
    return max(0, min(capacity, math.ceil(capacity * max(values) / policy.target - FUZZ)))


def matching_step(steps: Sequence[StepAdjustment], breach: float, below: bool) -> StepAdjustment | None:
    """The step for a breach: above the threshold the lower bound belongs to a step, below it the upper one."""
    for step in steps:
        if step.lower < breach <= step.upper if below else step.lower <= breach < step.upper:
            return step
    return None


def adjusted(policy: StepScaling, adjustment: int, base: int) -> int:
    """The capacity after an adjustment. A percentage is rounded towards zero, but to 1 at least."""
    if policy.kind == EXACT:
        return adjustment
    if policy.kind == CHANGE or not adjustment:
        return max(0, base + adjustment)
    size = max(policy.least, abs(base * adjustment) // 100)
    return max(0, base + (size if adjustment > 0 else -size))


# --- the history ---


@dataclass
class ScalingHistory:
    """The last change of each policy of a target, by the policy's ARN."""

    last: dict[str, LastChange] = field(default_factory=dict)

    def begin(self, policy: str, change: CapacityChange, capacity: int) -> None:
        """A policy changes the capacity. A scale-out ends the cooldowns of scale-ins."""
        if change.to > capacity:
            self.last = {name: each for name, each in self.last.items() if each.to > each.start}
        self.last[policy] = LastChange(change.start, change.to)

    def end(self, policy: str, successful: bool, now: float) -> None:
        """The change of a policy has ended: from now on its cooldown counts, if it was successful."""
        last = self.last.pop(policy, None)
        if last is not None and successful:
            self.last[policy] = replace(last, ended=now)


def outside(capacity: int, limits: CapacityLimits) -> int | None:
    """The capacity that a target must get because its limits were changed, or None."""
    bounded = limits.bound(capacity)
    return None if bounded == capacity else bounded
