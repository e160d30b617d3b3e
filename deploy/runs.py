"""Runs with output in the bucket, at `models/<run>/output/`: training jobs, trials and runs of the instance."""

from __future__ import annotations

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import trials


def find(deployment: Deployment, wanted: str | None, archive: str) -> str:
    """The run with `archive` in its output that `wanted` names: a run, a tuning job, or by default the newest run.

    A tuning job means its best trial. So does a trial that is the newest run, because it may have been stopped early.
    Raises Failure if there is no such run.
    """
    runs = newest_first(deployment, archive)
    if not runs:
        raise Failure(f"No run is complete yet. Train a model: {console.make('train')}, or {console.make('train-ec2')}")
    if wanted is None:
        tuning_job = trials.tuning_job_of(runs[0])
        run = (tuning_job and best_trial(deployment, tuning_job)) or runs[0]
    else:
        run = wanted if wanted in runs else best_trial(deployment, wanted)
    if run not in runs:
        raise Failure(
            f"The run {wanted or run} does not exist or has no {archive}. The last ones with it: {', '.join(runs[:5])}"
        )
    return run


def newest_first(deployment: Deployment, archive: str) -> list[str]:
    """Names of the runs whose output has `archive`."""
    pages = deployment.client("s3").get_paginator("list_objects_v2")
    found = [
        (item["LastModified"], item["Key"].split("/")[1])
        for page in pages.paginate(Bucket=deployment.artifacts_bucket, Prefix="models/")
        for item in page.get("Contents", [])
        if item["Key"].endswith(f"/output/{archive}") and item["Key"].count("/") == 3
    ]
    return [run for _, run in sorted(found, reverse=True)]


def address(deployment: Deployment, run: str, archive: str) -> str:
    return f"s3://{deployment.artifacts_bucket}/models/{run}/output/{archive}"


def best_trial(deployment: Deployment, tuning_job: str) -> str | None:
    """The best run of a tuning job, so far if it is still running. None if there is no such job or run."""
    job = trials.describe(deployment.client("sagemaker"), tuning_job) or {}
    return job.get("BestTrainingJob", {}).get("TrainingJobName")
