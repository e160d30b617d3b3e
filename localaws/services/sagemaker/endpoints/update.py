"""One change of what an endpoint serves: a new fleet starts, gets the traffic step by step, and is watched meanwhile.

The steps are shift.py's. Here are the fleets, the clock and the alarms. An update that fails is taken back: the old
fleet has all of the traffic again before the new one ends, so no request meets a fleet that is gone.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from moto.cloudwatch.models import cloudwatch_backends

from localaws import clock, state
from localaws.context import ACCOUNT_ID
from localaws.services.iam.service_roles import ServiceDenied
from localaws.services.sagemaker.endpoints.container import HostingError, Variant
from localaws.services.sagemaker.endpoints.fleet import InstanceFleet
from localaws.services.sagemaker.endpoints.serverless import ServerlessFleet
from localaws.services.sagemaker.endpoints.shift import ROLLING, Shift, ShiftStep, UpdatePolicy
from localaws.services.sagemaker.endpoints.traffic import Fleet, Traffic
from localaws.services.sagemaker.records import now

ALARM_POLL_SECONDS = 0.5
CREATING, UPDATING, ACTIVATING, BAKING = (
    "Creating",
    "Updating",
    "ActivatingTraffic",
    "Baking",
)  # botocore: VariantStatus


@dataclass(frozen=True)
class EndpointDeployment:
    """What an endpoint serves: the variants of one configuration, as they were when it was deployed."""

    config_name: str
    variants: tuple[Variant, ...]
    resolved: datetime


def fleet_of(endpoint: str, region: str, variant: Variant, config: str) -> Fleet:
    """A fleet for a variant: of instances, or of containers that requests start."""
    kind = ServerlessFleet if variant.serverless else InstanceFleet
    return kind(endpoint, region, variant, state.touch, config)


class Update:
    """The change from what `traffic` serves to a deployment. `direct(traffic)` sends requests to other fleets."""

    def __init__(
        self,
        endpoint: str,
        region: str,
        deployment: EndpointDeployment,
        policy: UpdatePolicy,
        traffic: Traffic,
        direct: Callable[[Traffic], None],
        abandoned: threading.Event,
    ):
        self.deployment, self.began = deployment, now()
        self.stage: tuple[str, datetime] = (CREATING, self.began)  # as in VariantStatus
        self._region, self._policy, self._direct, self._abandoned = region, policy, direct, abandoned
        self._old = dict(traffic.fleets)
        self._counts = {name: fleet.desired for name, fleet in self._old.items()}
        self._steps = policy.steps(*self._sizes()) if self._old else [ShiftStep(1.0, 0)]
        self.fleets = {
            each.name: fleet_of(endpoint, region, self._first(each), deployment.config_name)
            for each in deployment.variants
        }

    def run(self) -> None:
        """Bring the new fleets into service, with all of the traffic. Raises HostingError if they must not stay."""
        for fleet in self.fleets.values():
            fleet.start()
        for fleet in self.fleets.values():
            fleet.wait_healthy(self._abandoned)
        if self._old:
            self._require_sight_of_alarms()
        shift = Shift(self._steps, clock.now(), self._policy.limit_seconds)
        while step := shift.step:
            self._take(step)
            shift.activated(clock.now())
            self._enter(BAKING)
            while shift.bakes(clock.now(), self._ringing() if self._old else ()):
                if self._abandoned.wait(ALARM_POLL_SECONDS):
                    raise HostingError("The deployment was abandoned.")
            if shift.failure is None and step.old is not None:
                _scale(self._old, step.old)
        if shift.failure is not None:
            raise HostingError(shift.failure)
        self._direct(Traffic(self.fleets))

    def finish(self) -> None:
        """End the old fleets, after what they are answering."""
        for fleet in self._old.values():
            fleet.end()

    def undo(self, drain: bool = True) -> None:
        """Give the old fleets all of the traffic again, and end the new ones. Raises HostingError if a rolling update
        cannot restore the old fleet; both of them then go on serving."""
        if self._policy.kind == ROLLING and self._old and not self._abandoned.is_set():
            self._roll_back()
        self._direct(Traffic(self._old))
        for fleet in self.fleets.values():
            fleet.end(drain)

    # --- within ---

    def _sizes(self) -> tuple[int, int]:
        """The instances of the new and of the old fleet, at least one each, for the sizes of steps."""
        wanted = sum(each.count for each in self.deployment.variants)
        return max(1, wanted), max(1, sum(self._counts.values()))

    def _first(self, variant: Variant) -> Variant:
        """A variant with the instances of the first step."""
        first = self._steps[0].new
        return variant if first is None else replace(variant, count=first)

    def _take(self, step: ShiftStep) -> None:
        """Bring a step's instances and its share of the traffic to the new fleet."""
        if step.new is not None:
            self._enter(UPDATING)
            _scale(self.fleets, step.new)
            for fleet in self.fleets.values():
                fleet.wait_healthy(self._abandoned)
        self._enter(ACTIVATING)
        self._direct(Traffic(self._old, self.fleets, step.share))

    def _roll_back(self) -> None:
        (old,) = self._old.values()
        (count,) = self._counts.values()
        wanted = sum(each.count for each in self.deployment.variants)
        for step in self._policy.way_back(wanted, count, old.desired):
            _scale(self._old, step.old)
            old.wait_healthy(self._abandoned)
            self._direct(Traffic(self._old, self.fleets, step.share))
            _scale(self.fleets, step.new)

    def _ringing(self) -> list[str]:
        known = cloudwatch_backends[ACCOUNT_ID][self._region].alarms
        return [name for name in self._policy.alarms if name in known and known[name].state_value == "ALARM"]

    def _require_sight_of_alarms(self) -> None:
        """Raise HostingError unless the models' roles may see the alarms, which SageMaker reads with them."""
        arn = f"arn:aws:cloudwatch:{self._region}:{ACCOUNT_ID}:alarm:"
        for fleet in self.fleets.values():
            try:
                role = fleet.variant.role(self._region)
                role.require(("cloudwatch:DescribeAlarms", arn + name) for name in self._policy.alarms)
            except ServiceDenied as error:
                raise HostingError(f"The alarms of the deployment cannot be read: {error}") from error

    def _enter(self, stage: str) -> None:
        self.stage = (stage, now())
        state.touch()


def _scale(fleets: dict[str, Fleet], count: int) -> None:
    """Give the one fleet of a rolling update another number of instances."""
    for fleet in fleets.values():
        fleet.variant = replace(fleet.variant, count=count)
        fleet.scale(count)
