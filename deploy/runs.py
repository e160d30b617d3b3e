"""Runs that left something in the bucket, at `models/<run>/output/`: training jobs, trials, the instance's."""

from __future__ import annotations

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import trials


def find(deployment: Deployment, wanted: str | None, archive: str) -> str:
    """The run that left `archive` and that `wanted` names: a run, a tuning job, or by default the newest run.

    Of a tuning job the best trial is meant, also where the newest run is a trial: that may have been stopped early.
    Raises Failure where there is none.
    """
    runs = newest_first(deployment, archive)
    if not runs:
        raise Failure(f"No run has ended yet. Train a model: {console.make('train')}, or {console.make('train-ec2')}")
    if wanted is None:
        tuning_job = trials.tuning_job_of(runs[0])
        run = (tuning_job and best_trial(deployment, tuning_job)) or runs[0]
    else:
        run = wanted if wanted in runs else best_trial(deployment, wanted)
    if run not in runs:
        raise Failure(f"There is no run {wanted or run} that left {archive}. The last ones: {', '.join(runs[:5])}")
    return run


def newest_first(deployment: Deployment, archive: str) -> list[str]:
    """Names of the runs that left `archive`."""
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
    """The run that a tuning job found best, so far if it still runs; None where there is no such job or run."""
    job = trials.describe(deployment.client("sagemaker"), tuning_job) or {}
    return job.get("BestTrainingJob", {}).get("TrainingJobName")
