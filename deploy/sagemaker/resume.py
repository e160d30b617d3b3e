"""Start an interrupted training job again from its checkpoints: `make train RESUME=<job>`."""

from __future__ import annotations

from deploy import console
from deploy.console import Failure
from deploy.costs import expected
from deploy.deployment import Deployment
from deploy.sagemaker import jobs

# The fields of DescribeTrainingJob that a new job copies, and those that each job has of its own.
REQUEST = (
    "AlgorithmSpecification",
    "HyperParameters",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "CheckpointConfig",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "VpcConfig",
    "Environment",
)
OWN_NAME = "sagemaker_job_name"


def start_again(deployment: Deployment, interrupted: str) -> str:
    """Create a copy of the interrupted training job that uses its checkpoints. Return its name.

    Program, data and settings are those of the interrupted job, because its checkpoints fit no others. Raises Failure
    if the job does not exist, is running, has completed, or has no checkpoints.
    """
    sagemaker = deployment.client("sagemaker")
    job = find(sagemaker, interrupted)
    status = job["TrainingJobStatus"]
    if status in jobs.UNFINISHED:
        raise Failure(f"The training job {interrupted} is still running ({status}), so there is nothing to resume.")
    if status == "Completed":
        raise Failure(f"The training job {interrupted} was completed; there is nothing to resume.")
    if "CheckpointConfig" not in job:
        raise Failure(f"The training job {interrupted} kept no checkpoints: only jobs started with SPOT=1 do.")
    expected.announce(expected.of_training(deployment, None, job["ResourceConfig"]["InstanceCount"]))
    console.step(f"Submitting {interrupted} again, from {job['CheckpointConfig']['S3Uri']}")
    name = jobs.new_name(deployment.name, "train")
    request = {part: job[part] for part in REQUEST if job.get(part) is not None}
    request["HyperParameters"] = {**request["HyperParameters"], OWN_NAME: name}
    tags = sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    sagemaker.create_training_job(TrainingJobName=name, **request, Tags=tags)
    return name


def find(sagemaker, name: str) -> dict:
    """The job's description. Raises Failure if the job does not exist."""
    from botocore.exceptions import ClientError

    try:
        return sagemaker.describe_training_job(TrainingJobName=name)
    except ClientError as error:
        if "not found" in error.response["Error"]["Message"]:
            raise Failure(f"There is no training job {name}.") from None
        raise
