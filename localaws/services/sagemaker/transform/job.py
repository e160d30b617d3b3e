"""One transform job: containers started, every object sent to them, the answers uploaded, each status as it happens."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

from localaws import state
from localaws.context import context
from localaws.services.iam.service_roles import CannotAssume, ServiceDenied, ServiceRole
from localaws.services.sagemaker.endpoints.container import HostingError, LogPlace, Variant
from localaws.services.sagemaker.endpoints.fleet import InstanceFleet
from localaws.services.sagemaker.jobs import MAX_REASON_CHARS, Job
from localaws.services.sagemaker.records import now
from localaws.services.sagemaker.transform import inputs, payloads
from localaws.services.sagemaker.transform.data_log import LOG_GROUP, DataLog
from localaws.services.sagemaker.transform.work import Work, advised

log = logging.getLogger(__name__)


class TransformJob(Job):
    """A transform job's record, and the thread that runs it."""

    INTERRUPTED = (
        "InternalServerError: the local AWS was stopped while the job was running. Start it again as a new job. "
        "The outputs that it had written are still there."
    )

    def __init__(self, name: str, region: str, request: dict[str, Any], variant: Variant):
        super().__init__("transform-job", name, region, request)
        given = {**payloads.variables(request), **variant.environment, **(request.get("Environment") or {})}
        self.variant = replace(variant, environment=given)  # the model may be deleted meanwhile
        self.status = "InProgress"
        self.failure_reason: str | None = None
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self._prepare()

    def describe(self) -> dict[str, Any]:
        request = self.request
        return {
            "DataProcessing": {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"},
            **request,
            "TransformInput": {"CompressionType": "None", "SplitType": "None", **request["TransformInput"]},
            "TransformOutput": {"AssembleWith": "None", "KmsKeyId": "", **request["TransformOutput"]},
            "TransformJobArn": self.arn,
            "TransformJobStatus": self.status,
            "FailureReason": self.failure_reason,
            "CreationTime": self.created,
            "TransformStartTime": self.started,
            "TransformEndTime": self.ended,
        }

    @property
    def role(self) -> ServiceRole:
        """The role of the model, which the job acts for."""
        return self.variant.role(self.region)

    # --- told from outside ---

    def stop(self) -> None:
        """StopTransformJob: no further request is sent, and the containers end."""
        self.status = "Stopping"
        self._stop_asked.set()
        state.touch()

    # --- the run ---

    def _run(self) -> None:
        try:
            reason = self._transform()
            outcome = "Failed" if reason else "Completed"
        except (HostingError, inputs.NoInput, ServiceDenied) as error:
            outcome, reason = "Failed", f"ClientError: {error}"
        except CannotAssume as error:  # the role was changed after the job was taken
            outcome, reason = "Failed", f"ClientError: SageMaker was unable to assume the role '{error}'"
        except Exception as error:
            log.exception("transform job %s failed within the local AWS", self.name)
            outcome, reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
        if self._suspended.is_set():
            return
        if self._stop_asked.is_set():
            outcome, reason = "Stopped", None
        self._finish(outcome, reason)

    def _transform(self) -> str | None:
        """Run the job. Gives the reason if an object failed. Raises HostingError, NoInput, ServiceDenied and
        CannotAssume."""
        self.role.require_trust(self.arn)
        found = inputs.objects_of(self.request["TransformInput"]["DataSource"]["S3DataSource"], self.role)
        place = LogPlace(LOG_GROUP, f"-{int(self.created.timestamp())}", "transform job")
        fleet = InstanceFleet(self.name, self.region, self.variant, state.touch, place=place)
        try:
            fleet.start()
            fleet.wait_healthy(self._stop_asked)
            self.started = now()
            return self._ask_for_all(fleet, found, DataLog(self.name, place.suffix, self.role))
        finally:
            fleet.end(drain=False)

    def _ask_for_all(self, fleet: InstanceFleet, found: list[tuple[str, str, str]], data_log: DataLog) -> str | None:
        with fleet.instance() as instance:
            plan = payloads.plan_of(self.request, advised(instance) if instance else {})
            if instance:
                data_log.say(instance.id, plan.words)
        work = Work(self.request, plan, fleet, self.role.client("s3"), data_log)

        def do(each: tuple[str, str, str]) -> str | None:
            return None if self._stop_asked.is_set() else work.transform(*each)

        with ThreadPoolExecutor(plan.concurrent * self.variant.count) as pool:
            failures = [kind for kind in pool.map(do, found) if kind]
        return f"{max(failures, key=failures.count)}: See job logs for more information" if failures else None

    def _finish(self, outcome: str, reason: str | None) -> None:
        shutil.rmtree(context().home / "endpoints" / self.region / self.name, ignore_errors=True)
        self.failure_reason = reason[:MAX_REASON_CHARS] if reason else None
        self.ended = self.modified = now()
        self.status = outcome
        state.touch()
