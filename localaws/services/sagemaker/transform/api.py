"""SageMaker's operations on transform jobs, with the checks that AWS makes before it takes one."""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from localaws.services.sagemaker import limits
from localaws.services.sagemaker.endpoints.container import Variant
from localaws.services.sagemaker.jobs import UNFINISHED
from localaws.services.sagemaker.metadata import NO_MODEL, containers_of
from localaws.services.sagemaker.records import InUse, InvalidRequest, NotRunHere, Operations, arn_of, require_role
from localaws.services.sagemaker.transform import inputs
from localaws.services.sagemaker.transform.data_log import LOG_GROUP
from localaws.services.sagemaker.transform.job import TransformJob
from localaws.services.sagemaker.transform.payloads import MOST_PAYLOAD_MB

# AWS has these, and a job with one of them would be run otherwise than it says, here.
NOT_DONE = ("DataCaptureConfig", "ExperimentConfig")


class TransformOperations(Operations):
    def create_transform_job(self) -> ActionResult:
        request = self.request
        name, jobs = request["TransformJobName"], self.table("transform-job")
        check(request)
        model = self.find("model", request["ModelName"], NO_MODEL).request
        role = model.get("ExecutionRoleArn") or ""
        require_role(role, self.region, arn_of("transform-job", name, self.region))
        if name in jobs:
            raise InUse(
                f"Job name must be unique within an AWS account and region, and a job with this name already exists "
                f"({jobs[name].arn})"
            )
        limits.require_transform(self.region, request)
        variant = _variant(name, model, role, request["TransformResources"])
        try:
            inputs.objects_of(request["TransformInput"]["DataSource"]["S3DataSource"], variant.role(self.region))
        except inputs.NoInput as error:
            raise InvalidRequest(str(error)) from None
        job = jobs[name] = TransformJob(name, self.region, request, variant)
        job.start()
        return ActionResult({"TransformJobArn": job.arn})

    def describe_transform_job(self) -> ActionResult:
        return ActionResult(self._job().describe())

    def stop_transform_job(self) -> ActionResult:
        job = self._job()
        if job.status not in UNFINISHED:
            raise InvalidRequest(f"The request was rejected because the transform job is in status {job.status}")
        if job.status != "Stopping":
            job.stop()
        return EmptyResult()

    def list_transform_jobs(self) -> ActionResult:
        def summary(job: TransformJob) -> dict[str, Any]:
            return {
                "TransformJobName": job.name,
                "TransformJobArn": job.arn,
                "CreationTime": job.created,
                "TransformEndTime": job.ended,
                "LastModifiedTime": job.modified,
                "TransformJobStatus": job.status,
                "FailureReason": job.failure_reason,
            }

        return ActionResult(self.page(self.table("transform-job").values(), "TransformJobSummaries", summary))

    def _job(self) -> TransformJob:
        name = self.request["TransformJobName"]
        return self.find("transform-job", name, f"Could not find requested job with name: {name}")


def _variant(name: str, model: dict[str, Any], role: str, resources: dict[str, Any]) -> Variant:
    """The containers of a job: those of the model, as many as the job asks for."""
    container = containers_of(model)[0]
    return Variant(
        name=name,
        image=container.get("Image", ""),
        model_data_url=container["ModelDataUrl"],
        environment=container.get("Environment") or {},
        isolated=bool(model.get("EnableNetworkIsolation")),
        count=resources["InstanceCount"],
        weight=1.0,
        instance_type=resources["InstanceType"],
        role_arn=role,
        metrics=LOG_GROUP,  # the namespace has the name of the log group
    )


def check(request: dict[str, Any]) -> None:
    """Raise an error for a request that AWS refuses, or that cannot be run here. Its members keep to the model already.

    Source of the rules: the API reference of CreateTransformJob. Its words for them are not quoted anywhere.
    """
    concurrent, payload = request.get("MaxConcurrentTransforms") or 0, request.get("MaxPayloadInMB")
    if (payload or 0) > MOST_PAYLOAD_MB:
        raise InvalidRequest(f"MaxPayloadInMB is {payload}. It cannot be greater than {MOST_PAYLOAD_MB}.")
    if concurrent * (payload or 0) > MOST_PAYLOAD_MB:
        raise InvalidRequest(
            f"MaxConcurrentTransforms * MaxPayloadInMB is {concurrent * (payload or 0)}. It cannot exceed "
            f"{MOST_PAYLOAD_MB} MB."
        )
    source = request["TransformInput"]
    kind, split = source["DataSource"]["S3DataSource"]["S3DataType"], source.get("SplitType") or "None"
    if kind not in ("S3Prefix", "ManifestFile"):
        raise InvalidRequest(f"S3DataType {kind} is not compatible with transform jobs: use S3Prefix or ManifestFile.")
    _check_run_here(request, payload, split)


def _check_run_here(request: dict[str, Any], payload: int | None, split: str) -> None:
    """Raise NotRunHere for what the local AWS does not do."""
    processing = request.get("DataProcessing") or {}
    filters = [processing.get(name, "$") for name in ("InputFilter", "OutputFilter")]
    if filters != ["$", "$"] or processing.get("JoinSource", "None") != "None":
        raise NotRunHere("The local AWS does not filter or join the data of transform jobs: leave out DataProcessing.")
    if payload == 0:
        raise NotRunHere("The local AWS does not send chunked requests: set MaxPayloadInMB to 1 or more.")
    if split not in ("None", "Line"):
        raise NotRunHere(f"The local AWS does not split {split} files: set SplitType to None or Line.")
    if request["TransformInput"].get("CompressionType", "None") != "None":
        raise NotRunHere("The local AWS does not decompress the input of transform jobs: set CompressionType to None.")
    for name in NOT_DONE:
        if request.get(name):
            raise NotRunHere(f"The local AWS does not support {name} of transform jobs.")
