"""The expected time and price of a training run, before it is submitted.

The best guess is the last run of the same kind. Without one, it is an estimate from measurements in the rehearsal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from classifier import prices

from deploy import console
from deploy.deployment import Deployment
from deploy.ec2 import runs
from deploy.sagemaker import jobs, trials

# Measured in the rehearsal on two processors without a GPU, on 2026-11-29: 1,797 images of the sample took 31 s, of
# which 25 s do not depend on their number (start, quantisation); 20 breeds of dogs took 0.02 s an image.
START_SECONDS = 30.0
IMAGE_SECONDS = 0.02
MEASURED = "estimated from runs on two processors in a rehearsal"
BATCH_SECONDS = 0.02  # an image of a batch transform job
EC2_SECONDS = 15.0  # cheaper to start: no container


@dataclass(frozen=True)
class Expected:
    """The seconds of one instance, and where they are from."""

    seconds: float
    basis: str


def announce(words: str) -> None:
    console.step(f"Expected: {words}")


def of_training(deployment: Deployment, dataset: str | None, instances: int = 1) -> str:
    """Time and price of a training job. Instances share the images, not the start. Raises PriceError."""
    kind = deployment.training_instance_type
    found = _last_job(deployment) or _estimate(deployment, dataset, START_SECONDS, instances)
    return f"{prices.sentence(kind, found.seconds, instances)}; {found.basis}"


def of_tuning(deployment: Deployment, dataset: str | None, count: int, parallel: int) -> str:
    """Time and price of a tuning job of `count` trials. Raises PriceError."""
    kind = deployment.training_instance_type
    found = _last_trials(deployment) or _last_job(deployment) or _estimate(deployment, dataset, START_SECONDS)
    wall = math.ceil(count / parallel) * found.seconds
    return (
        f"{prices.sentence(kind, found.seconds * count)} in {prices.duration(wall)}: {count} trials, {parallel} at a "
        f"time; each {found.basis}"
    )


def of_instance(deployment: Deployment, dataset: str | None) -> str:
    """Time and price of a run on the instance, with the idle minutes until it stops itself. Raises PriceError."""
    found = _last_run(deployment) or _estimate(deployment, dataset, EC2_SECONDS)
    seconds = found.seconds + 60 * deployment.ec2_idle_minutes
    return (
        f"{prices.sentence(deployment.ec2_instance_type, seconds)}; {found.basis}, and {deployment.ec2_idle_minutes} "
        "idle minutes"
    )


def of_batch(deployment: Deployment, images: int, instances: int = 1) -> str:
    """Time and price of a batch transform job. Instances share the images, not the start. Raises PriceError."""
    seconds = START_SECONDS + images * BATCH_SECONDS / instances
    return f"{prices.sentence(deployment.batch_instance_type, seconds, instances)}; {MEASURED}"


def overview(deployment: Deployment, settings: dict[str, Any]) -> Iterator[str]:
    """A sentence for each kind of run: of the deployment, or only the price of an hour if nothing is deployed."""
    if deployment.has("artifacts_bucket", "training_instance_type", "ec2_instance_id"):
        yield f"{console.make('train')}: {of_training(deployment, None)}"
        yield f"{console.make('tune')}: {of_tuning(deployment, None, 8, 2)}"
        yield f"{console.make('train-ec2')}: {of_instance(deployment, None)}"
        return
    for target, kind in (
        ("train", settings["training"]["instance_type"]),
        ("train-ec2", settings["ec2"]["instance_type"]),
    ):
        yield f"{console.make(target)}: {prices.sentence(kind, 3600)}; nothing is deployed yet, so no run is known"


# --- where the seconds are from ---


def _last_job(deployment: Deployment) -> Expected | None:
    """The last training job that completed and was not a trial, on the same type of instance."""
    sagemaker = deployment.client("sagemaker")
    for summary in jobs.recent(deployment):
        name = summary["TrainingJobName"]
        if summary["TrainingJobStatus"] != "Completed" or trials.tuning_job_of(name):
            continue
        job = jobs.describe(sagemaker, name)
        if job["ResourceConfig"]["InstanceType"] == deployment.training_instance_type:
            return Expected(job["TrainingTimeInSeconds"], f"as the last run {name}")
    return None


def _last_trials(deployment: Deployment) -> Expected | None:
    """The mean of the completed trials of the last tuning job."""
    sagemaker = deployment.client("sagemaker")
    listed = sagemaker.list_hyper_parameter_tuning_jobs(
        NameContains=f"{deployment.name}-tune-", SortBy="CreationTime", SortOrder="Descending"
    )["HyperParameterTuningJobSummaries"]
    for summary in listed:
        name = summary["HyperParameterTuningJobName"]
        if jobs.belongs(deployment.name, name):
            done = [each.seconds for each in trials.ended(sagemaker, name) if each.status == "Completed"]
            if done:
                return Expected(sum(done) / len(done), f"as in the last tuning job {name}")
    return None


def _last_run(deployment: Deployment) -> Expected | None:
    """The last run on the instance that succeeded: from its command to its model."""
    s3 = deployment.client("s3")
    for command in runs.commands(deployment):
        if command.status == "Success" and (model := runs.model_of(deployment, command.comment)):
            key = model.partition(f"s3://{deployment.artifacts_bucket}/")[2]
            ended = s3.head_object(Bucket=deployment.artifacts_bucket, Key=key)["LastModified"]
            return Expected((ended - command.requested).total_seconds(), f"as the last run {command.comment}")
    return None


def _estimate(deployment: Deployment, dataset: str | None, start: float, instances: int = 1) -> Expected:
    images = _images(deployment, dataset)
    words = f"{MEASURED}, for {images:,} images" if images else f"{MEASURED}, without images"
    return Expected(start + images * IMAGE_SECONDS / instances, words)


def _images(deployment: Deployment, dataset: str | None) -> int:
    """The objects of a dataset in the bucket; of all datasets if none is named."""
    prefix = f"datasets/{dataset}/" if dataset else "datasets/"
    pages = deployment.client("s3").get_paginator("list_objects_v2")
    return sum(page["KeyCount"] for page in pages.paginate(Bucket=deployment.artifacts_bucket, Prefix=prefix))
