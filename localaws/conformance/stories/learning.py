"""The stories of SageMaker: the smallest training job, tuning job, endpoint and notebook instance, each a process."""

import io
import tarfile
from typing import Any

from localaws.conformance.checks import Checks

BUCKET = "conformance-models"
ROLE = "arn:aws:iam::123456789012:role/conformance"
TRAIN = 'print("loss=1.0;")\n'
SERVE = """
def model_fn(folder):
    return "loaded"

def transform_fn(model, body, content_type, accept):
    if body == b"fail":
        raise ValueError("no such breed")
    return "{}", "application/json"
"""
AT_WORK = ("InProgress", "Stopping", "Creating", "Updating", "Pending", "Deleting")
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
IMAGE = {"TrainingImage": "training:1", "TrainingInputMode": "File"}
OUTPUT = {"S3OutputPath": f"s3://{BUCKET}/out"}


def archive(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def put(api: Checks, key: str, body: bytes) -> str:
    api.connection.send("s3", "CreateBucket", {"Bucket": BUCKET})
    api.connection.send("s3", "PutObject", {"Bucket": BUCKET, "Key": key, "Body": body})
    return f"s3://{BUCKET}/{key}"


def sagemaker(api: Checks) -> None:
    program = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": put(api, "code.tar.gz", archive("train.py", TRAIN)),
    }
    api.names = {
        "RoleArn": ROLE,
        "OutputDataConfig": OUTPUT,
    }
    api.refused("CreateTrainingJob", "ValidationException", TrainingJobName="none")  # by a rule, not by the model
    _training(api, program)
    _transform(api)
    _tuning(api, program)
    _notebook(api)
    endpoint(api)


def _settled(api: Checks, operation: str, status: str, **name: str) -> str:
    """The status when the work is over."""

    def over() -> str | None:
        found = api.call(operation, **name)[status]
        return None if found in AT_WORK else found

    return api.until(over, f"{operation} {name}") or ""


def _training(api: Checks, program: dict[str, str]) -> None:
    work = {
        "AlgorithmSpecification": IMAGE,
        "ResourceConfig": RESOURCES,
        "StoppingCondition": {"MaxRuntimeInSeconds": 900},
        "HyperParameters": program,
    }
    job = {"TrainingJobName": "conformance"}
    api.call("CreateTrainingJob", **job, **work)
    api.refused("CreateTrainingJob", "ResourceInUse", **job, **work)
    many = {**work, "ResourceConfig": {**RESOURCES, "InstanceCount": 1000}}
    api.refused("CreateTrainingJob", "ResourceLimitExceeded", TrainingJobName="many", **many)
    _settled(api, "DescribeTrainingJob", "TrainingJobStatus", **job)
    api.call("ListTrainingJobs")
    api.call("ListTrainingJobs", MaxResults=1, StatusEquals="Completed")
    api.call("CreateTrainingJob", TrainingJobName="stopped", **work)
    api.call("StopTrainingJob", TrainingJobName="stopped")
    _settled(api, "DescribeTrainingJob", "TrainingJobStatus", TrainingJobName="stopped")


def _transform(api: Checks) -> None:
    configure(api, "conformance-transform")
    work = {
        "ModelName": "conformance-transform",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": put(api, "in/a.txt", b"a")}},
            "ContentType": "text/plain",
        },
        "TransformOutput": OUTPUT,
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    job = {"TransformJobName": "conformance"}
    api.call("CreateTransformJob", **job, **work)
    api.refused("CreateTransformJob", "ResourceInUse", **job, **work)
    many = {**work, "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 100}}
    api.refused("CreateTransformJob", "ResourceLimitExceeded", TransformJobName="many", **many)
    _settled(api, "DescribeTransformJob", "TransformJobStatus", **job)
    api.call("ListTransformJobs")
    api.call("CreateTransformJob", TransformJobName="stopped", **work)
    api.call("StopTransformJob", TransformJobName="stopped")
    _settled(api, "DescribeTransformJob", "TransformJobStatus", TransformJobName="stopped")


def _tuning(api: Checks, program: dict[str, str]) -> None:
    tuned: dict[str, Any] = {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.1", "MaxValue": "0.2"}],
            },
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {**IMAGE, "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}]},
            "RoleArn": ROLE,
            "OutputDataConfig": OUTPUT,
            "ResourceConfig": RESOURCES,
            "StoppingCondition": {"MaxRuntimeInSeconds": 900},
            "StaticHyperParameters": program,
        },
    }
    job = {"HyperParameterTuningJobName": "conformance"}
    api.call("CreateHyperParameterTuningJob", **job, **tuned)
    api.refused("CreateHyperParameterTuningJob", "ResourceInUse", **job, **tuned)
    _settled(api, "DescribeHyperParameterTuningJob", "HyperParameterTuningJobStatus", **job)
    api.call("ListTrainingJobsForHyperParameterTuningJob", **job)
    api.call("ListHyperParameterTuningJobs")
    other = {"HyperParameterTuningJobName": "stopped"}
    api.call("CreateHyperParameterTuningJob", **other, **tuned)
    api.call("StopHyperParameterTuningJob", **other)
    _settled(api, "DescribeHyperParameterTuningJob", "HyperParameterTuningJobStatus", **other)
    for operation in ("Describe", "Stop", "ListTrainingJobsFor"):
        given = {"HyperParameterTuningJobName": "none"}
        api.refused(f"{operation}HyperParameterTuningJob", "ResourceNotFound", **given)
    limits = {"MaxNumberOfTrainingJobs": 1000, "MaxParallelTrainingJobs": 1000}
    many = {**tuned["HyperParameterTuningJobConfig"], "ResourceLimits": limits}
    given = {"HyperParameterTuningJobName": "many", **tuned, "HyperParameterTuningJobConfig": many}
    api.refused("CreateHyperParameterTuningJob", "ResourceLimitExceeded", **given)


def _notebook(api: Checks) -> None:
    config = {"NotebookInstanceLifecycleConfigName": "conformance"}
    api.call("CreateNotebookInstanceLifecycleConfig", **config)
    api.call("DescribeNotebookInstanceLifecycleConfig", **config)
    api.call("UpdateNotebookInstanceLifecycleConfig", **config, OnStart=[{"Content": "IyEvYmluL3NoCg=="}])
    notebook = {"NotebookInstanceName": "conformance"}
    api.call("CreateNotebookInstance", **notebook, InstanceType="ml.t3.medium")
    _settled(api, "DescribeNotebookInstance", "NotebookInstanceStatus", **notebook)
    api.call("ListNotebookInstances")
    api.call("CreatePresignedNotebookInstanceUrl", **notebook)
    api.call("StopNotebookInstance", **notebook)
    _settled(api, "DescribeNotebookInstance", "NotebookInstanceStatus", **notebook)
    api.call("UpdateNotebookInstance", **notebook, VolumeSizeInGB=6)
    _settled(api, "DescribeNotebookInstance", "NotebookInstanceStatus", **notebook)
    api.call("StartNotebookInstance", **notebook)
    _settled(api, "DescribeNotebookInstance", "NotebookInstanceStatus", **notebook)
    api.call("StopNotebookInstance", **notebook)
    _settled(api, "DescribeNotebookInstance", "NotebookInstanceStatus", **notebook)
    api.call("DeleteNotebookInstance", **notebook)
    api.call("DeleteNotebookInstanceLifecycleConfig", **config)


def configure(api: Checks, name: str, count: int = 1) -> None:
    """A model and an endpoint configuration of this name."""
    container = {"Image": "serving:1", "ModelDataUrl": put(api, "model.tar.gz", archive("code/inference.py", SERVE))}
    model = {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE}
    api.connection.send("sagemaker", "CreateModel", model)
    variant = {"VariantName": "main", "ModelName": name, "InitialInstanceCount": count, "InstanceType": "ml.m5.large"}
    config = {"EndpointConfigName": name, "ProductionVariants": [variant]}
    api.connection.send("sagemaker", "CreateEndpointConfig", config)


def endpoint(api: Checks) -> None:
    configure(api, "conformance")
    configure(api, "too-many", 1000)
    api.names = {"EndpointName": "conformance", "EndpointConfigName": "conformance"}
    api.call("CreateEndpoint")
    _settled(api, "DescribeEndpoint", "EndpointStatus")
    api.call("ListEndpoints")
    weights = [{"VariantName": "main", "DesiredWeight": 2.0}]
    api.call("UpdateEndpointWeightsAndCapacities", DesiredWeightsAndCapacities=weights)
    _settled(api, "DescribeEndpoint", "EndpointStatus")
    many = [{"VariantName": "main", "DesiredInstanceCount": 1000}]
    api.refused("UpdateEndpointWeightsAndCapacities", "ResourceLimitExceeded", DesiredWeightsAndCapacities=many)
    api.refused("CreateEndpoint", "ResourceLimitExceeded", EndpointName="many", EndpointConfigName="too-many")
    api.refused("UpdateEndpoint", "ResourceLimitExceeded", EndpointConfigName="too-many")
    api.call("UpdateEndpoint")
    _settled(api, "DescribeEndpoint", "EndpointStatus")
    api.call("DeleteEndpoint")


NOT_SO = "AWS answers ValidationException: tests/unit/localaws/test_sagemaker_training.py"
SAGEMAKER_NOT_PROVOKED = {
    "CreateTrainingJob ResourceNotFound": "what a job needs and lacks is a ValidationException here",
    "DescribeTrainingJob ResourceNotFound": NOT_SO,
    "StopTrainingJob ResourceNotFound": NOT_SO,
    "CreateTransformJob ResourceNotFound": "a model that does not exist is a ValidationException",
    "DescribeTransformJob ResourceNotFound": "not quoted; the other jobs answer ValidationException",
    "StopTransformJob ResourceNotFound": "not quoted; the other jobs answer ValidationException",
    "CreateNotebookInstance ResourceLimitExceeded": "tests/unit/localaws/test_account_limits.py, with a new account",
    "StartNotebookInstance ResourceLimitExceeded": "tests/unit/localaws/test_account_limits.py, with a new account",
    "UpdateNotebookInstance ResourceLimitExceeded": "tests/unit/localaws/test_account_limits.py, with a new account",
    "CreateNotebookInstanceLifecycleConfig ResourceLimitExceeded": "1,000 configurations",
    "UpdateNotebookInstanceLifecycleConfig ResourceLimitExceeded": "of an update: no request is known",
}


def runtime(api: Checks) -> None:
    """Serve from an endpoint of its own."""
    configure(api, "conformance-runtime")
    named = {"EndpointName": "conformance-runtime", "EndpointConfigName": "conformance-runtime"}
    api.connection.send("sagemaker", "CreateEndpoint", named)
    api.names = {"EndpointName": "conformance-runtime", "Body": b"a"}
    sagemaker_api = Checks("sagemaker", api.connection)
    _settled(sagemaker_api, "DescribeEndpoint", "EndpointStatus", EndpointName="conformance-runtime")
    api.call("InvokeEndpoint", ContentType="text/plain", Accept="application/json")
    api.refused("InvokeEndpoint", "ModelError", Body=b"fail", ContentType="text/plain")
    api.refused("InvokeEndpoint", "ValidationError", EndpointName="conformance-none")
    api.connection.send("sagemaker", "DeleteEndpoint", {"EndpointName": "conformance-runtime"})


RUNTIME_NOT_PROVOKED = {
    "InternalFailure": "the service's own failure: no request provokes it",
    "InternalDependencyException": "the service's own failure: no request provokes it",
    "ServiceUnavailable": "instances that all end: tests/unit/localaws/test_sagemaker_endpoints.py",
    "ModelNotReadyException": "of endpoints with several models, which are refused",
}
