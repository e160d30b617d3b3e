"""Train in SageMaker: start a training job and follow it until it ends.

The job is submitted through the SageMaker SDK's typed layer over the API (`sagemaker.core.resources`). It uses full
image URIs, because the SDK's image list does not contain the supported image.
"""

from __future__ import annotations

import argparse

from classifier import prices

from deploy import console, datasets, options, weights
from deploy.build.upload import upload
from deploy.console import Failure
from deploy.costs import expected
from deploy.deployment import Deployment
from deploy.sagemaker import jobs

SPLITS = ("train", "valid", "test")
# Instance types that may have several GPUs. torchrun starts one process per GPU.
GPU_FAMILIES = ("ml.g", "ml.p")
# The training program prints metrics in one form: `epoch=3 train_loss=0.1234 …`.
METRICS = (
    "train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy", "test_accuracy_low",
    "test_accuracy_high",
)  # fmt: skip


def program(deployment: Deployment, payloads: dict, job: str) -> dict[str, str]:
    """The hyperparameters that name the program of a training container."""
    return {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": payloads["train"],
        "sagemaker_region": deployment.region,
        "sagemaker_job_name": job,
        "sagemaker_container_log_level": "20",
    }


def definition(
    deployment: Deployment, payloads: dict, dataset: datasets.Uploaded, arguments: argparse.Namespace
) -> dict:
    """The common arguments of a training job and of the trials of a tuning job, for the SDK's classes."""
    from sagemaker.core import shapes

    def channel(name: str, uri: str) -> shapes.Channel:
        source = shapes.S3DataSource(s3_data_type="S3Prefix", s3_uri=uri, s3_data_distribution_type="FullyReplicated")
        return shapes.Channel(channel_name=name, data_source=shapes.DataSource(s3_data_source=source))

    def key(argument: str, output: str) -> dict:
        given = deployment.outputs.get(output)
        return {argument: given} if given else {}

    price = prices.given_price()
    for_reports = {"DATASET_URI": dataset.uri} | ({prices.OVERRIDE: str(price)} if price is not None else {})
    own_weights = weights.upload(deployment, arguments)
    return {
        "environment": for_reports,
        "role_arn": deployment.training_role_arn,
        "input_data_config": [
            *(channel(split, f"{dataset.uri}/{split}/") for split in SPLITS),
            channel("serving", payloads["inference"]),
            *([channel("weights", own_weights[0].rpartition("/")[0] + "/")] if own_weights else []),
        ],
        "output_data_config": shapes.OutputDataConfig(
            s3_output_path=f"s3://{deployment.artifacts_bucket}/models", **key("kms_key_id", "kms_key_arn")
        ),
        "resource_config": shapes.ResourceConfig(
            instance_type=deployment.training_instance_type,
            instance_count=getattr(arguments, "instances", 1),
            volume_size_in_gb=30,
            **key("volume_kms_key_id", "training_volume_kms_key_arn"),
        ),
        "stopping_condition": shapes.StoppingCondition(max_runtime_in_seconds=arguments.max_minutes * 60),
        **network(deployment),
    }


def network(deployment: Deployment) -> dict:
    """The subnets and security groups of a job, as an argument for the SDK's classes. {} in SageMaker's own network."""
    from sagemaker.core import shapes

    subnets, groups = (deployment.outputs.get(f"training_{kind}_ids") or [] for kind in ("subnet", "security_group"))
    return {"vpc_config": shapes.VpcConfig(subnets=subnets, security_group_ids=groups)} if subnets else {}


def algorithm(deployment: Deployment) -> dict:
    """The image and the patterns of the metrics in its log, as arguments for the SDK's classes."""
    from sagemaker.core import shapes

    return {
        "training_image": deployment.training_image,
        "training_input_mode": "File",
        "metric_definitions": [
            shapes.MetricDefinition(name=metric, regex=rf"\b{metric}=([0-9.]+)") for metric in METRICS
        ],
    }


def origin(deployment: Deployment, dataset: datasets.Uploaded) -> dict:
    """Tags, session and region, as arguments for the SDK's `create`."""
    import boto3

    return {
        "tags": [{"key": "project", "value": deployment.name}, {"key": "dataset", "value": dataset.name}],
        "session": boto3.Session(region_name=deployment.region),
        "region": deployment.region,
    }


def submit(deployment: Deployment, arguments: argparse.Namespace) -> str:
    """Upload new payloads and data, create the training job, and return its name."""
    payloads = upload(deployment)
    dataset = datasets.resolve(deployment, arguments.data)
    expected.announce(expected.of_training(deployment, dataset.name, arguments.instances))
    console.step("Submitting the training job")
    # Imported here because the SDK takes seconds to import. Other errors should appear before that.
    from sagemaker.core import resources, shapes

    name = jobs.new_name(deployment.name, "train")
    given = {**program(deployment, payloads, name), **options.hyperparameters(arguments)}
    if arguments.instances > 1 or deployment.training_instance_type.startswith(GPU_FAMILIES):
        given["sagemaker_torch_distributed_enabled"] = "true"
    request = definition(deployment, payloads, dataset, arguments)
    if arguments.spot:
        checkpoints = f"s3://{deployment.artifacts_bucket}/checkpoints/{name}"
        request["enable_managed_spot_training"] = True
        request["checkpoint_config"] = shapes.CheckpointConfig(s3_uri=checkpoints)
        request["stopping_condition"].max_wait_time_in_seconds = 2 * arguments.max_minutes * 60
    resources.TrainingJob.create(
        training_job_name=name,
        algorithm_specification=shapes.AlgorithmSpecification(**algorithm(deployment)),
        hyper_parameters=given,
        **request,
        **origin(deployment, dataset),
    )
    return name


def summary(job: dict) -> str:
    metrics, name = jobs.final_metrics(job), job["TrainingJobName"]
    if "test_accuracy" not in metrics:
        raise Failure(f"The training job {name} has no test_accuracy in its log.")
    return (
        f"{name}: test accuracy {metrics['test_accuracy']:.4f}{_interval(metrics)}, "
        f"validation accuracy {metrics.get('valid_accuracy', float('nan')):.4f}, "
        f"{job['TrainingTimeInSeconds']} s of training\n"
        f"  {job['ModelArtifacts']['S3ModelArtifacts']}\n"
        f"  Cost on AWS: {cost(job)}\n"
        f"  Its report: {console.make(f'report JOB={name}')}\n"
        f"  Put it behind the URL: {console.make('promote')}"
    )


def _interval(metrics: dict) -> str:
    low, high = (metrics.get(f"test_accuracy_{end}") for end in ("low", "high"))  # jobs of older versions lack them
    return "" if low is None or high is None else f" (95 % interval {low:.4f} to {high:.4f})"


def cost(job: dict) -> str:
    """The cost of the job's instances in SageMaker. With managed spot, the billable seconds are already reduced by the
    saving, so they count at the full price. Without a saving, the text names the possible saving."""
    resources, billed = job["ResourceConfig"], job["BillableTimeInSeconds"]
    price = prices.sentence(resources["InstanceType"], billed, resources["InstanceCount"])
    saved = 1 - billed / max(job["TrainingTimeInSeconds"], 1)
    if not job.get("EnableManagedSpotTraining"):
        return price
    return f"{price}; managed spot {f'saved {saved:.0%}' if saved > 0.005 else f'saves {prices.SPOT_SAVING}'}"
