"""SageMaker's operations on training jobs, with the checks that AWS makes before it takes one."""

import re
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from localaws.services.sagemaker import limits
from localaws.services.sagemaker.jobs import UNFINISHED
from localaws.services.sagemaker.records import InUse, InvalidRequest, NotFound, Operations, arn_of, require_role
from localaws.services.sagemaker.training.container import unsupported_launcher
from localaws.services.sagemaker.training.job import TrainingJob
from localaws.services.sagemaker.training.staging import SUPPORTED, unsupported_in

_NO_ENTRYPOINT = (
    "The local AWS does not have the entry point of an image, so it does not run ContainerArguments alone: give a "
    "ContainerEntrypoint too, or use script mode: the hyperparameters sagemaker_program and sagemaker_submit_directory."
)
_LAUNCHER = (
    "The local AWS does not start the program as {} says. It runs torchrun: set sagemaker_torch_distributed_enabled "
    'instead, in the SageMaker Python SDK distribution={{"torch_distributed": {{"enabled": True}}}}.'
)


class TrainingOperations(Operations):
    def create_training_job(self) -> ActionResult:
        request = self.request
        name = request["TrainingJobName"]
        check(request)
        require_role(request["RoleArn"], self.region, arn_of("training-job", name, self.region))
        if name in self.table("training-job"):
            raise InUse(
                f"Training job names must be unique within an AWS account and region, and a training job "
                f"with this name already exists ({self.table('training-job')[name].arn})"
            )
        limits.require_training(self.region, request)
        job = self.table("training-job")[name] = TrainingJob(name, self.region, request)
        job.start()
        return ActionResult({"TrainingJobArn": job.arn})

    def describe_training_job(self) -> ActionResult:
        name = self.request["TrainingJobName"]
        return ActionResult(self.find("training-job", name, "Requested resource not found.").describe())

    def stop_training_job(self) -> ActionResult:
        name = self.request["TrainingJobName"]
        job = self.table("training-job").get(name)
        if job is None:
            raise NotFound(f"Could not find training job {arn_of('training-job', name, self.region)}.")
        if job.status not in UNFINISHED:
            raise InvalidRequest(f"The request was rejected because the training job is in status {job.status}.")
        if job.status != "Stopping":
            job.stop()
        return EmptyResult()

    def list_training_jobs(self) -> ActionResult:
        def summary(job: TrainingJob) -> dict[str, Any]:
            return {
                "TrainingJobName": job.name,
                "TrainingJobArn": job.arn,
                "CreationTime": job.created,
                "TrainingEndTime": job.ended,
                "LastModifiedTime": job.modified,
                "TrainingJobStatus": job.status,
                "SecondaryStatus": job.secondary_status,
            }

        return ActionResult(self.page(self.table("training-job").values(), "TrainingJobSummaries", summary))


def check(request: dict[str, Any]) -> None:
    """Raise ValidationException for a request that cannot be run here. Its members keep to the model already."""
    if request.get("ServerlessJobConfig"):
        raise InvalidRequest(
            "The local AWS has no serverless training jobs: set ResourceConfig, not ServerlessJobConfig."
        )
    # The model requires none of these, because a serverless job has none.
    for name in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if name not in request:
            raise InvalidRequest(f"{name} is required for a training job that is not serverless.")
    algorithm = request["AlgorithmSpecification"]
    if algorithm.get("AlgorithmName"):
        raise InvalidRequest("The local AWS has no algorithms of AWS: give a TrainingImage instead of AlgorithmName.")
    if algorithm.get("ContainerArguments") and not algorithm.get("ContainerEntrypoint"):
        raise InvalidRequest(_NO_ENTRYPOINT)
    if name := unsupported_launcher(request.get("HyperParameters") or {}):
        raise InvalidRequest(_LAUNCHER.format(name))
    if algorithm["TrainingInputMode"] == "Pipe":
        raise InvalidRequest(f"The input mode of the job is Pipe. {SUPPORTED}")
    if request["ResourceConfig"].get("InstanceGroups"):
        raise InvalidRequest("The local AWS has no heterogeneous clusters: set InstanceType and InstanceCount.")
    for channel in request.get("InputDataConfig") or []:
        if reason := unsupported_in(channel):
            raise InvalidRequest(reason)
    for definition in algorithm.get("MetricDefinitions") or []:
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise InvalidRequest(f"The regex of the metric {definition['Name']} is none: {error}.") from error
