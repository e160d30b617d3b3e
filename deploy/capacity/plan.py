"""Settings that can be tried: a plan, the system that it makes, and its values in the settings file."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from deploy.capacity.calibration import CONTAINER_START, FUNCTION_START, OWN_MODEL_START, Calibration
from deploy.capacity.system import (
    CONCURRENT,
    INVOCATIONS,
    Action,
    Function,
    Instances,
    Scaling,
    ServerlessEndpoint,
    System,
    Times,
)
from deploy.deployment import IN_FUNCTION, INSTANCES, SERVERLESS

TRACKING, HIGH_RESOLUTION, STEP, SCHEDULED = "target tracking", "high-resolution tracking", "steps", "schedule"
POLICIES = (TRACKING, HIGH_RESOLUTION, STEP, SCHEDULED)
SCALE_IN, SCALE_OUT = 300, 60
MEMORY = {INSTANCES: 1024, SERVERLESS: 1024, IN_FUNCTION: 2048}  # of the function, terraform/variables.tf
ARCHITECTURE = {INSTANCES: "arm64", SERVERLESS: "arm64", IN_FUNCTION: "x86_64"}
SERVERLESS_MB, SERVERLESS_MOST = 6144, 200  # quotas of SageMaker serverless inference


@dataclass(frozen=True)
class CandidatePlan:
    """`target` is in the unit of the policy's metric. `actions` belong to the policy SCHEDULED, which tracks too."""

    kind: str
    reserved: int
    provisioned: int = 0
    instance_type: str = ""
    policy: str = TRACKING
    least: int = 1
    most: int = 1
    target: float = 0.0
    actions: tuple[Action, ...] = ()
    containers: int = 0

    @property
    def label(self) -> str:
        if self.kind == INSTANCES:
            fleet = f"{self.least} to {self.most} {self.instance_type}, {self.policy} at {self.target:g}"
            return f"{fleet}, {self.provisioned} warm" if self.provisioned else fleet
        words = f"serverless, {self.containers} containers" if self.kind == SERVERLESS else "in-function"
        return f"{words}, {self.provisioned} warm" if self.provisioned else words

    @property
    def can_be_written(self) -> bool:
        """Whether the Terraform configuration has inputs for it: target tracking only."""
        return self.kind != INSTANCES or self.policy in (TRACKING, HIGH_RESOLUTION)

    def values(self) -> dict[str, int | str]:
        """The settings, by their names in the settings file."""
        values: dict[str, int | str] = {"endpoint.kind": self.kind}
        if self.kind == INSTANCES:
            metric = CONCURRENT if self.policy == HIGH_RESOLUTION else INVOCATIONS
            values |= {
                "endpoint.instance_type": self.instance_type,
                "endpoint.initial_instance_count": self.least,
                "endpoint.scaling.metric": metric,
                "endpoint.scaling.target": math.floor(self.target),
                "endpoint.scaling.min_instances": self.least,
                "endpoint.scaling.max_instances": self.most,
                "endpoint.scaling.scale_in_cooldown": SCALE_IN,
                "endpoint.scaling.scale_out_cooldown": SCALE_OUT,
            }
        if self.kind == SERVERLESS:
            values |= {
                "endpoint.serverless.memory_mb": SERVERLESS_MB,
                "endpoint.serverless.max_concurrency": self.containers,
            }
        return values | {"predictor.reserved": self.reserved, "predictor.provisioned": self.provisioned}

    def system(self, found: Calibration) -> System:
        start = OWN_MODEL_START if self.kind == IN_FUNCTION else FUNCTION_START
        function = Function(
            found.overhead, Times.fixed(start), self.reserved, provisioned=self.provisioned, account=self.reserved
        )
        if self.kind == IN_FUNCTION:  # the same time as in an instance; the bench of the kinds measures it
            own = found.service.scaled((found.overhead.mean + found.service.mean) / found.service.mean)
            return System(replace(function, overhead=own), None)
        if self.kind == SERVERLESS:
            return System(
                replace(function, timeout=70.0),
                ServerlessEndpoint(found.service, Times.fixed(CONTAINER_START), self.containers),
            )
        scaling = Scaling(self.least, self.most, self._policies(), self.actions)
        servers = found.servers_of(self.instance_type)
        return System(function, Instances(found.service, servers, self.least, scaling, found.start))

    def _policies(self) -> tuple[dict, ...]:
        if self.policy == STEP:
            return steps(self.target)
        metric = CONCURRENT if self.policy == HIGH_RESOLUTION else INVOCATIONS
        return (tracking(metric, self.target),)


def tracking(metric: str, target: float) -> dict:
    """A request for target tracking, as Terraform makes it."""
    return {
        "TargetValue": target,
        "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
        "ScaleInCooldown": SCALE_IN,
        "ScaleOutCooldown": SCALE_OUT,
    }


def steps(target: float) -> tuple[dict, dict]:
    """Two step policies around a target of invocations: after one minute above it, more the higher the breach; after
    fifteen minutes below half of it, one instance less."""
    out = {
        "AdjustmentType": "PercentChangeInCapacity",
        "MinAdjustmentMagnitude": 1,
        "Cooldown": SCALE_OUT,
        "StepAdjustments": [
            {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": target / 2, "ScalingAdjustment": 30},
            {"MetricIntervalLowerBound": target / 2, "ScalingAdjustment": 100},
        ],
        "Alarm": _alarm("GreaterThanThreshold", target, 1),
    }
    into = {
        "AdjustmentType": "ChangeInCapacity",
        "Cooldown": SCALE_IN,
        "StepAdjustments": [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": -1}],
        "Alarm": _alarm("LessThanThreshold", target / 2, 15),
    }
    return out, into


def _alarm(comparison: str, threshold: float, periods: int) -> dict:
    return {
        "MetricName": "InvocationsPerInstance",
        "ComparisonOperator": comparison,
        "Threshold": threshold,
        "EvaluationPeriods": periods,
        "Period": 60,
    }
