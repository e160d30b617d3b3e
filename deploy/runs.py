"""Runs that left something in the bucket, at `models/<run>/output/`: training jobs, trials, the instance's."""

from __future__ import annotations

from deploy import console, trials
from deploy.console import Failure
from deploy.environment import Environment


def find(env: Environment, outputs: dict, wanted: str | None, archive: str) -> str:
    """The run that left `archive` and that `wanted` names: a run, a tuning job, or by default the newest run.

    Of a tuning job the best trial is meant, also where the newest run is a trial: that may have been stopped early.
    Raises Failure where there is none.
    """
    runs = newest_first(env, outputs, archive)
    if not runs:
        raise Failure(f"No run has ended yet. Train a model: {console.make('train')}, or {console.make('train-ec2')}")
    if wanted is None:
        tuning_job = trials.tuning_job_of(runs[0])
        run = (tuning_job and best_trial(env, outputs, tuning_job)) or runs[0]
    else:
        run = wanted if wanted in runs else best_trial(env, outputs, wanted)
    if run not in runs:
        raise Failure(f"There is no run {wanted or run} that left {archive}. The last ones: {', '.join(runs[:5])}")
    return run


def newest_first(env: Environment, outputs: dict, archive: str) -> list[str]:
    """Names of the runs that left `archive`."""
    pages = env.client("s3", outputs["region"]).get_paginator("list_objects_v2")
    found = [
        (item["LastModified"], item["Key"].split("/")[1])
        for page in pages.paginate(Bucket=outputs["artifacts_bucket"], Prefix="models/")
        for item in page.get("Contents", [])
        if item["Key"].endswith(f"/output/{archive}") and item["Key"].count("/") == 3
    ]
    return [run for _, run in sorted(found, reverse=True)]


def address(outputs: dict, run: str, archive: str) -> str:
    return f"s3://{outputs['artifacts_bucket']}/models/{run}/output/{archive}"


def best_trial(env: Environment, outputs: dict, tuning_job: str) -> str | None:
    """The run that a tuning job found best, so far if it still runs; None where there is no such job or run."""
    job = trials.describe(env, outputs, tuning_job) or {}
    return job.get("BestTrainingJob", {}).get("TrainingJobName")
