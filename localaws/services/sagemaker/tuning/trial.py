"""One trial of a tuning job: a training job that remembers what it tries and every objective that it logs."""

import math
from typing import Any

from localaws.services.sagemaker.jobs import UNFINISHED
from localaws.services.sagemaker.records import Record
from localaws.services.sagemaker.training.job import TrainingJob
from localaws.services.sagemaker.tuning.request import objective_of, trial_request


class TuningTrial(TrainingJob):
    """A training job of a tuning job: `tuned` are the hyperparameters it tries, `values` each objective it logged."""

    def __init__(self, job: Record, name: str, tuned: dict[str, str]):
        self.tuning_job, self.tuning_job_arn, self.tuned = job.name, job.arn, tuned
        self.objective = objective_of(job.request)
        self.values: list[float] = []
        super().__init__(name, job.region, trial_request({**job.request, "Tags": job.tags}, name, tuned))

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "TuningJobArn": self.tuning_job_arn}

    @property
    def value(self) -> float | None:
        """The objective: the last value in its log, once it has ended other than by failing."""
        return self.values[-1] if self.values and self.status in ("Completed", "Stopped") else None

    @property
    def objective_status(self) -> str:
        if self.status in UNFINISHED:
            return "Pending"
        return "Failed" if self.value is None else "Succeeded"

    def summary(self) -> dict[str, Any]:
        final = {**self.objective, "Value": self.value} if self.value is not None else None
        return {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "TuningJobName": self.tuning_job,
            "CreationTime": self.created,
            "TrainingStartTime": self.started,
            "TrainingEndTime": self.ended,
            "TrainingJobStatus": self.status,
            "TunedHyperParameters": self.tuned,
            "FailureReason": self.failure_reason,
            "FinalHyperParameterTuningJobObjectiveMetric": final,
            "ObjectiveStatus": self.objective_status,
        }

    def _keep_metric(self, name: str, value: float) -> None:
        super()._keep_metric(name, value)
        if name == self.objective["MetricName"] and math.isfinite(value):
            self.values.append(value)
