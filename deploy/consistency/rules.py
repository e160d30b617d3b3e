"""Rules for settings that only make sense together. Pure functions; each finding has its arithmetic.

A call of one image takes 1 / rate seconds of an instance. The rate is the measured one. Without a load test, it is the
rate that the target implies by AWS's rule, target = rate x 0.5 x 60 ("Load testing your auto scaling configuration" in
the SageMaker developer guide).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.consistency.measured import MeasuredInstance
from deploy.deployment import INSTANCES, SERVERLESS
from deploy.load.recommend import SAFETY

INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
LINE = 64  # images that wait in an instance, as in payloads/inference/line.py; it refuses the others
ANSWER_SECONDS = 0.5  # that the function keeps for its own answer, as in payloads/lambda/predictor/service.py
CONTAINER_START = 60  # seconds, at most, for a serverless container (terraform/serving.tf)
ALARM_PERIOD, ALARM_PERIODS = 60, 2  # seconds, and how many, of the alarms that roll an update back (modules/endpoint)
DAY = 86_400

NAMES = ("concurrency", "timeouts", "scaling-target", "scaling-policy", "rollback-alarm")  # as in variables.tf


@dataclass(frozen=True)
class Contradiction:
    """What is wrong, with figures, and the way out. `fails` says whether a plan fails, or only warns."""

    name: str
    what: str
    fix: str
    fails: bool = True


@dataclass(frozen=True)
class _Rate:
    """Requests a second of one instance, and where the figure is from."""

    value: float
    source: str

    @property
    def call(self) -> str:
        return f"{1 / self.value:.2g} s of an instance for each ({self.source})"


def contradictions(settings: dict[str, Any], measured: MeasuredInstance | None = None) -> Iterator[Contradiction]:
    """Every contradiction in the settings (`deploy.settings.effective`). A stack that is asleep is judged as awake."""
    kind = settings["endpoint"]["kind"]
    if kind == INSTANCES:
        if measured and measured.instance_type != settings["endpoint"]["instance_type"]:
            measured = None
        yield from _instances(settings["endpoint"], settings["predictor"], measured)
    elif kind == SERVERLESS:
        yield from _serverless(settings["endpoint"]["serverless"], settings["predictor"])
    yield from _warm_environments(settings["predictor"])


def _instances(
    endpoint: dict[str, Any], predictor: dict[str, Any], measured: MeasuredInstance | None
) -> Iterator[Contradiction]:
    scaling = endpoint["scaling"]
    if rate := _rate(scaling, measured):
        yield from _concurrency(scaling, predictor, rate)
        yield from _timeouts(scaling, predictor, rate)
    if scaling["min_instances"] < scaling["max_instances"]:
        yield from _target(scaling, measured)
        yield from _policy(scaling, predictor, measured)
    yield from _rollback_alarm(endpoint["deployment"])


def _rate(scaling: dict[str, Any], measured: MeasuredInstance | None) -> _Rate | None:
    if measured:
        return _Rate(measured.rate, f"measured on {measured.on}")
    if scaling["metric"] == INVOCATIONS and scaling["min_instances"] < scaling["max_instances"]:  # there is a policy
        implied = scaling["target"] / 60 / SAFETY
        return _Rate(implied, f"implied by endpoint.scaling.target = {scaling['target']:g} / 60 / {SAFETY}")
    return None


def _limit(predictor: dict[str, Any]) -> float:
    """Seconds for which the function waits for the endpoint."""
    return (predictor["timeout_seconds"] or 30) - ANSWER_SECONDS  # the default is that of terraform/serving.tf


def _concurrency(scaling: dict[str, Any], predictor: dict[str, Any], rate: _Rate) -> Iterator[Contradiction]:
    calls, most, limit = predictor["reserved"], scaling["max_instances"], _limit(predictor)
    if calls is None:
        return
    held = most * LINE
    last = calls / rate.value / most
    if last > limit:
        served = int(limit * rate.value * most)
        yield Contradiction(
            "concurrency",
            f"predictor.reserved = {calls}: {calls} calls at a time x {rate.call} / {_fleet(most)} = {last:.0f} s "
            f"for the last answer, and the function gives up after {limit:g} s",
            f"set predictor.reserved to at most {max(1, served)}, or endpoint.scaling.max_instances to at least "
            f"{_up(calls / rate.value / limit)}",
        )
    elif calls > held:
        yield Contradiction(
            "concurrency",
            f"predictor.reserved = {calls}: {_fleet(most)} x {LINE} images that each lets wait = {held}, and they "
            f"refuse the other {calls - held} calls",
            f"set predictor.reserved to at most {held}, or endpoint.scaling.max_instances to at least "
            f"{_up(calls / LINE)}",
        )


def _timeouts(scaling: dict[str, Any], predictor: dict[str, Any], rate: _Rate) -> Iterator[Contradiction]:
    """The smallest fleet has to answer until the policy has started more instances, which takes minutes."""
    limit, least = _limit(predictor), scaling["min_instances"]
    waiting = LINE if predictor["reserved"] is None else min(LINE, _up(predictor["reserved"] / least))
    last = waiting / rate.value
    if last > limit:
        yield Contradiction(
            "timeouts",
            f"predictor.timeout_seconds: the function gives up after {limit:g} s, and an instance of the smallest "
            f"fleet ({least}) may have {waiting} calls waiting x {rate.call} = {last:.0f} s. It would compute answers "
            "that nobody receives",
            f"set predictor.timeout_seconds to at least {_up(last + ANSWER_SECONDS)} (70 at most), "
            f"predictor.reserved to at most {max(1, int(limit * rate.value)) * least}, or a faster "
            "endpoint.instance_type",
        )


def _target(scaling: dict[str, Any], measured: MeasuredInstance | None) -> Iterator[Contradiction]:
    if measured and scaling["metric"] == INVOCATIONS and scaling["target"] > measured.rate * 60:
        advised = max(1, int(measured.rate * 60 * SAFETY))
        yield Contradiction(
            "scaling-target",
            f"endpoint.scaling.target = {scaling['target']:g} a minute: one instance answered {measured.rate:.1f} a "
            f"second x 60 = {measured.rate * 60:.0f} a minute in the load test of {measured.on}, so it is overloaded "
            "before the policy adds another",
            f"set endpoint.scaling.target to {advised}, which is half of it, as AWS advises",
        )


def _policy(
    scaling: dict[str, Any], predictor: dict[str, Any], measured: MeasuredInstance | None
) -> Iterator[Contradiction]:
    """A policy that never adds an instance, whatever the function sends."""
    target, least, calls = scaling["target"], scaling["min_instances"], predictor["reserved"]
    if scaling["metric"] != INVOCATIONS:
        waiting = LINE if calls is None else min(LINE, calls / least)
        why = f"{LINE} wait in an instance at most" if waiting == LINE else f"{calls} calls / {_fleet(least)}"
        if target >= waiting:
            yield Contradiction(
                "scaling-policy",
                f"endpoint.scaling.target = {target:g} requests at a time: {why} = {waiting:g}, so the policy never "
                "adds an instance",
                f"set endpoint.scaling.target below {waiting:g}",
            )
    elif measured and measured.call and calls is not None:
        most = calls / measured.call * 60 / least
        if target >= most:
            yield Contradiction(
                "scaling-policy",
                f"endpoint.scaling.target = {target:g} a minute: {calls} calls at a time / {measured.call:.2g} s a "
                f"call (measured on {measured.on}) x 60 / {_fleet(least)} = {most:.0f} a minute at most, so the policy "
                "never adds an instance",
                f"set endpoint.scaling.target below {most:.0f}, or a larger predictor.reserved",
            )
    for name in ("scale_in_cooldown", "scale_out_cooldown"):
        yield from _cooldown(f"endpoint.scaling.{name}", scaling[name])


def _cooldown(setting: str, seconds: float) -> Iterator[Contradiction]:
    if seconds > DAY:
        yield Contradiction(
            "scaling-policy",
            f"{setting} = {seconds:g} s: {seconds:g} / {DAY} = {seconds / DAY:.1f} days between two steps, so the "
            "policy cannot follow the load of a day",
            f"set {setting} to minutes; 300 is the default",
        )


def _rollback_alarm(deployment: dict[str, Any]) -> Iterator[Contradiction]:
    bake = deployment["bake_seconds"]
    if bake < ALARM_PERIODS * ALARM_PERIOD:
        yield Contradiction(
            "rollback-alarm",
            f"endpoint.deployment.bake_seconds = {bake:g}: the alarms that roll an update back need {ALARM_PERIODS} "
            f"whole periods of {ALARM_PERIOD} s, and the new instances are watched for {bake:g} s, so the alarms may "
            "never see a fault",
            f"set endpoint.deployment.bake_seconds to at least {(ALARM_PERIODS + 1) * ALARM_PERIOD}, one period more",
        )


def _serverless(serverless: dict[str, Any], predictor: dict[str, Any]) -> Iterator[Contradiction]:
    seconds, calls, most = predictor["timeout_seconds"], predictor["reserved"], serverless["max_concurrency"]
    if seconds is not None and seconds - ANSWER_SECONDS < CONTAINER_START:
        yield Contradiction(
            "timeouts",
            f"predictor.timeout_seconds = {seconds:g}: the function gives up after {seconds - ANSWER_SECONDS:g} s, and "
            f"a container of serverless inference may take {CONTAINER_START} s to start",
            "set predictor.timeout_seconds = null, which means 70",
        )
    if calls is not None and calls > most:
        yield Contradiction(
            "concurrency",
            f"predictor.reserved = {calls}, and endpoint.serverless.max_concurrency = {most}: of {calls} calls at a "
            f"time, {calls - most} are answered with 429",
            f"set predictor.reserved = {most}, or a larger max_concurrency",
            fails=False,  # the callers of a smaller predictor.reserved would also get 429
        )


def _warm_environments(predictor: dict[str, Any]) -> Iterator[Contradiction]:
    scaling, least = predictor["scaling"], predictor["provisioned"]
    if not scaling:
        return
    if scaling["max_provisioned"] == least:
        yield Contradiction(
            "scaling-policy",
            f"predictor.scaling.max_provisioned = {least} and predictor.provisioned = {least}: {least} - {least} = 0 "
            "environments that the policy may add",
            "set a larger max_provisioned, or predictor.scaling = null",
        )
    for name in ("scale_in_cooldown", "scale_out_cooldown"):
        yield from _cooldown(f"predictor.scaling.{name}", scaling[name])


def _fleet(count: int) -> str:
    return f"{count} instance{'s' * (count != 1)}"


def _up(number: float) -> int:
    return max(1, -int(-number // 1))
