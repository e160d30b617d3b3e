"""One SageMaker endpoint: hosting containers that are updated while clients go on asking (update.py).

An endpoint keeps its own copy of what it serves (its deployment), so that deleting the model or the configuration
leaves it serving, as on AWS. Each change of fleet runs in a thread of its own; the status says what that thread
has done, never what it will.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localaws import state
from localaws.services.sagemaker import limits
from localaws.services.sagemaker.endpoints.container import HostingError, Variant
from localaws.services.sagemaker.endpoints.shift import UpdatePolicy
from localaws.services.sagemaker.endpoints.traffic import Fleet, Traffic
from localaws.services.sagemaker.endpoints.update import EndpointDeployment, Update
from localaws.services.sagemaker.records import Record, now, table_of

INTERRUPTED = "The local AWS was stopped during this change of the endpoint. Make the change again."

log = logging.getLogger(__name__)


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
        self.traffic = Traffic()
        self._update: Update | None = None
        self._scaling_to: tuple[Variant, ...] | None = None
        self._changing = threading.Lock()
        self._abandoned = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in _NOT_KEPT}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._prepare()

    @property
    def fleets(self) -> Mapping[str, Fleet]:
        """The fleets of the deployment in service, by variant."""
        return self.traffic.fleets

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
            described["ProductionVariants"] = self._variants(self.deployment, self.fleets)
            if self.pending:
                described["PendingDeploymentSummary"] = self._pending(self.pending, self._update)
        return described

    def _pending(self, pending: EndpointDeployment, update: Update | None) -> dict[str, Any]:
        """PendingDeploymentSummary; without `update`, its thread has not begun yet."""
        if update is None or update.deployment is not pending:
            return {"EndpointConfigName": pending.config_name}
        stage, since = update.stage
        variants = self._variants(pending, update.fleets)
        for described, variant in zip(variants, pending.variants, strict=True):
            described["VariantStatus"] = [{"Status": stage, "StartTime": since}]
            if not variant.serverless:
                described |= {"DesiredInstanceCount": variant.count, "InstanceType": variant.instance_type}
        return {"EndpointConfigName": pending.config_name, "ProductionVariants": variants, "StartTime": update.began}

    def _variants(self, deployment: EndpointDeployment, fleets: Mapping[str, Fleet]) -> list[dict[str, Any]]:
        described = []
        for variant in deployment.variants:
            fleet = fleets.get(variant.name)
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
            update = self._update = Update(
                self.name, self.region, deployment, UpdatePolicy.of(policy), self.traffic, self._direct, self._abandoned
            )
            try:
                update.run()
            except HostingError as error:
                self._take_back(update, str(error))
            except Exception as error:
                log.exception("deploying %s failed", self.name)
                self._take_back(update, f"InternalFailure: {type(error).__name__}: {error}", drain=False)
            else:
                update.finish()
                self.deployment = deployment
                self._settle(note)

    def _direct(self, traffic: Traffic) -> None:
        self.traffic = traffic

    def _take_back(self, update: Update, failure: str, drain: bool = True) -> None:
        try:
            update.undo(drain)
        except HostingError as error:  # both fleets go on serving, until another update puts an end to that
            self._settle(f"{failure} The rollback failed: {error}", "UpdateRollbackFailed")
        else:
            self._settle(failure)

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
            traffic, self.traffic = self.traffic, Traffic()
            for fleet in traffic.all():
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
        for fleet in self.traffic.all():
            fleet.end(drain=False)

    def _enter(self, status: str) -> None:
        self.status, self.modified = status, now()
        state.touch()

    def _settle(self, failure: str | None, status: str = "InService") -> None:
        """The end of a change. With nothing to fall back to, a failure is final."""
        if self._abandoned.is_set():  # the server stops, or the endpoint is being deleted: no outcome
            return
        if failure is not None:
            log.warning("endpoint %s: %s", self.name, failure)
        self.pending = None if self.deployment else self.pending
        self._scaling_to = None
        self.failure_reason = failure
        self._enter(status if self.fleets else "Failed")


_NOT_KEPT = ("traffic", "_update", "_scaling_to", "_changing", "_abandoned")
