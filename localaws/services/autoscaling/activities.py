"""Scaling activities: what DescribeScalingActivities tells, in AWS's words.

Sources: "Scaling activities" and "Describe scheduled scaling" in the Application Auto Scaling user guide; "Auto scaling
quotas" in the SageMaker developer guide for a failure; activities of real accounts for how each capacity is called, and
for an activity that is in progress or was overridden.
"""

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from localaws.services.autoscaling.decision import AT_DESIRED, AT_MAX, AT_MIN, NotScaled

# How an activity calls the capacity, by service namespace.
WHAT = {"lambda": "desired concurrency", "sagemaker": "desired instance count"}
IN_PROGRESS, SUCCESSFUL, FAILED, OVERRIDDEN = "InProgress", "Successful", "Failed", "Overridden"
ATTEMPT = "Attempting to scale due to alarm triggered"
REASON_MEMBERS = {AT_MAX: "MaxCapacity", AT_MIN: "MinCapacity", AT_DESIRED: "CurrentCapacity"}


@dataclass(frozen=True)
class ScalableResource:
    """What an activity is about."""

    namespace: str
    id: str
    dimension: str


@dataclass(frozen=True)
class ScalingActivity:
    """One activity. `wanted` is the capacity of a change; `policy` the ARN of the policy that asked for it."""

    resource: ScalableResource
    description: str
    cause: str
    began: float
    status: str
    message: str | None = None
    ended: float | None = None
    wanted: int | None = None
    policy: str | None = None
    not_scaled: NotScaled | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def describe(self) -> dict[str, Any]:
        described = {
            "ActivityId": self.id,
            "ServiceNamespace": self.resource.namespace,
            "ResourceId": self.resource.id,
            "ScalableDimension": self.resource.dimension,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.began,
            "StatusCode": self.status,
        }
        if self.ended is not None:
            described["EndTime"] = self.ended
        if self.message is not None:
            described["StatusMessage"] = self.message
        if self.not_scaled is not None:
            described["NotScaledReasons"] = [_reason(self.not_scaled)]
        return described

    def succeeded(self, now: float) -> "ScalingActivity":
        what, service = WHAT[self.resource.namespace], self.resource.namespace
        text = f"Successfully set {what} to {self.wanted}. Change successfully fulfilled by {service}."
        return replace(self, status=SUCCESSFUL, message=text, ended=now)

    def failed(self, reason: str, now: float) -> "ScalingActivity":
        text = f"Failed to set {WHAT[self.resource.namespace]} to {self.wanted}. Reason: {reason}"
        return replace(self, status=FAILED, message=text, ended=now)

    def overridden(self, by: int, now: float) -> "ScalingActivity":
        text = f"Successfully set {WHAT[self.resource.namespace]} to {self.wanted}. Found it was later changed to {by}."
        return replace(self, status=OVERRIDDEN, message=text, ended=now)


def begun(resource: ScalableResource, wanted: int, cause: str, now: float, policy: str | None) -> ScalingActivity:
    """A change of the capacity that the service has accepted."""
    what = WHAT[resource.namespace]
    text = f"Successfully set {what} to {wanted}. Waiting for change to be fulfilled by {resource.namespace}."
    description = f"Setting {what} to {wanted}."
    return ScalingActivity(resource, description, cause, now, IN_PROGRESS, text, wanted=wanted, policy=policy)


def not_scaled(resource: ScalableResource, reason: NotScaled, cause: str, now: float) -> ScalingActivity:
    """An alarm that led to nothing; it is shown only if the caller asks for it."""
    status = SUCCESSFUL if reason.code == AT_DESIRED else FAILED
    return ScalingActivity(resource, ATTEMPT, cause, now, status, not_scaled=reason)


def scheduled(
    resource: ScalableResource, least: int | None, most: int | None, name: str, now: float, refusal: str | None
) -> ScalingActivity:
    """A scheduled action that has set new limits, or could not."""
    limits = [f"{which} capacity to {value}" for which, value in (("min", least), ("max", most)) if value is not None]
    what, cause = " and ".join(limits), f"scheduled action name {name} was triggered"
    if refusal is not None:
        text = f"Failed to set {what}. Reason: {refusal}"
        return ScalingActivity(resource, f"Setting {what}", cause, now, FAILED, text, ended=now)
    return ScalingActivity(resource, f"Setting {what}", cause, now, SUCCESSFUL, f"Successfully set {what}")


def alarmed(alarm: str, policy: str) -> str:
    """The cause of what an alarm leads to."""
    return f"monitor alarm {alarm} in state ALARM triggered policy {policy}"


def limited(limit: str, capacity: int) -> str:
    """The cause of a change that a limit, `minimum` or `maximum`, leads to."""
    return f"{limit} capacity was set to {capacity}"


def _reason(reason: NotScaled) -> dict[str, Any]:
    member = REASON_MEMBERS.get(reason.code)
    return {"Code": reason.code, **({member: reason.capacity} if member else {})}
