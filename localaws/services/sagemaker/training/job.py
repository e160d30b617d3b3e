"""One training job: inputs fetched, programs run and followed, artifacts uploaded, each status as it happens."""

import contextlib
import logging
import math
import os
import re
import shutil
import signal
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from localaws import images, logs, machines, state
from localaws.context import context
from localaws.images import ImageError
from localaws.ports import free_port
from localaws.services.cloudwatch.metrics import store
from localaws.services.iam import service_roles
from localaws.services.iam.service_roles import CannotAssume, ServiceDenied, ServiceRole
from localaws.services.sagemaker.jobs import MAX_REASON_CHARS, Job
from localaws.services.sagemaker.records import now
from localaws.services.sagemaker.training import container, entry_point, failure, requirements, staging
from localaws.services.sagemaker.training.container import ContractError, Host
from localaws.services.sagemaker.training.staging import JobFailed
from localaws.supervisor import Child

LOG_GROUP = NAMESPACE = "/aws/sagemaker/TrainingJobs"  # of the logs, and of the metrics that are found in them
STOP_SECONDS = 120  # between SIGTERM and SIGKILL: what a program has to save its work
DEFAULT_MAX_RUNTIME = 86_400
POLL_SECONDS = 0.1
MEMORY_INTERVAL_SECONDS = 1.0
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Interrupted": "The job stopped because the managed spot training instances were interrupted",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds",
    "Failed": "Training job failed",
}
# The last secondary statuses, with the job status that goes with each.
OUTCOMES = {"Completed": "Completed", "Stopped": "Stopped", "MaxRuntimeExceeded": "Stopped", "Failed": "Failed"}

log = logging.getLogger(__name__)


class TrainingJob(Job):
    """A training job's record, and the thread that runs it."""

    INTERRUPTED = (
        "InternalServerError: the local AWS was stopped while the job was running. Start it again as a new job. "
        "What it had brought to S3 is still there."
    )
    LIVING = (*Job.LIVING, "_capacity_taken", "_ran", "_commands")

    def __init__(self, name: str, region: str, request: dict[str, Any]):
        super().__init__("training-job", name, region, request)
        self.status = "InProgress"
        self.secondary_status = "Starting"
        self.failure_reason: str | None = None
        self.transitions: list[dict[str, Any]] = []
        self.metrics: dict[str, tuple[float, datetime]] = {}
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.artifacts: str | None = None
        self._prepare()
        self._enter("Starting")

    def _prepare(self) -> None:
        super()._prepare()
        self._capacity_taken = threading.Event()
        self._ran = 0.0  # seconds, in earlier attempts
        self._commands: dict[Host, list[str]] = {}

    def describe(self) -> dict[str, Any]:
        seconds = math.ceil((self.ended - self.started).total_seconds()) if self.started and self.ended else None
        metrics = [
            {"MetricName": name, "Value": value, "Timestamp": when}
            for name, (value, when) in list(self.metrics.items())
        ]
        described = {
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": False,
            "EnableManagedSpotTraining": False,
            **self.request,
            # The SDK v2 reads this key. AWS gives it as an empty text (DescribeTrainingJob in its CLI's examples).
            "OutputDataConfig": {"KmsKeyId": "", **self.request["OutputDataConfig"]},
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary_status,
            "SecondaryStatusTransitions": self.transitions,
            "FailureReason": self.failure_reason,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TrainingStartTime": self.started,
            "TrainingEndTime": self.ended,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
            "FinalMetricDataList": metrics or None,
        }
        if self.artifacts:
            described["ModelArtifacts"] = {"S3ModelArtifacts": self.artifacts}
        return described

    # --- told from outside ---

    def stop(self) -> None:
        """StopTrainingJob: the programs get SIGTERM, and SIGKILL two minutes later."""
        self.status = "Stopping"
        self._enter("Stopping")
        self._stop_asked.set()

    @property
    def runs_on_spot(self) -> bool:
        """Whether the job's program runs on spot instances."""
        return bool(self.request.get("EnableManagedSpotTraining")) and self.secondary_status == "Training"

    def take_capacity(self) -> None:
        """The spot instances are taken back: the programs get SIGTERM, and the job starts again on other ones."""
        self._capacity_taken.set()

    def fail_after_restart(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        super().fail_after_restart()

    # --- the run ---

    @property
    def role(self) -> ServiceRole:
        """What the job and its containers act for."""
        return ServiceRole(self.request["RoleArn"], service_roles.SAGEMAKER, "SageMaker", self.region)

    @property
    def folder(self) -> Path:
        return context().home / "training" / self.region / self.name

    def _run(self) -> None:
        reason = None
        try:
            outcome = self._train()
        except JobFailed as failed:
            outcome, reason = "Failed", str(failed)
        except CannotAssume as error:  # the role was changed after the job was taken
            outcome, reason = "Failed", f"ClientError: SageMaker was unable to assume the role '{error}'"
        except Exception as error:
            log.exception("training job %s failed within the local AWS", self.name)
            outcome, reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
        if not self._suspended.is_set():
            shutil.rmtree(self.folder, ignore_errors=True)
            self._finish(outcome, reason)

    def _train(self) -> str:
        """The job from its inputs to its artifacts; gives its last secondary status. Raises JobFailed."""
        resources = self.request["ResourceConfig"]
        names = tuple(f"algo-{number + 1}" for number in range(resources.get("InstanceCount", 1)))
        kind = resources.get("InstanceType", "local")
        hosts = [Host(self.name, self.folder / name / "ml", name, names, kind) for name in names]

        self.started = now()
        self.role.require_trust(self.arn)
        self._pull_image()
        exceeded = self._attempt(hosts)
        while self._capacity_taken.is_set() and not self._stop_asked.is_set():
            self._enter("Interrupted")
            shutil.rmtree(self.folder, ignore_errors=True)  # the disks go with the instances
            self._capacity_taken.clear()
            self._enter("Starting")
            exceeded = self._attempt(hosts)
        if not self._suspended.is_set():
            self._enter("Uploading")
            output = self.request["OutputDataConfig"]["S3OutputPath"]
            self.artifacts = staging.upload_artifacts(self.name, hosts, self.folder, self.role, output)
        if exceeded:
            return "MaxRuntimeExceeded"
        return "Stopped" if self._stop_asked.is_set() else "Completed"

    def _attempt(self, hosts: list[Host]) -> bool:
        """Bring the inputs and the checkpoints to the hosts and run the program; True where the time was up.

        Raises JobFailed.
        """
        self._enter_unless_stopping("Downloading")
        channels = self.request.get("InputDataConfig") or []
        for host in hosts:
            mode = self.request["AlgorithmSpecification"]["TrainingInputMode"]
            configs = {channel["ChannelName"]: staging.channel_config(channel, mode) for channel in channels}
            host.prepare(self.request.get("HyperParameters") or {}, configs)
            staging.fetch(host, self.request, self.role, self._stop_asked)
        self._enter_unless_stopping("Training")
        return not self._stop_asked.is_set() and self._run_programs(hosts)

    def _pull_image(self) -> None:
        """Raise JobFailed unless the role may pull the job's image from its registry.

        Records that an instance writes its metrics with the role; without that permission AWS has none of them.
        """
        self.role.decide("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": LOG_GROUP})
        image = self.request["AlgorithmSpecification"].get("TrainingImage") or ""
        try:
            self.role.require(service_roles.permissions_to_pull(image))
        except ServiceDenied as error:
            raise JobFailed(f"ClientError: The image {image} cannot be pulled: {error}") from error

    def _run_programs(self, hosts: list[Host]) -> bool:
        """Run the program on every host until all have ended; True where the time was up. Raises JobFailed."""
        port = free_port()
        limit = (self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
        with contextlib.ExitStack() as stack:
            for host in hosts:
                stream = f"{self.name}/{host.name}-{int(now().timestamp())}"
                follower = logs.Follower(host.log, LOG_GROUP, stream, self.region, self._read_metrics, self.role)
                stack.callback(follower.finish)
            children = {host: self._start(host, port) for host in hosts}
            stack.callback(context().supervisor.stop_children, list(children.values()), STOP_SECONDS)
            stack.enter_context(
                staging.synchronised_checkpoints(hosts[0], self.role, self.request.get("CheckpointConfig"))
            )
            began = time.monotonic()
            exceeded = self._watch(children, began + limit - self._ran)
            self._ran += time.monotonic() - began
            return exceeded

    def _watch(self, children: dict[Host, Child], deadline: float) -> bool:
        """Wait until all have ended, one has failed, the job is to stop, or the time is up (True). Raises JobFailed."""
        next_look, killed = 0.0, dict[Host, str]()
        while not self._stop_asked.is_set() and not self._capacity_taken.is_set():
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + MEMORY_INTERVAL_SECONDS
                for host, child in children.items():
                    if words := machines.out_of_memory(child, machines.memory_of(host.instance_type)):
                        container.say(host, words)
                        killed[host] = words
                        child.send(signal.SIGKILL)
            failed = [(host, child) for host, child in children.items() if not child.running and child.returncode]
            if failed:
                # A host that was killed comes first: the others may have failed for want of it.
                host, child = min(failed, key=lambda each: each[1].returncode >= 0)
                command = self._commands.get(host)
                reason = failure.failure_reason(host, child.returncode, command, killed=killed.get(host))
                raise JobFailed(reason[:MAX_REASON_CHARS])
            if not any(child.running for child in children.values()):
                return False
            if time.monotonic() > deadline:
                return True
            self._stop_asked.wait(POLL_SECONDS)
        return False

    def _start(self, host: Host, port: int) -> Child:
        """Start one host's program, after installing what it requires. Raises JobFailed."""
        algorithm = self.request["AlgorithmSpecification"]
        given = self.request.get("Environment") or {}
        own_entry = entry_point.entry_point(algorithm)
        try:
            chosen = images.environment(algorithm.get("TrainingImage") or "")
            argv = own_entry or container.command(host, chosen.python, port, given)
        except (ContractError, ImageError) as error:
            raise JobFailed(f"AlgorithmError: {error}") from error
        container.say(host, f"This container runs with {chosen.description}.")
        own = {
            "TRAINING_JOB_NAME": self.name,
            "TRAINING_JOB_ARN": self.arn,
            **({"OMP_NUM_THREADS": str(container.processors(host))} if len(host.names) > 1 else {}),
        }
        network = dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), container.loopback_interface())
        if own_entry:
            environment = context().child_environment(self.region, chosen.python, **network | own | given)
            environment["PATH"] = f"{entry_point.programs(host, chosen.python)}{os.pathsep}{environment['PATH']}"
            container.say(host, f"Starting the entry point:\n\n{' '.join(argv)}\n")
            return self._spawn(host, entry_point.command(host, argv, chosen.python), environment)
        self._install(host, chosen.python, given)
        # What the image's entry point sets for PyTorch, whatever the job's own variables are.
        torch = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **network}
        environment = context().child_environment(
            self.region,
            chosen.python,
            service_roles.credentials_address(lambda: self.role),
            **own | container.variables(host, given, self.region) | torch,
        )
        self._commands[host] = argv
        container.say(host, f"{host.INVOKING}\n\n{' '.join(argv)}\n")
        return self._spawn(host, container.on_loopback(argv, chosen.python), environment)

    def _install(self, host: Host, python: str, given: dict[str, str]) -> None:
        """Install requirements.txt, and the source directory if it is a package, into the host's own folder.

        Raises JobFailed.
        """
        missing = requirements.unsatisfied(host.code, python)
        package = container.is_package(host, str(container.program_of(host, given)))
        if not missing and not package:
            return
        what = "the module" if package else "dependencies from requirements.txt"
        command = requirements.install_command(python, host.packages, package, bool(missing))
        container.say(host, f"Installing {what}" + (f": {', '.join(missing)}" if missing else ""))
        credentials = service_roles.credentials_address(lambda: self.role)
        environment = context().child_environment(self.region, python, credentials, **requirements.index_settings())
        child = self._spawn(host, command, environment)
        while child.running and not self._stop_asked.wait(POLL_SECONDS):
            pass
        context().supervisor.stop(child)
        if child.returncode and not self._stop_asked.is_set():
            error = "InstallModuleError" if package else "InstallRequirementsError"
            raise JobFailed(failure.failure_reason(host, child.returncode, command, error)[:MAX_REASON_CHARS])

    def _spawn(self, host: Host, argv: list[str], environment: dict[str, str]) -> Child:
        owner = f"training job {self.name}/{host.name}"
        return context().supervisor.spawn(owner, argv, env=environment, cwd=host.code, log=host.log)

    def _read_metrics(self, lines: list[str]) -> None:
        """Keep the last value of every metric that the job's definitions find in its log."""
        definitions = self.request["AlgorithmSpecification"].get("MetricDefinitions") or []
        for line in lines:
            for definition in definitions:
                if match := re.search(definition["Regex"], line):
                    with contextlib.suppress(ValueError, IndexError):  # no number, or no group to hold one
                        self._keep_metric(definition["Name"], float(match.group(1)))

    def _keep_metric(self, name: str, value: float) -> None:
        self.metrics[name] = (value, now())
        if math.isfinite(value):  # CloudWatch takes no others
            store.record(self.region, NAMESPACE, [(("TrainingJobName", self.name),)], {name: value}, {})

    # --- the status ---

    def _enter_unless_stopping(self, secondary: str) -> None:
        if not self._stop_asked.is_set():
            self._enter(secondary)

    def _enter(self, secondary: str) -> None:
        when = now()
        if self.transitions:
            self.transitions[-1].setdefault("EndTime", when)
        self.transitions.append({"Status": secondary, "StartTime": when, "StatusMessage": MESSAGES[secondary]})
        self.secondary_status, self.modified = secondary, when
        state.touch()

    def _finish(self, outcome: str, reason: str | None) -> None:
        """The end, in this order: a client that sees a final status sees everything that belongs to it."""
        self.failure_reason = reason
        self.ended = now()
        self._enter(outcome)
        self.transitions[-1].update(EndTime=self.ended, StatusMessage=reason or MESSAGES[outcome])
        self.status = OUTCOMES[outcome]
        state.touch()
