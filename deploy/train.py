"""Train in SageMaker: a training job, followed to its end.

    python -m deploy.train [--data NAME|DIR] [--instances N] [--epochs N] [--arch NAME] [--fine-tune] [--spot]
    python -m deploy.train --resume JOB

The job is submitted through the SageMaker SDK's typed layer over the API (`sagemaker.core.resources`), with full
image URIs, since the SDK's own image list ends before the image that is supported now.
"""

from __future__ import annotations

import argparse

from classifier import prices
from classifier.settings import AUGMENTATIONS, PRECISIONS

from deploy import console, data, environment, jobs, resume
from deploy.console import Failure
from deploy.environment import Environment
from deploy.stack import Stack
from deploy.upload import upload

SPLITS = ("train", "valid", "test")
# Instance types that may have several GPUs: torchrun starts a process for each.
GPU_FAMILIES = ("ml.g", "ml.p")
# One form of metric line, `epoch=3 train_loss=0.1234 …`, is what the training program prints.
METRICS = ("train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy")


OPTIONS = ("epochs", "arch", "batch_size", "lr", "augment", "seed", "precision")


def hyperparameters(arguments: argparse.Namespace) -> dict[str, str]:
    """The training program's options that were given; the rest keeps its own defaults."""
    given = {name.replace("_", "-"): getattr(arguments, name, None) for name in OPTIONS}
    chosen = {name: str(value) for name, value in given.items() if value is not None}
    if arguments.fine_tune:
        chosen["fine-tune"] = "True"
    return chosen


def program(outputs: dict, payloads: dict, job: str) -> dict[str, str]:
    """The hyperparameters that tell a training container which program to run."""
    return {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": payloads["train"],
        "sagemaker_region": outputs["region"],
        "sagemaker_job_name": job,
        "sagemaker_container_log_level": "20",
    }


def definition(outputs: dict, payloads: dict, dataset: data.Uploaded, arguments: argparse.Namespace) -> dict:
    """What a training job and the trials of a tuning job have in common, as arguments for the SDK's classes."""
    from sagemaker.core import shapes

    def channel(name: str, uri: str) -> shapes.Channel:
        source = shapes.S3DataSource(s3_data_type="S3Prefix", s3_uri=uri, s3_data_distribution_type="FullyReplicated")
        return shapes.Channel(channel_name=name, data_source=shapes.DataSource(s3_data_source=source))

    price = prices.given_price()  # for the reports
    return {
        **({"environment": {prices.OVERRIDE: str(price)}} if price is not None else {}),
        "role_arn": outputs["training_role_arn"],
        "input_data_config": [
            *(channel(split, f"{dataset.uri}/{split}/") for split in SPLITS),
            channel("serving", payloads["inference"]),
        ],
        "output_data_config": shapes.OutputDataConfig(s3_output_path=f"s3://{outputs['artifacts_bucket']}/models"),
        "resource_config": shapes.ResourceConfig(
            instance_type=outputs["training_instance_type"],
            instance_count=getattr(arguments, "instances", 1),
            volume_size_in_gb=30,
        ),
        "stopping_condition": shapes.StoppingCondition(max_runtime_in_seconds=arguments.max_minutes * 60),
    }


def algorithm(outputs: dict) -> dict:
    """The image, and where in its log the metrics stand, as arguments for the SDK's classes."""
    from sagemaker.core import shapes

    return {
        "training_image": outputs["training_image"],
        "training_input_mode": "File",
        "metric_definitions": [
            shapes.MetricDefinition(name=metric, regex=rf"\b{metric}=([0-9.]+)") for metric in METRICS
        ],
    }


def origin(outputs: dict, dataset: data.Uploaded) -> dict:
    """Tags, session and region, as arguments for the SDK's `create`."""
    import boto3

    return {
        "tags": [{"key": "project", "value": outputs["name"]}, {"key": "dataset", "value": dataset.name}],
        "session": boto3.Session(region_name=outputs["region"]),
        "region": outputs["region"],
    }


def submit(env: Environment, outputs: dict, arguments: argparse.Namespace) -> str:
    """Upload payloads and data as far as needed, create the training job, and return its name."""
    payloads = upload(env, outputs)
    dataset = data.resolve(env, outputs, arguments.data)
    console.step("Submitting the training job")
    # Imported here: the SDK takes seconds to import, and everything that can go wrong before comes first.
    from sagemaker.core import resources, shapes

    name = jobs.new_name(outputs["name"], "train")
    given = {**program(outputs, payloads, name), **hyperparameters(arguments)}
    if arguments.instances > 1 or outputs["training_instance_type"].startswith(GPU_FAMILIES):
        given["sagemaker_torch_distributed_enabled"] = "true"
    request = definition(outputs, payloads, dataset, arguments)
    if arguments.spot:
        checkpoints = f"s3://{outputs['artifacts_bucket']}/checkpoints/{name}"
        request["enable_managed_spot_training"] = True
        request["checkpoint_config"] = shapes.CheckpointConfig(s3_uri=checkpoints)
        request["stopping_condition"].max_wait_time_in_seconds = 2 * arguments.max_minutes * 60
    resources.TrainingJob.create(
        training_job_name=name,
        algorithm_specification=shapes.AlgorithmSpecification(**algorithm(outputs)),
        hyper_parameters=given,
        **request,
        **origin(outputs, dataset),
    )
    return name


def summary(job: dict) -> str:
    metrics, name = jobs.final_metrics(job), job["TrainingJobName"]
    if "test_accuracy" not in metrics:
        raise Failure(f"The training job {name} ended without reporting test_accuracy.")
    return (
        f"{name}: test accuracy {metrics['test_accuracy']:.4f}, "
        f"validation accuracy {metrics.get('valid_accuracy', float('nan')):.4f}, "
        f"{job['TrainingTimeInSeconds']} s of training\n"
        f"  {job['ModelArtifacts']['S3ModelArtifacts']}\n"
        f"  Cost on AWS: {cost(job)}\n"
        f"  Its report: {console.make(f'report JOB={name}')}\n"
        f"  Put it behind the URL: {console.make('promote')}"
    )


def cost(job: dict) -> str:
    """What SageMaker bills for the job's instances. Of managed spot the billable seconds are those that are left after
    the saving, so that they count at the full price; where none was made, says what there could be."""
    resources, billed = job["ResourceConfig"], job["BillableTimeInSeconds"]
    price = prices.sentence(resources["InstanceType"], billed, resources["InstanceCount"])
    saved = 1 - billed / max(job["TrainingTimeInSeconds"], 1)
    if not job.get("EnableManagedSpotTraining"):
        return price
    return f"{price}; managed spot {f'saved {saved:.0%}' if saved > 0.005 else f'saves {prices.SPOT_SAVING}'}"


def parse() -> argparse.Namespace:
    parser = console.Parser(description="Train in SageMaker.")
    add_common(parser)
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--arch")
    parser.add_argument("--batch", dest="batch_size", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument(
        "--augment", choices=AUGMENTATIONS, help="learn from mirrored images too, or from parts as well"
    )
    parser.add_argument("--spot", action="store_true", help="managed spot capacity, with checkpoints in S3")
    parser.add_argument("--resume", metavar="JOB", help="start an interrupted spot job again from its checkpoints")
    arguments = parser.parse_args()
    changed = [
        name for name, value in vars(arguments).items() if name != "resume" and value != parser.get_default(name)
    ]
    if arguments.resume and changed:
        parser.error(f"--resume takes everything from the interrupted job; leave out {', '.join(changed)}.")
    return arguments


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options of a training job that a tuning job has for all its trials."""
    parser.add_argument("--data", help="a dataset's name or a folder; default: the last one uploaded, or the sample")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="of the graph; default: int8 where it loses no accuracy"
    )
    parser.add_argument("--fine-tune", action="store_true")
    parser.add_argument("--max-minutes", type=int, default=120, help="for one training job")


def main() -> None:
    arguments = parse()
    env = environment.current()
    outputs = Stack(env).require_outputs()
    resumed = arguments.resume
    name = resume.start_again(env, outputs, resumed) if resumed else submit(env, outputs, arguments)
    console.done(summary(jobs.follow(env, outputs, name)))


if __name__ == "__main__":
    console.run(main)
