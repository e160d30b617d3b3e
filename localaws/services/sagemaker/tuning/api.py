"""SageMaker's operations on hyperparameter tuning jobs."""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from localaws.services.sagemaker import limits
from localaws.services.sagemaker.jobs import UNFINISHED
from localaws.services.sagemaker.records import InUse, InvalidRequest, NotFound, Operations, arn_of, require_role
from localaws.services.sagemaker.tuning.job import TuningJob
from localaws.services.sagemaker.tuning.request import check_request, check_warm_start, trial_request
from localaws.services.sagemaker.tuning.trial import TuningTrial

KIND = "hyper-parameter-tuning-job"
BY_OBJECTIVE = "FinalObjectiveMetricValue"
SUMMARY = (
    *("HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus"),
    *("CreationTime", "HyperParameterTuningEndTime", "LastModifiedTime"),
    *("TrainingJobStatusCounters", "ObjectiveStatusCounters"),
)
ORDERS: dict[str, Callable[[TuningTrial], Any]] = {
    "Name": lambda trial: trial.name,
    "CreationTime": lambda trial: trial.created,
    "Status": lambda trial: trial.status,
    BY_OBJECTIVE: lambda trial: trial.value,
}


class TuningOperations(Operations):
    def create_hyper_parameter_tuning_job(self) -> ActionResult:
        request = self.request
        name = request["HyperParameterTuningJobName"]
        check_request(request)
        require_role(request["TrainingJobDefinition"]["RoleArn"], self.region, arn_of(KIND, name, self.region))
        parents = []
        if start := request.get("WarmStartConfig"):
            names = [each["HyperParameterTuningJobName"] for each in start["ParentHyperParameterTuningJobs"]]
            parents = [self._tuning_job(each) for each in names]
            check_warm_start(request, parents)
        if name in self.table(KIND):
            raise InUse(
                f"Hyperparameter tuning job names must be unique within an AWS account and region, and one with this "
                f"name already exists ({self.table(KIND)[name].arn})"
            )
        parallel = request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
        limits.require_tuning(self.region, trial_request(request, "trial", {}), parallel)
        job = self.table(KIND)[name] = TuningJob(name, self.region, request, parents)
        job.start()
        return ActionResult({"HyperParameterTuningJobArn": job.arn})

    def describe_hyper_parameter_tuning_job(self) -> ActionResult:
        return ActionResult(self._tuning_job(self.request["HyperParameterTuningJobName"]).describe())

    def stop_hyper_parameter_tuning_job(self) -> ActionResult:
        job = self._tuning_job(self.request["HyperParameterTuningJobName"])
        if job.status not in UNFINISHED:
            raise InvalidRequest(f"The request was rejected because the tuning job is in status {job.status}.")
        if job.status != "Stopping":
            job.stop()
        return EmptyResult()

    def list_hyper_parameter_tuning_jobs(self) -> ActionResult:
        def summary(job: TuningJob) -> dict[str, Any]:
            described = job.describe()
            config = described["HyperParameterTuningJobConfig"]
            limits = {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
            return {**{key: described[key] for key in SUMMARY}, **limits}

        return ActionResult(self.page(self.table(KIND).values(), "HyperParameterTuningJobSummaries", summary))

    def list_training_jobs_for_hyper_parameter_tuning_job(self) -> ActionResult:
        asked = self.request
        job = self._tuning_job(asked["HyperParameterTuningJobName"])
        order = asked.get("SortBy", "Name")
        trials = [trial for trial in job.trials if asked.get("StatusEquals", trial.status) == trial.status]
        if order == BY_OBJECTIVE:  # those without one are not listed, as AWS has it
            trials = [trial for trial in trials if trial.value is not None]
        trials.sort(key=ORDERS[order], reverse=asked.get("SortOrder") == "Descending")
        return ActionResult(self.cut(trials, "TrainingJobSummaries", TuningTrial.summary))

    def _tuning_job(self, name: str) -> TuningJob:
        try:
            return self.table(KIND)[name]
        except KeyError:
            raise NotFound(f"Could not find the tuning job {arn_of(KIND, name, self.region)}.") from None
