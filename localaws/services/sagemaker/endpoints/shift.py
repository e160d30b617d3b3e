"""How an endpoint's update moves traffic from the old fleet to the new one: the rules, without fleets and without a
clock of their own.

Sources: "Deployment guardrails" in the SageMaker developer guide (blue/green all at once, canary and linear; rolling
deployments; exclusions), and the descriptions of DeploymentConfig in botocore's service model. A percentage is a share
of the traffic. A number of instances is a share of the new fleet. A rolling batch is rounded up to whole instances.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ALL_AT_ONCE, CANARY, LINEAR, ROLLING = "ALL_AT_ONCE", "CANARY", "LINEAR", "ROLLING"
# The size of a step in percent of the fleet, from the descriptions of CanarySize, LinearStepSize and MaximumBatchSize.
SIZES = {CANARY: ("CanarySize", 0, 50), LINEAR: ("LinearStepSize", 10, 50), ROLLING: ("MaximumBatchSize", 5, 50)}


class UpdatePolicyError(Exception):
    """A deployment configuration that SageMaker's documentation excludes."""


@dataclass(frozen=True)
class ShiftStep:
    """A step of an update: the new fleet has `new` instances and a `share` of the traffic for `seconds`, and then the
    old fleet keeps `old` instances. The counts are None if the step does not change them."""

    share: float
    seconds: float
    new: int | None = None
    old: int | None = None


@dataclass(frozen=True)
class UpdatePolicy:
    """What a DeploymentConfig says. Without one, SageMaker shifts all at once and waits for nothing."""

    kind: str = ALL_AT_ONCE
    size: dict[str, Any] | None = None
    back: dict[str, Any] | None = None
    bake_seconds: float = 0
    keep_seconds: float = 0
    limit_seconds: float = math.inf
    alarms: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: dict[str, Any] | None) -> "UpdatePolicy":
        """Read a DeploymentConfig. Raises UpdatePolicyError for two policies, or for a size that is missing."""
        config = config or {}
        blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
        if blue_green and rolling:
            raise UpdatePolicyError("Only one update policy can be used: BlueGreenUpdatePolicy or RollingUpdatePolicy.")
        update = rolling or blue_green or {}
        routing = rolling or update.get("TrafficRoutingConfiguration") or {}
        kind = ROLLING if rolling else routing.get("Type", ALL_AT_ONCE)
        size = routing.get(SIZES[kind][0]) if kind in SIZES else None
        if kind in SIZES and not size:
            raise UpdatePolicyError(f"{SIZES[kind][0]} is required for {kind}.")
        return cls(
            kind=kind,
            size=size,
            back=update.get("RollbackMaximumBatchSize"),
            bake_seconds=routing.get("WaitIntervalInSeconds") or 0,
            keep_seconds=update.get("TerminationWaitInSeconds") or 0,
            limit_seconds=update.get("MaximumExecutionTimeoutInSeconds") or math.inf,
            alarms=tuple(
                each["AlarmName"] for each in (config.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
            ),
        )

    def require_size(self, count: int) -> None:
        """Raise UpdatePolicyError if the size of a step is out of its documented bounds for `count` instances."""
        if self.kind in SIZES:
            name, least, most = SIZES[self.kind]
            percent = 100 * _share(self.size, count)
            if not least <= percent <= most:
                bounds = f"{least}-{most}%" if least else f"less than or equal to {most}%"
                raise UpdatePolicyError(
                    f"{name} is {percent:.0f}% of the variant's total instance count ({count}). It must be {bounds}."
                )

    def steps(self, new: int, old: int) -> list[ShiftStep]:
        """The steps from a fleet of `old` instances to one of `new`. Only a rolling update changes counts meanwhile."""
        if self.kind == ROLLING:
            batch = _batch(self.size, new)
            counts = [*range(batch, new, batch), new]
            return [
                ShiftStep(count / new, self.bake_seconds, count, math.ceil(old * (1 - count / new))) for count in counts
            ]
        shares = [1.0]
        if self.kind == CANARY:
            shares = [_share(self.size, new), 1.0]
        if self.kind == LINEAR:
            step = _share(self.size, new)
            shares = [min(1.0, number * step) for number in range(1, math.ceil(1 / step - 1e-9) + 1)]
        steps = [ShiftStep(share, self.bake_seconds) for share in shares]
        return [*steps, ShiftStep(1.0, self.keep_seconds)] if self.keep_seconds else steps

    def way_back(self, new: int, old: int, kept: int) -> list[ShiftStep]:
        """The steps of a rolling update's rollback, from `kept` of `old` instances to all of them.

        `RollbackMaximumBatchSize` is their size. The default brings the old fleet back at once. Their `seconds` are 0.
        """
        batch = _batch(self.back, old) if self.back else old
        counts = [*range(kept + batch, old, batch), old]
        return [ShiftStep(1 - count / old, 0, math.ceil(new * (1 - count / old)), count) for count in counts]


def _share(size: dict[str, Any], count: int) -> float:
    return size["Value"] / (count if size["Type"] == "INSTANCE_COUNT" else 100)


def _batch(size: dict[str, Any], count: int) -> int:
    return min(count, max(1, math.ceil(_share(size, count) * count - 1e-9)))


class Shift:
    """An update that is under way. It is told the time (seconds of AWS's clock) and the alarms that are on."""

    def __init__(self, steps: Sequence[ShiftStep], began: float, limit: float = math.inf):
        self._steps, self._began, self._limit = list(steps), began, limit
        self._number = 0
        self._since = began
        self.failure: str | None = None  # why the update must be rolled back

    @property
    def step(self) -> ShiftStep | None:
        """The step that is due; None if the update is over."""
        return self._steps[self._number] if self._number < len(self._steps) and self.failure is None else None

    def activated(self, now: float) -> None:
        """The step's traffic goes to the new fleet from now on."""
        self._since = now

    def bakes(self, now: float, ringing: Sequence[str]) -> bool:
        """Whether the step is to be watched further. If not, `step` is the next one, or `failure` has the reason."""
        if ringing:
            self.failure = f"Rolled back because of the alarm {', '.join(ringing)}."
        elif now - self._began > self._limit:
            self.failure = f"Rolled back because the update took longer than {self._limit:.0f} seconds."
        elif now - self._since < self._steps[self._number].seconds:
            return True
        else:
            self._number += 1
        return False
