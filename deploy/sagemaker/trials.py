"""Print the trials of a tuning job when they end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.follow import Follow
from deploy.sagemaker.jobs import UNFINISHED


@dataclass(frozen=True)
class Trial:
    """One training job of a tuning job. `objective` is None if it reported none."""

    name: str
    number: int  # from 1, in the order in which they were started
    status: str
    hyperparameters: dict[str, str]
    objective: float | None
    seconds: float
    reason: str | None = None

    @classmethod
    def of(cls, summary: dict) -> Trial:
        began, ended = summary.get("TrainingStartTime"), summary.get("TrainingEndTime")
        return cls(
            name=summary["TrainingJobName"],
            number=int(summary["TrainingJobName"].split("-")[-2]),
            status=summary["TrainingJobStatus"],
            hyperparameters=summary["TunedHyperParameters"],
            objective=summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value"),
            seconds=(ended - began).total_seconds() if began and ended else 0.0,
            reason=summary.get("FailureReason"),
        )

    def outcome(self) -> str:
        """How the trial ended, in words. Empty if it completed."""
        if self.status == "Stopped":
            return "stopped early"
        if self.status == "Failed":
            return f"failed: {' '.join((self.reason or 'SageMaker reports no reason').split())[:160]}"
        return "" if self.objective is not None else "reported nothing"


def shown(hyperparameter: str) -> str:
    """A value as text. Numbers have three digits."""
    try:
        return f"{float(hyperparameter):.3g}"
    except ValueError:
        return hyperparameter


def tuning_job_of(training_job: str) -> str | None:
    """The name of the tuning job if a training job of this name is one of its trials."""
    match = re.fullmatch(r"(.+)-\d{3,}-[0-9a-f]{8}", training_job)
    return match and match[1]


def describe(sagemaker: Any, name: str) -> dict | None:
    """A tuning job's description. None if the job does not exist."""
    try:
        return sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except sagemaker.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceNotFound", "ValidationException"):
            return None
        raise


def ended(sagemaker: Any, name: str) -> list[Trial]:
    """The trials that have ended, in the order in which they were started."""
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    found = [
        Trial.of(summary)
        for page in pages.paginate(HyperParameterTuningJobName=name)
        for summary in page["TrainingJobSummaries"]
        if summary["TrainingJobStatus"] not in UNFINISHED
    ]
    return sorted(found, key=lambda trial: trial.number)


def follow(deployment: Deployment, name: str) -> tuple[dict, list[Trial]]:
    """Print a line for each trial when it ends. Return the tuning job's description and its trials.

    Raises Failure with SageMaker's reason if the job failed. Ctrl-C leaves it running.
    """
    end = f"aws sagemaker stop-hyper-parameter-tuning-job --hyper-parameter-tuning-job-name {name}"
    following = Follow(deployment, name, console.make(f"tune RUN={name}"), end=end)
    printed: set[str] = set()

    def look() -> tuple[dict, list[Trial]] | None:
        sagemaker = following.client("sagemaker")
        job = describe(sagemaker, name)
        if job is None:
            raise Failure(f"There is no tuning job {name}.")
        tried = ended(sagemaker, name)
        for trial in tried:
            if trial.name not in printed:
                printed.add(trial.name)
                console.out.print(f"  {line(trial, total(job))}", markup=False)
        return None if job["HyperParameterTuningJobStatus"] in UNFINISHED else (job, tried)

    job, tried = following.until(look, seconds=10)
    if job["HyperParameterTuningJobStatus"] == "Failed":
        raise Failure(f"The tuning job {name} failed: {job.get('FailureReason') or 'SageMaker reports no reason'}")
    return job, tried


def total(job: dict) -> int:
    return job["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]


def line(trial: Trial, of: int) -> str:
    """One trial in one line: number, objective, hyperparameters, seconds, and how it ended unless it completed."""
    objective = "     —" if trial.objective is None else f"{trial.objective:.4f}"
    chosen = "  ".join(f"{name}={shown(value)}" for name, value in sorted(trial.hyperparameters.items()))
    return f"{trial.number:>3}/{of}  {objective}  {chosen}  {trial.seconds:.0f} s  {trial.outcome()}".rstrip()
