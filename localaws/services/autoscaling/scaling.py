"""Target tracking: how much capacity a metric calls for.

Source: "Target tracking scaling policies" in the Application Auto Scaling user guide. Two alarms watch the metric:
High, three minutes above the target, and Low, fifteen minutes more than a tenth below it. While one is on, the capacity
is brought to what would put the metric on the target: at once upwards, and downwards no more often than the cooldown
says and never by more than the highest of the minutes would bear.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localaws import clock

LOW_SHARE = 0.9
HIGH_PERIODS, LOW_PERIODS = 3, 15
HIGH, LOW = "AlarmHigh", "AlarmLow"
# Seconds between two changes, where the policy does not say: 0 for Lambda, 300 for endpoints.
DEFAULT_COOLDOWN = {"lambda": 0, "sagemaker": 300}


@dataclass(frozen=True)
class Watched:
    """The metric that a policy tracks, as its alarms name it."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str


class Unsupported(Exception):
    """A policy that cannot be carried out here; the message says what can."""


def watched(configuration: dict[str, Any], resource_id: str) -> Watched:
    """The metric of a target tracking configuration. Raises Unsupported for one that has no numbers here.

    High-resolution metrics are gathered by the minute as all others are.
    """
    if custom := configuration.get("CustomizedMetricSpecification"):
        if "MetricName" not in custom:
            raise Unsupported("The local AWS tracks one metric: a policy with metric math is not carried out.")
        dimensions = tuple((each["Name"], each["Value"]) for each in custom.get("Dimensions") or [])
        return Watched(custom["Namespace"], custom["MetricName"], dimensions, custom["Statistic"])
    kind = (configuration.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType")
    if kind == "LambdaProvisionedConcurrencyUtilization":
        _, name, qualifier = resource_id.split(":")
        dimensions = (("FunctionName", name), ("Resource", f"{name}:{qualifier}"))
        return Watched("AWS/Lambda", "ProvisionedConcurrencyUtilization", dimensions, "Average")
    if kind == "SageMakerVariantInvocationsPerInstance":
        _, endpoint, _, variant = resource_id.split("/")
        dimensions = (("EndpointName", endpoint), ("VariantName", variant))
        return Watched("AWS/SageMaker", "InvocationsPerInstance", dimensions, "Sum")
    if kind == "SageMakerVariantConcurrentRequestsPerModelHighResolution":
        _, endpoint, _, variant = resource_id.split("/")
        dimensions = (("EndpointName", endpoint), ("VariantName", variant))
        return Watched("AWS/SageMaker", "ConcurrentRequestsPerModel", dimensions, "Average")
    raise Unsupported(f"The local AWS has no numbers for {kind}.")


def alarm_settings(kind: str, metric: Watched, target: float) -> dict[str, Any]:
    """The settings of one of the two alarms of a policy."""
    high = kind == HIGH
    return {
        "namespace": metric.namespace,
        "metric_name": metric.name,
        "dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
        "statistic": metric.statistic,
        "period": int(clock.MINUTE),
        "evaluation_periods": HIGH_PERIODS if high else LOW_PERIODS,
        "comparison_operator": "GreaterThanThreshold" if high else "LessThanThreshold",
        "threshold": float(target) if high else float(target) * LOW_SHARE,
    }


@dataclass
class Cooldown:
    """When a policy last changed the capacity, in seconds since 1970, and to what."""

    scaled_out: float = -math.inf
    scaled_out_to: int = 0
    scaled_in: float = -math.inf


def desired(
    kind: str,
    current: int,
    values: Sequence[float | None],
    configuration: dict[str, Any],
    service: str,
    cooldown: Cooldown,
    now: float,
) -> int:
    """The capacity that an alarm of a policy calls for at `now`; the current one if nothing is to be done.

    `values` are the metric's, the newest minute first. Limits are for the caller to apply.
    """
    present = [value for value in values if value is not None]
    target = float(configuration["TargetValue"])
    default = DEFAULT_COOLDOWN.get(service, 300)
    if not present:
        return current
    if kind == HIGH:
        wanted = max(current + 1, math.ceil(current * present[0] / target - 1e-9))
        waits = clock.real(configuration.get("ScaleOutCooldown", default))
        if now - cooldown.scaled_out < waits:  # what was added last counts as there already
            return max(current, wanted) if wanted > cooldown.scaled_out_to else current
        return wanted
    if configuration.get("DisableScaleIn"):
        return current
    waits = clock.real(configuration.get("ScaleInCooldown", default))
    if now - max(cooldown.scaled_in, cooldown.scaled_out) < waits:
        return current
    return min(current, math.ceil(current * max(present) / target - 1e-9))
