"""One SageMaker endpoint: hosting containers that are updated blue/green while clients go on asking.

An endpoint keeps its own copy of what it serves (its deployment), so that deleting the model or the configuration
leaves it serving, as on AWS. Each change of fleet runs in a thread of its own; the status says what that thread
has done, never what it will.
"""

import logging
import random
import threading
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from localaws import clock, state
from localaws.context import ACCOUNT_ID
from localaws.services.iam.service_roles import ServiceDenied
from localaws.services.sagemaker import limits
from localaws.services.sagemaker.endpoints.container import HostingError, Variant
from localaws.services.sagemaker.endpoints.fleet import InstanceFleet
from localaws.services.sagemaker.endpoints.serverless import ServerlessFleet
from localaws.services.sagemaker.records import Record, now, table_of

INTERRUPTED = "The local AWS was stopped during this change of the endpoint. Make the change again."
ALARM_POLL_SECONDS = 0.5

log = logging.getLogger(__name__)

Fleet = InstanceFleet | ServerlessFleet


def fleet_of(endpoint: str, region: str, variant: Variant) -> Fleet:
    """A fleet for a variant: of instances, or of containers that requests start."""
    kind = ServerlessFleet if variant.serverless else InstanceFleet
    return kind(endpoint, region, variant, state.touch)


@dataclass(frozen=True)
class EndpointDeployment:
    """What an endpoint serves: the variants of one configuration, as they were when it was deployed."""

    config_name: str
    variants: tuple[Variant, ...]
    resolved: datetime


class HostedEndpoint(Record):
    """One endpoint. What is pickled is its record and its deployment; its fleets run in this server only."""

    def __init__(self, name: str, region: str, request: dict[str, Any], deployment: EndpointDeployment):
        super().__init__("endpoint", name, region, request)
        self.deployment: EndpointDeployment | None = None
        self.pending: EndpointDeployment | None = deployment
        self.failure_reason: str | None = None
        self.last_policy: dict[str, Any] | None = request.get("DeploymentConfig")
        self._prepare()
        self._enter("Creating")

    def _prepare(self) -> None:
        self.fleets: dict[str, Fleet] = {}
        self._scaling_to: tuple[Variant, ...] | None = None
        self._changing = threading.Lock()
        self._abandoned = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in _NOT_KEPT}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._prepare()

    # --- as it is described ---

    def describe(self) -> dict[str, Any]:
        shown = self.deployment or self.pending
        described = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": shown.config_name,
            "EndpointStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "FailureReason": self.failure_reason,
            "LastDeploymentConfig": self.last_policy,
        }
        if self.deployment:
            described["ProductionVariants"] = self._variants(self.deployment)
            if self.pending:
                described["PendingDeploymentSummary"] = {"EndpointConfigName": self.pending.config_name}
        return described

    def _variants(self, deployment: EndpointDeployment) -> list[dict[str, Any]]:
        described = []
        for variant in deployment.variants:
            fleet = self.fleets.get(variant.name)
            image = {
                "SpecifiedImage": variant.image,
                "ResolvedImage": variant.image,
                "ResolutionTime": deployment.resolved,
            }
            if variant.serverless:
                asked = variant.serverless
                config = {"MemorySizeInMB": asked.memory_mb, "MaxConcurrency": asked.max_concurrency}
                size = {"CurrentServerlessConfig": config, "DesiredServerlessConfig": config}
            else:
                current = fleet.healthy_count if fleet else 0
                size = {"CurrentInstanceCount": current, "DesiredInstanceCount": self.desired_count(variant.name)}
            described.append(
                {
                    "VariantName": variant.name,
                    "DeployedImages": [image],
                    "CurrentWeight": variant.weight,
                    "DesiredWeight": variant.weight,
                    **size,
                }
            )
        return described

    def desired_count(self, variant: str) -> int | None:
        """How many instances a variant was last asked to have; None without such a variant in service, or if it is
        serverless."""
        variants = self._scaling_to or (self.deployment.variants if self.deployment else ())
        return next((each.count for each in variants if each.name == variant and not each.serverless), None)

    def is_changing_to(self, config_name: str) -> bool:
        changing = self.status in ("Creating", "Updating")
        return changing and self.pending is not None and self.pending.config_name == config_name

    # --- serving ---

    def choose(self, target: str | None) -> Fleet | None:
        """The fleet for one request: the variant asked for, or one by weight. None if no variant serves."""
        fleets = dict(self.fleets)
        if target is not None:
            return fleets.get(target)
        weights = [fleet.variant.weight for fleet in fleets.values()]
        return random.choices(list(fleets.values()), weights)[0] if sum(weights) > 0 else None  # noqa: S311

    # --- changing ---

    def deploy(
        self, deployment: EndpointDeployment, status: str, policy: dict[str, Any] | None = None, note: str | None = None
    ) -> None:
        """Bring a deployment into service, in a thread; `status` says meanwhile what goes on.

        `note` is what FailureReason says afterwards, of something that went wrong before.
        """
        self.pending = deployment
        self._enter(status)
        threading.Thread(target=self._deploy, args=(deployment, policy or {}, note), daemon=True).start()

    def _deploy(self, deployment: EndpointDeployment, policy: dict[str, Any], note: str | None) -> None:
        with self._changing:
            if self._abandoned.is_set():  # deleted before this thread began
                return
            fleets = {each.name: fleet_of(self.name, self.region, each) for each in deployment.variants}
            try:
                for fleet in fleets.values():
                    fleet.start()
                for fleet in fleets.values():
                    fleet.wait_healthy(self._abandoned)
                previous, self.fleets = self.fleets, fleets  # the switch: the next request goes to the new fleet
                try:
                    self._bake(policy)
                except HostingError:
                    self.fleets, fleets = previous, self.fleets
                    raise
            except HostingError as error:
                for fleet in fleets.values():
                    fleet.end()
                self._settle(str(error))
                return
            except Exception as error:
                log.exception("deploying %s failed", self.name)
                for fleet in fleets.values():
                    fleet.end(drain=False)
                self._settle(f"InternalFailure: {type(error).__name__}: {error}")
                return
            for fleet in previous.values():
                fleet.end()
            self.deployment = deployment
            self._settle(note)

    def _bake(self, policy: dict[str, Any]) -> None:
        """Keep the old fleet for as long as the policy says: while the new one is watched, and then until it is ended.
        Raises HostingError when one of the policy's alarms goes off."""
        update = policy.get("BlueGreenUpdatePolicy") or {}
        watched = (update.get("TrafficRoutingConfiguration") or {}).get("WaitIntervalInSeconds") or 0
        wait = clock.real(watched + (update.get("TerminationWaitInSeconds") or 0))
        alarms = (policy.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
        names = [alarm["AlarmName"] for alarm in alarms]
        self._require_sight_of(names)
        end = now().timestamp() + wait
        while True:
            known = cloudwatch_backends[ACCOUNT_ID][self.region].alarms
            if ringing := [name for name in names if name in known and known[name].state_value == "ALARM"]:
                raise HostingError(f"Rolled back because of the alarm {', '.join(ringing)}.")
            if now().timestamp() >= end or self._abandoned.wait(ALARM_POLL_SECONDS):
                return

    def _require_sight_of(self, alarms: list[str]) -> None:
        """Raise HostingError unless the models' roles may see the alarms, which SageMaker reads with them."""
        arn = f"arn:aws:cloudwatch:{self.region}:{ACCOUNT_ID}:alarm:"
        for fleet in self.fleets.values():
            try:
                role = fleet.variant.role(self.region)
                role.require(("cloudwatch:DescribeAlarms", arn + name) for name in alarms)
            except ServiceDenied as error:
                raise HostingError(f"The alarms of the deployment cannot be read: {error}") from error

    def scale(self, variants: tuple[Variant, ...]) -> None:
        """Bring the same models to other counts and weights, in a thread. Raises ResourceLimitExceeded."""
        more = limits.of_variants(variants)
        more.subtract(limits.of_variants(self.deployment.variants))
        limits.require_endpoint(self.region, +more)
        self._scaling_to = variants
        self._enter("Updating")
        threading.Thread(target=self._scale, args=(variants,), daemon=True).start()

    def _scale(self, variants: tuple[Variant, ...]) -> None:
        with self._changing:
            if self._abandoned.is_set():  # deleted before this thread began
                return
            before = self.deployment
            try:
                for variant in variants:
                    self.fleets[variant.name].variant = variant
                    self.fleets[variant.name].scale(variant.count)
                for variant in variants:
                    self.fleets[variant.name].wait_healthy(self._abandoned)
            except HostingError as error:
                for variant in before.variants:
                    self.fleets[variant.name].variant = variant
                    self.fleets[variant.name].scale(variant.count)
                self._settle(str(error))
                return
            self.deployment = replace(before, variants=variants)
            self._settle(None)

    def delete(self) -> None:
        """End what runs, in a thread; the endpoint can be described until nothing does."""
        self._enter("Deleting")
        self._abandoned.set()
        threading.Thread(target=self._delete, daemon=True).start()

    def _delete(self) -> None:
        with self._changing:
            fleets, self.fleets = self.fleets, {}
            for fleet in fleets.values():
                fleet.end()
            table_of("endpoint", self.region).pop(self.name, None)
        state.touch()

    # --- across restarts of the server ---

    def resume(self) -> None:
        """Start again what served when the server stopped; what was being changed is as it was before."""
        if self.status == "Deleting":
            table_of("endpoint", self.region).pop(self.name, None)
        elif self.status == "Failed":
            return
        elif self.deployment is None:  # a creation that was interrupted has no earlier state, but it can continue
            self.deploy(self.pending, "Creating")
        else:
            note = INTERRUPTED if self.status == "Updating" else self.failure_reason
            self.deploy(self.deployment, "Creating", note=note)

    def suspend(self) -> None:
        """End what runs and keep the record as it is: the server stops."""
        self._abandoned.set()
        for fleet in list(self.fleets.values()):
            fleet.end(drain=False)

    def _enter(self, status: str) -> None:
        self.status, self.modified = status, now()
        state.touch()

    def _settle(self, failure: str | None) -> None:
        """The end of a change. With nothing to fall back to, a failure is final."""
        if self._abandoned.is_set():  # the server stops, or the endpoint is being deleted: no outcome
            return
        if failure is not None:
            log.warning("endpoint %s: %s", self.name, failure)
        self.pending = None if self.deployment else self.pending
        self._scaling_to = None
        self.failure_reason = failure
        self._enter("InService" if self.fleets else "Failed")


_NOT_KEPT = ("fleets", "_scaling_to", "_changing", "_abandoned")
