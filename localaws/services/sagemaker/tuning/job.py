"""One tuning job: trials started, watched and stopped as its search says. Each trial is a whole training job."""

import logging
import math
import secrets
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from localaws import state
from localaws.services.sagemaker.jobs import MAX_REASON_CHARS, UNFINISHED, Job
from localaws.services.sagemaker.records import now, table_of
from localaws.services.sagemaker.tuning.request import IDENTICAL, config_of, objective_of, plan_of, space_of, static_of
from localaws.services.sagemaker.tuning.search import Search, Suggestion
from localaws.services.sagemaker.tuning.trial import TuningTrial

POLL_SECONDS = 0.1
HOPELESS = 5  # trials in a row, from the first one on, that gave nothing: the rest would not either
IMPROVEMENT = 0.01  # what is no more than this, relative to the best so far, does not count as better

log = logging.getLogger(__name__)


class TuningJob(Job):
    """A tuning job's record, and the thread that runs it."""

    INTERRUPTED = (
        "InternalServerError: the local AWS was stopped while the tuning job was running. Start a new one: with this "
        "one as the parent of a warm start it learns from the trials that had ended."
    )

    def __init__(self, name: str, region: str, request: dict[str, Any], parents: list["TuningJob"]):
        super().__init__("hyper-parameter-tuning-job", name, region, request)
        self.parents = parents
        self.trials: list[TuningTrial] = []
        self.status = "InProgress"
        self.failure_reason: str | None = None
        self.ended: datetime | None = None
        self._prepare()

    def describe(self) -> dict[str, Any]:
        statuses = Counter(trial.status for trial in self.trials)
        objectives = Counter(trial.objective_status for trial in self.trials)
        overall = [trial for job in (self, *self.parents) for trial in job.trials] if self._is_continuation else []
        bests = {"BestTrainingJob": self.best(self.trials), "OverallBestTrainingJob": self.best(overall)}
        return {
            **self.request,
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobStatus": self.status,
            "CreationTime": self.created,
            "HyperParameterTuningEndTime": self.ended,
            "LastModifiedTime": self.modified,
            "TrainingJobStatusCounters": {
                "Completed": statuses["Completed"],
                "InProgress": statuses["InProgress"] + statuses["Stopping"],
                "RetryableError": 0,
                "NonRetryableError": statuses["Failed"],
                "Stopped": statuses["Stopped"],
            },
            "ObjectiveStatusCounters": {status: objectives[status] for status in ("Succeeded", "Pending", "Failed")},
            **{key: trial.summary() for key, trial in bests.items() if trial is not None},
            "FailureReason": self.failure_reason,
            "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": self._not_improving()},
            "ConsumedResources": {
                "RuntimeInSeconds": math.ceil(((self.ended or now()) - self.created).total_seconds())
            },
        }

    def best(self, trials: Iterable[TuningTrial]) -> TuningTrial | None:
        """The trial with the best objective, of those that completed and so have a model."""
        completed = [trial for trial in trials if trial.status == "Completed" and trial.value is not None]
        return max(completed, key=lambda trial: self._gain(trial.value), default=None)

    # --- told from outside ---

    def stop(self) -> None:
        """StopHyperParameterTuningJob: no new trials, and those that run are stopped."""
        self._change("Stopping")

    def suspend(self) -> None:
        """The server stops: nothing is started any more, and the next start says what became of the job."""
        super().suspend()
        if self._thread is not None:
            self._thread.join()

    # --- the run ---

    def _run(self) -> None:
        try:
            outcome, reason = self._search()
        except Exception as error:
            log.exception("tuning job %s failed within the local AWS", self.name)
            outcome, reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
            _stop(self.trials)
        if not self._suspended.is_set():
            self._finish(outcome, reason)

    def _search(self) -> tuple[str, str | None]:
        """The search from the first trial to the end of the last; gives the job's last status and why it failed."""
        plan, places = plan_of(self.request), config_of(self.request)["ResourceLimits"]["MaxParallelTrainingJobs"]
        search = Search(space_of(self.request), plan, self.name)
        for parent in self.parents:
            for trial in parent.trials:
                if trial.status == "Completed" and trial.value is not None:
                    search.learn({**static_of(parent.request), **trial.tuned}, trial.value)
        running: dict[TuningTrial, Suggestion] = {}
        ending = None
        while not self._suspended.is_set():
            _follow(search, running)
            ending = ending or self._ending()
            if ending:
                _stop(running)
            while not ending and len(running) < places and len(self.trials) < plan.trials:
                suggestion = search.suggest()
                running[self._launch(suggestion.hyperparameters)] = suggestion
            if not running:
                break
            self._suspended.wait(POLL_SECONDS)
        return ending or self._verdict()

    def _launch(self, tuned: dict[str, str]) -> TuningTrial:
        name = f"{self.name}-{len(self.trials) + 1:03d}-{secrets.token_hex(4)}"
        trial = table_of("training-job", self.region)[name] = TuningTrial(self, name, tuned)
        self.trials.append(trial)
        trial.start()
        return trial

    def _ending(self) -> tuple[str, str | None] | None:
        """How the job ends, where it is to end before its last trial has: status and reason."""
        if self.status == "Stopping":
            return "Stopped", None
        ended = [trial for trial in self.trials if trial.status not in UNFINISHED]
        if len(ended) >= HOPELESS and self._verdict()[0] == "Failed":
            return self._verdict()
        limit = config_of(self.request)["ResourceLimits"].get("MaxRuntimeInSeconds", math.inf)
        if (now() - self.created).total_seconds() > limit or self._is_good_enough():
            return "Completed", None
        return None

    def _is_good_enough(self) -> bool:
        """Whether one of the request's completion criteria is met."""
        criteria = config_of(self.request).get("TuningJobCompletionCriteria") or {}
        target, best = criteria.get("TargetObjectiveMetricValue"), self.best(self.trials)
        if target is not None and best is not None and self._gain(best.value) >= self._gain(target):
            return True
        patience = (criteria.get("BestObjectiveNotImproving") or {}).get("MaxNumberOfTrainingJobsNotImproving")
        return patience is not None and self._not_improving() >= patience

    def _not_improving(self) -> int:
        """How many trials have ended since the best one that was better than the best before by IMPROVEMENT."""
        ended = sorted((trial for trial in self.trials if trial.value is not None), key=lambda trial: trial.ended)
        best, count = -math.inf, 0
        for gain in (self._gain(trial.value) for trial in ended):
            if gain > best + (IMPROVEMENT * abs(best) if math.isfinite(best) else 0):
                best, count = gain, 0
            else:
                count += 1
        return count

    def _verdict(self) -> tuple[str, str | None]:
        """Completed where at least one trial gave an objective; else Failed, with what the last one says."""
        if any(trial.objective_status != "Failed" for trial in self.trials):
            return "Completed", None
        last = self.trials[-1]
        if last.failure_reason:
            return "Failed", f"None of {len(self.trials)} training jobs succeeded. {last.name}: {last.failure_reason}"
        return "Failed", (
            f"None of {len(self.trials)} training jobs reported the objective {last.objective['MetricName']}. See that "
            "the program prints it as the regular expression of its metric definition has it."
        )

    @property
    def _is_continuation(self) -> bool:
        """Whether the parents' results compare with this job's."""
        return (self.request.get("WarmStartConfig") or {}).get("WarmStartType") == IDENTICAL

    def _gain(self, value: float) -> float:
        """The objective, turned so that more is better."""
        return value if objective_of(self.request)["Type"] == "Maximize" else -value

    # --- the status ---

    def _finish(self, outcome: str, reason: str | None) -> None:
        self.failure_reason = reason[:MAX_REASON_CHARS] if reason else None
        self.ended = now()
        self._change(outcome)

    def _change(self, status: str) -> None:
        self.modified = now()
        self.status = status
        state.touch()


def _follow(search: Search, running: dict[TuningTrial, Suggestion]) -> None:
    """Bring the search what the running trials logged, stop those that it gives up, take out those that ended."""
    for trial, suggestion in list(running.items()):
        ended = trial.status not in UNFINISHED  # before its values are read, so that none can come after
        new = trial.values[len(suggestion.reported) :]
        if new and not search.is_worth_finishing(suggestion, new):
            _stop([trial])
        if ended:
            del running[trial]
            search.close(suggestion, trial.value, stopped=trial.status == "Stopped")


def _stop(trials: Iterable[TuningTrial]) -> None:
    """Stop those that run. One whose program has ended brings its model to S3 unhindered: nothing is won any more."""
    for trial in trials:
        if trial.status == "InProgress" and trial.secondary_status != "Uploading":
            trial.stop()
