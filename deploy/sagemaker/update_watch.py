"""What an update of the endpoint is doing, and why SageMaker rolled it back.

SageMaker may leave FailureReason empty after a rollback (terraform-provider-aws #49020), and an alarm is off again a
minute later. So the update is watched while Terraform waits for it: its stage, and which of its alarms went on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy import console
from deploy.console import Failure
from deploy.deployment import INSTANCES, Deployment

QUIET_SECONDS = 180  # a changed alarm has its new state after a minute, if CloudWatch's values are not late
STAGES = {
    "Creating": "The new instances start.",
    "ActivatingTraffic": "More of the requests go to the new instances.",
    "Baking": "The alarms watch the new instances.",
}


class UpdateWatch:
    """Watches the endpoint in a thread, from `with` to its end, if there is a fleet to update.

    `config` is the configuration of the update, and `alarms` are those that were on, with CloudWatch's reasons.
    """

    def __init__(self, deployment: Deployment):
        self.began = datetime.now(UTC)
        self.config: str | None = None
        self.alarms: dict[str, str] = {}
        self._watches = deployment.endpoint_kind == INSTANCES
        self._poll_seconds = deployment.env.poll_seconds(10)
        if self._watches:
            self._name = deployment.endpoint_name
            self._sagemaker, self._cloudwatch = deployment.client("sagemaker"), deployment.client("cloudwatch")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> UpdateWatch:
        if self._watches:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._watches:
            self._thread.join()
        if self.config and not self.alarms:  # a rollback may be over between two looks; its alarm is on for longer
            with contextlib.suppress(ClientError, BotoCoreError):
                self.alarms = self._ringing(self._live())

    def _run(self) -> None:
        stage = None
        while not self._over.wait(self._poll_seconds):
            # What happens to the update does not depend on whether it is watched.
            with contextlib.suppress(ClientError, BotoCoreError):
                live = self._live()
                if pending := live.get("PendingDeploymentSummary"):
                    self.config = pending["EndpointConfigName"]
                    self.alarms |= self._ringing(live)
                    before, stage = stage, _stage(pending)
                    if stage != before and stage in STAGES:
                        console.step(STAGES[stage])

    def explanation(self) -> str:
        """What the new fleet answered and which alarm ended its update; "" if the update was not seen."""
        if not self.config:
            return ""
        lines = [f"The alarm {name} rolled it back. {reason}" for name, reason in self.alarms.items()]
        try:
            variant = {"EndpointName": self._name, "VariantName": self._live()["ProductionVariants"][0]["VariantName"]}
            new_fleet = variant | {"EndpointConfigName": self.config}
            lines.append(
                f"Since the promotion began, the endpoint had {self._total('Invocations', variant):.0f} requests. The "
                f"new fleet had {self._total('Invocations', new_fleet):.0f} of them, and answered "
                f"{self._total('Invocation5XXErrors', new_fleet):.0f} of these with a server error."
            )
        except (ClientError, BotoCoreError, LookupError):
            pass  # the reason alone is worth saying
        return "\n".join(lines)

    def require_quiet(self, renew: Callable[[], int]) -> None:
        """If a rollback alarm is on, call `renew` to let it watch the new release, and wait until it is off.

        It may be on because the live release fails, and must not stop the update that repairs it. Raises Failure if it
        stays on.
        """
        if not self._watches or not (alarms := self._ringing(self._live())):
            return
        console.step(f"The alarm {' and '.join(alarms)} is on. Waiting until it is off for the new release")
        if renew():
            raise Failure("Terraform could not change the alarms of the endpoint.")
        deadline = time.monotonic() + QUIET_SECONDS
        while alarms := self._ringing(self._live()):
            if time.monotonic() > deadline:
                name, reason = next(iter(alarms.items()))
                raise Failure(f"The alarm {name} stays on and would roll the update back. {reason}")
            time.sleep(self._poll_seconds)

    def _live(self) -> dict[str, Any]:
        return self._sagemaker.describe_endpoint(EndpointName=self._name)

    def _ringing(self, live: dict[str, Any]) -> dict[str, str]:
        """The endpoint's rollback alarms that are on, with CloudWatch's reasons."""
        rollback = (live.get("LastDeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
        names = [alarm["AlarmName"] for alarm in rollback.get("Alarms") or []]
        alarms = self._cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
        return {each["AlarmName"]: each.get("StateReason", "") for each in alarms if each["StateValue"] == "ALARM"}

    def _total(self, metric: str, dimensions: dict[str, str]) -> float:
        """The sum of a metric since the watch began."""
        points = self._cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=self.began,
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)


def _stage(pending: dict[str, Any]) -> str | None:
    """The VariantStatus of the new fleet."""
    variants = pending.get("ProductionVariants") or [{}]
    return (variants[0].get("VariantStatus") or [{}])[0].get("Status")
