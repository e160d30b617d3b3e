"""Training jobs of this deployment: find the last one, follow one, stop the running ones."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.follow import Follow
from deploy.log_tail import LogTail

UNFINISHED = ("InProgress", "Stopping")


def new_name(stack: str, kind: str) -> str:
    """A job name that sorts by time: `<stack>-<kind>-20261122-160501`."""
    return f"{stack}-{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def belongs(stack: str, job: str) -> bool:
    """Whether the name of a job or of a trial is one that this stack's commands or notebook give.

    The name of another stack may begin like this one's: `pawprint` does not own the jobs of `pawprint-dev`.
    """
    name = rf"{re.escape(stack)}-(?:train2?|tune|batch)-(?:\d[\d-]*|[0-9a-f]{{6}})"
    trial = r"-\d{3}-[0-9a-f]{8}"
    return bool(re.fullmatch(f"{name}(?:{trial})?", job))


def recent(deployment: Deployment, most: int | None = 10) -> list[dict]:
    """Summaries of the latest training jobs, newest first. `most=None`: all."""
    pages = (
        deployment.client("sagemaker")
        .get_paginator("list_training_jobs")
        .paginate(NameContains=f"{deployment.name}-", SortBy="CreationTime", SortOrder="Descending")
    )
    listed = (job for page in pages for job in page["TrainingJobSummaries"])
    return list(islice((job for job in listed if belongs(deployment.name, job["TrainingJobName"])), most))


def unfinished(deployment: Deployment) -> list[str]:
    """The names of the training jobs that run."""
    pages = (
        deployment.client("sagemaker")
        .get_paginator("list_training_jobs")
        .paginate(NameContains=f"{deployment.name}-", StatusEquals=status)
        for status in UNFINISHED
    )
    names = [job["TrainingJobName"] for each in pages for page in each for job in page["TrainingJobSummaries"]]
    return [name for name in names if belongs(deployment.name, name)]


def last(deployment: Deployment) -> str | None:
    return next((job["TrainingJobName"] for job in recent(deployment, most=1)), None)


def follow(deployment: Deployment, name: str) -> dict:
    """Print a job's stages and log lines until it ends. Return its description.

    Raises Failure with SageMaker's reason if the job failed. Ctrl-C leaves the job running.
    """
    end = f"aws sagemaker stop-training-job --training-job-name {name}"
    following = Follow(deployment, name, console.make(f"train RUN={name}"), end=end)
    tail = LogTail(lambda: following.client("logs"), deployment.training_log_group, f"{name}/")
    stage = None

    def look() -> dict | None:
        nonlocal stage
        job = describe(following.client("sagemaker"), name)
        if job["SecondaryStatus"] != stage:
            stage = job["SecondaryStatus"]
            console.step(stage)
        for _, line in tail.poll():
            following.connected()
            console.out.print(f"  {line}", markup=False)
        return None if job["TrainingJobStatus"] in UNFINISHED else job

    job = following.until(look, seconds=5)
    if job["TrainingJobStatus"] != "Completed":
        reason = job.get("FailureReason") or "SageMaker reports no reason"
        see = console.make(f"logs JOB={name}")
        raise Failure(f"The training job {name} is {job['TrainingJobStatus']}: {reason}\nIts log: {see}")
    return job


def describe(sagemaker: Any, name: str) -> dict:
    """A training job's description. Raises Failure if the job does not exist."""
    try:
        return sagemaker.describe_training_job(TrainingJobName=name)
    except sagemaker.exceptions.ClientError as error:
        # SageMaker answers ValidationException if a job does not exist ("Requested resource not found.").
        if error.response["Error"]["Code"] in ("ResourceNotFound", "ValidationException"):
            raise Failure(
                f"There is no training job {name}. To list the last ones: {console.make('status')}"
            ) from error
        raise


def final_metrics(job: dict) -> dict[str, float]:
    return {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}


def stop_all(deployment: Deployment) -> None:
    """Stop this deployment's unfinished tuning and training jobs, and wait until they have stopped."""
    sagemaker = deployment.client("sagemaker")
    stop_tuning(deployment)  # first, because a tuning job replaces its stopped training jobs
    running = unfinished(deployment)
    for name in running:
        console.step(f"Stopping the training job {name}")
        sagemaker.stop_training_job(TrainingJobName=name)
    for name in running:
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)


def stop_tuning(deployment: Deployment) -> None:
    """Stop this deployment's unfinished tuning jobs with their trials, and wait until they have stopped."""
    sagemaker = deployment.client("sagemaker")
    pages = sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(NameContains=f"{deployment.name}-")
    running = [
        job["HyperParameterTuningJobName"]
        for page in pages
        for job in page["HyperParameterTuningJobSummaries"]
        if job["HyperParameterTuningJobStatus"] in UNFINISHED
        and belongs(deployment.name, job["HyperParameterTuningJobName"])
    ]
    for name in running:
        console.step(f"Stopping the tuning job {name}")
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    for name in running:
        described = {"HyperParameterTuningJobStatus": "Stopping"}
        while described["HyperParameterTuningJobStatus"] in UNFINISHED:  # boto3 has no waiter for tuning jobs
            time.sleep(deployment.env.poll_seconds(5))
            described = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def delete_log_streams(deployment: Deployment, group: str) -> None:
    """Delete the log streams of this deployment's jobs. The log group belongs to the whole account."""
    logs = deployment.client("logs")
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=group, logStreamNamePrefix=f"{deployment.name}-"
    )
    try:
        for stream in [stream["logStreamName"] for page in pages for stream in page["logStreams"]]:
            if belongs(deployment.name, stream.partition("/")[0]):
                logs.delete_log_stream(logGroupName=group, logStreamName=stream)
    except logs.exceptions.ResourceNotFoundException:
        return
