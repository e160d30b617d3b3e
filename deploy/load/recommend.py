"""Settings that follow from a load test, each with its arithmetic. Pure functions.

Sources of the rules:
- endpoint.scaling.target: "Load testing your auto scaling configuration" in the SageMaker developer guide:
  SageMakerVariantInvocationsPerInstance = MAX_RPS x SAFETY_FACTOR x 60, with 0.5 as the factor to begin with.
- predictor.reserved and provisioned: "Understanding Lambda function scaling" in the Lambda developer guide:
  concurrency = requests per second x duration in seconds; "Configuring provisioned concurrency" adds 10 per cent.
- Cooldowns: "Target tracking scaling policies" in the Application Auto Scaling user guide. Scale-out waits for the last
  instances to take effect, so it needs their time to start; scale-in has 300 seconds by default, to be careful.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SAFETY = 0.5
BUFFER = 1.1
SCALE_IN_COOLDOWN = 300


@dataclass(frozen=True)
class Measured:
    """What a load test has measured. Rates are requests a second, times are seconds."""

    ceiling: float  # the most that `instances` answered within the objective
    instances: int  # that were in service during the search; 0 for kinds without instances
    base: float  # the rate of the quietest tenth of the test
    peak: float  # the rate of its busiest second
    call: float  # the mean time of a call of the function
    start: float | None = None  # the time in which an instance started, if one did


@dataclass(frozen=True)
class Recommendation:
    """A value for a setting, `endpoint.scaling.target`, and its arithmetic in words."""

    setting: str
    value: int
    why: str


def recommend(measured: Measured) -> list[Recommendation]:
    """Values for the scaling policy of the instances, if there are any, and for the function's concurrency."""
    return [*(endpoint(measured) if measured.instances else []), *function(measured)]


def endpoint(measured: Measured) -> list[Recommendation]:
    one = measured.ceiling / measured.instances
    usable = one * SAFETY
    target = max(1, math.floor(usable * 60))
    least = max(1, math.ceil(measured.base / usable)) if usable else 1
    most = max(least, math.ceil(measured.peak / usable)) if usable else least
    start = math.ceil(measured.start or 0)
    how = f"{one:.1f} requests/s of one instance x {SAFETY} (safety)"
    return [
        Recommendation("endpoint.scaling.target", target, f"{how} x 60 = {usable * 60:.0f} a minute"),
        Recommendation(
            "endpoint.scaling.min_instances",
            least,
            f"{measured.base:.1f} requests/s at the quietest / {usable:.1f} for one instance, rounded up",
        ),
        Recommendation(
            "endpoint.scaling.max_instances",
            most,
            f"{measured.peak:.1f} requests/s at the peak / {usable:.1f} for one instance, rounded up",
        ),
        Recommendation(
            "endpoint.scaling.scale_out_cooldown",
            max(60, start),
            f"an instance took {start} s to start; the default is 60"
            if measured.start
            else "no instance started during the test; the default is 60",
        ),
        Recommendation(
            "endpoint.scaling.scale_in_cooldown", SCALE_IN_COOLDOWN, "Application Auto Scaling's default, to be careful"
        ),
    ]


def function(measured: Measured) -> list[Recommendation]:
    peak, base = measured.peak * measured.call, measured.base * measured.call
    call = f"{measured.call * 1000:.0f} ms a call"
    reserved = max(1, math.ceil(peak * BUFFER))
    return [
        Recommendation(
            "predictor.reserved",
            reserved,
            f"{measured.peak:.1f} requests/s at the peak x {call} = {peak:.1f} at a time, and 10 % more",
        ),
        Recommendation(
            "predictor.provisioned",
            min(reserved, math.ceil(base * BUFFER)),
            f"{measured.base:.1f} requests/s at the quietest x {call} = {base:.1f} at a time, and 10 % more",
        ),
    ]
