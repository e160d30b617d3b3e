"""Scaling policies, as the API's requests describe them, and the alarms that AWS creates for target tracking.

Pure code: nothing here reads a clock, a metric or a resource.

Sources: "Target tracking scaling policies" and "Step scaling policies" in the Application Auto Scaling user guide;
"Define a scaling policy" in the SageMaker developer guide for the high-resolution metric: it scales out faster, and in
at the speed of other metrics.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localaws import clock
from localaws.services.cloudwatch import expressions
from localaws.services.cloudwatch.alarms import AlarmRule
from localaws.services.cloudwatch.expressions import MetricQuery
from localaws.services.cloudwatch.metrics import Metric

HIGH, LOW = "AlarmHigh", "AlarmLow"
LOW_SHARE = 0.9  # of the target: below it the alarm Low goes off
HIGH_PERIODS = 3
LOW_SECONDS = 15 * clock.MINUTE
# Seconds between two changes if the policy does not say: 0 for Lambda, 300 for endpoints and for all step policies.
TRACKING_COOLDOWN = {"lambda": 0, "sagemaker": 300}
STEP_COOLDOWN = 300
EXACT, CHANGE, PERCENT = "ExactCapacity", "ChangeInCapacity", "PercentChangeInCapacity"


class InvalidPolicy(Exception):
    """A policy that AWS refuses, or that cannot be carried out here; the message says what can."""


@dataclass(frozen=True)
class TargetTracking:
    """Keeps a metric at `target`. Cooldowns are in seconds."""

    target: float
    scale_out_cooldown: float
    scale_in_cooldown: float
    scales_in: bool = True


@dataclass(frozen=True)
class StepAdjustment:
    """The adjustment for a breach from `lower` to `upper`, both relative to the alarm's threshold."""

    lower: float
    upper: float
    adjustment: int


@dataclass(frozen=True)
class StepScaling:
    """Adjusts the capacity by the size of a breach: `kind` is EXACT, CHANGE or PERCENT."""

    kind: str
    steps: tuple[StepAdjustment, ...]
    cooldown: float = STEP_COOLDOWN
    least: int = 1  # the least adjustment of a PERCENT policy
    aggregation: str = "Average"


ScalingPolicy = TargetTracking | StepScaling


@dataclass(frozen=True)
class Tracked:
    """What a target tracking policy watches: `queries` with one result, in periods of `seconds`."""

    queries: tuple[MetricQuery, ...]
    seconds: float = clock.MINUTE


@dataclass(frozen=True)
class AlarmSpec:
    """One of the two alarms of a target tracking policy."""

    kind: str
    comparison: str
    threshold: float
    periods: int
    seconds: float

    @property
    def rule(self) -> AlarmRule:
        return AlarmRule(self.comparison, self.threshold, self.periods, self.periods)


def alarms_for(policy: TargetTracking, tracked: Tracked) -> list[AlarmSpec]:
    """High goes off after three periods above the target; Low after fifteen minutes more than a tenth below it."""
    high = AlarmSpec(HIGH, "GreaterThanThreshold", policy.target, HIGH_PERIODS, tracked.seconds)
    periods = round(LOW_SECONDS / tracked.seconds)
    low = AlarmSpec(LOW, "LessThanThreshold", policy.target * LOW_SHARE, periods, tracked.seconds)
    return [high, low] if policy.scales_in else [high]


# --- from requests ---


def tracking_of(configuration: dict[str, Any], service: str) -> TargetTracking:
    """`TargetTrackingScalingPolicyConfiguration` of a target in the namespace `service`."""
    default = TRACKING_COOLDOWN.get(service, 300)
    out, into = (configuration.get(f"Scale{each}Cooldown", default) or 0 for each in ("Out", "In"))
    return TargetTracking(float(configuration["TargetValue"]), out, into, not configuration.get("DisableScaleIn"))


def tracked_by(configuration: dict[str, Any], region: str, resource_id: str) -> Tracked:
    """The metric of a target tracking configuration. Raises InvalidPolicy for one that has no numbers here."""
    custom = configuration.get("CustomizedMetricSpecification")
    predefined = configuration.get("PredefinedMetricSpecification")
    if (custom is None) == (predefined is None):
        raise InvalidPolicy(
            "A target tracking policy needs either a PredefinedMetricSpecification or a CustomizedMetricSpecification."
        )
    if custom is None:
        return _predefined(predefined["PredefinedMetricType"], region, resource_id)
    if not custom.get("Metrics"):
        missing = [each for each in ("MetricName", "Namespace", "Statistic") if not custom.get(each)]
        if missing:
            raise InvalidPolicy(f"The CustomizedMetricSpecification lacks {', '.join(missing)}.")
        return Tracked((MetricQuery("value", _metric(region, custom), custom["Statistic"]),))
    queries = tuple(_query(region, each) for each in custom["Metrics"])
    try:
        expressions.check(queries)
        expressions.result(queries)
    except expressions.ExpressionError as error:
        raise InvalidPolicy(str(error)) from None
    return Tracked(queries)


def _predefined(kind: str, region: str, resource_id: str) -> Tracked:
    if kind == "LambdaProvisionedConcurrencyUtilization" and resource_id.startswith("function:"):
        _, name, qualifier = resource_id.split(":")
        dimensions = (("FunctionName", name), ("Resource", f"{name}:{qualifier}"))
        metric = Metric(region, "AWS/Lambda", "ProvisionedConcurrencyUtilization", dimensions)
        return Tracked((MetricQuery("value", metric, "Average"),))
    if kind.startswith("SageMakerVariant") and resource_id.startswith("endpoint/"):
        _, endpoint, _, variant = resource_id.split("/")
        dimensions = (("EndpointName", endpoint), ("VariantName", variant))
        if kind == "SageMakerVariantInvocationsPerInstance":
            metric = Metric(region, "AWS/SageMaker", "InvocationsPerInstance", dimensions)
            return Tracked((MetricQuery("value", metric, "Sum"),))
        if kind == "SageMakerVariantConcurrentRequestsPerModelHighResolution":
            metric = Metric(region, "AWS/SageMaker", "ConcurrentRequestsPerModel", dimensions)
            return Tracked((MetricQuery("value", metric, "Maximum"),), clock.FINE)
    raise InvalidPolicy(f"The local AWS has no numbers for {kind}.")


def _query(region: str, asked: dict[str, Any]) -> MetricQuery:
    returned = asked.get("ReturnData", True)
    stat = asked.get("MetricStat")
    if (stat is None) == (not asked.get("Expression")):
        raise InvalidPolicy(f"The metric {asked['Id']!r} needs either an Expression or a MetricStat.")
    if stat is None:
        return MetricQuery(asked["Id"], expression=asked["Expression"], returned=returned)
    return MetricQuery(asked["Id"], _metric(region, stat["Metric"]), stat["Stat"], returned=returned)


def _metric(region: str, asked: dict[str, Any]) -> Metric:
    dimensions = tuple(sorted((each["Name"], each["Value"]) for each in asked.get("Dimensions") or []))
    return Metric(region, asked.get("Namespace", ""), asked.get("MetricName", ""), dimensions)


def steps_of(configuration: dict[str, Any]) -> StepScaling:
    """`StepScalingPolicyConfiguration`. Raises InvalidPolicy for what the user guide rules out."""
    kind, given = configuration.get("AdjustmentType"), configuration.get("StepAdjustments") or []
    if kind not in (EXACT, CHANGE, PERCENT):
        raise InvalidPolicy(f"A step scaling policy needs an AdjustmentType: {EXACT}, {CHANGE} or {PERCENT}.")
    if not given:
        raise InvalidPolicy("A step scaling policy needs at least one step adjustment.")
    if configuration.get("MinAdjustmentMagnitude") is not None and kind != PERCENT:
        raise InvalidPolicy(f"MinAdjustmentMagnitude needs the AdjustmentType {PERCENT}.")
    steps = tuple(
        StepAdjustment(
            _bound(each.get("MetricIntervalLowerBound"), -math.inf),
            _bound(each.get("MetricIntervalUpperBound"), math.inf),
            int(each["ScalingAdjustment"]),
        )
        for each in given
    )
    _check_steps(steps, kind)
    cooldown, least = configuration.get("Cooldown"), configuration.get("MinAdjustmentMagnitude")
    return StepScaling(
        kind,
        steps,
        STEP_COOLDOWN if cooldown is None else cooldown,
        max(1, least or 1),
        configuration.get("MetricAggregationType") or "Average",
    )


def _bound(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else float(given)


def _check_steps(steps: Sequence[StepAdjustment], kind: str) -> None:
    ordered = sorted(steps, key=lambda step: step.lower)
    if any(step.lower >= step.upper for step in steps):
        raise InvalidPolicy("The lower bound of a step adjustment must be less than its upper bound.")
    if any(step.lower == -math.inf and step.upper == math.inf for step in steps):
        raise InvalidPolicy("At least one of the bounds of a step adjustment must be specified.")
    if any(one.upper != other.lower for one, other in itertools.pairwise(ordered)):
        raise InvalidPolicy("The intervals of the step adjustments must not overlap or have a gap.")
    if ordered[0].lower < 0 and ordered[0].lower != -math.inf:
        raise InvalidPolicy("A step adjustment with a negative lower bound needs one without a lower bound.")
    if ordered[-1].upper > 0 and ordered[-1].upper != math.inf:
        raise InvalidPolicy("A step adjustment with a positive upper bound needs one without an upper bound.")
    if kind == EXACT and any(step.adjustment < 0 for step in steps):
        raise InvalidPolicy(f"A step adjustment of the type {EXACT} must not be negative.")
