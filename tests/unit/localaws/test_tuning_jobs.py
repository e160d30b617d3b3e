"""Tuning jobs as a client sees them: which training jobs run, what is found in their logs, how each job ends."""

import re
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from localaws.services.sagemaker.tuning.job import TuningJob
from tests.unit.localaws.sagemaker_helpers import TRAINING_LOGS, unique
from tests.unit.localaws.tuning_helpers import PARABOLA, Tuning

HANGING = "import time\nprint('score=1.0', flush=True)\ntime.sleep(1000)\n"
BY_BATCH = {"CategoricalParameterRanges": [{"Name": "batch", "Values": ["16", "32"]}]}


@pytest.fixture
def tuning(localaws, wait_until) -> Tuning:
    return Tuning(localaws, wait_until)


def test_trials_are_training_jobs_and_the_best_of_them_wins(tuning):
    name = tuning.tune(PARABOLA, 4, 2)
    job = tuning.tuned(name)

    assert (job["HyperParameterTuningJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert job["TrainingJobStatusCounters"]["Completed"] == job["ObjectiveStatusCounters"]["Succeeded"] == 4
    trials = tuning.trials(name)
    assert all(
        re.fullmatch(rf"{name}-00{number}-[0-9a-f]{{8}}", trial["TrainingJobName"])
        for number, trial in enumerate(trials, 1)
    )
    scores = [trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for trial in trials]
    best = trials[scores.index(max(scores))]
    assert job["BestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]
    assert "OverallBestTrainingJob" not in job
    by_score = tuning.trials(name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending", MaxResults=1)
    assert by_score == [best]

    lr = best["TunedHyperParameters"]["lr"]
    assert tuning.files(f"out/{best['TrainingJobName']}/output/model.tar.gz") == {"lr": str(float(lr))}
    described = tuning.api.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert described["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert described["HyperParameters"]["_tuning_objective_metric"] == "score"
    assert described["AlgorithmSpecification"]["MetricDefinitions"] == [
        {"Name": "score", "Regex": r"\bscore=([0-9.]+)"}
    ]
    command = next(line for line in tuning.log(TRAINING_LOGS, best["TrainingJobName"]) if "train.py" in line)
    assert command.endswith(f"train.py --lr {float(lr)}")


def test_the_objective_is_the_last_value_in_the_log(tuning):
    name = tuning.tune("print('score=3')\nprint('score=9')\nprint('bad_score=99')\nprint('score=4.5 epochs=2')\n", 1)

    assert tuning.tuned(name)["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "Type": "Maximize",
        "MetricName": "score",
        "Value": 4.5,
    }


def test_as_many_trials_run_at_once_as_were_asked_for(tuning):
    name = tuning.tune(HANGING, 5, 2)
    tuning.until(lambda: len(tuning.trials(name, StatusEquals="InProgress")) == 2, "two trials run")
    (first, second) = tuning.trials(name)

    tuning.until(lambda: tuning.log(TRAINING_LOGS, second["TrainingJobName"]), "the second one runs its program")
    tuning.api.stop_training_job(TrainingJobName=first["TrainingJobName"])
    tuning.finished(first["TrainingJobName"])
    tuning.until(lambda: len(tuning.trials(name)) == 3, "a third follows the first")

    assert len(tuning.trials(name, StatusEquals="InProgress")) == 2
    tuning.api.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert tuning.described(name)["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
    job = tuning.tuned(name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert {trial["TrainingJobStatus"] for trial in tuning.trials(name)} == {"Stopped"}
    assert job["TrainingJobStatusCounters"]["Stopped"] == 3
    assert "BestTrainingJob" not in job
    with pytest.raises(ClientError, match="status Stopped"):
        tuning.api.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_a_grid_tries_every_combination_once(tuning):
    ranges = [{"Name": "lr", "Values": ["0.1", "0.01"]}, {"Name": "batch", "Values": ["16", "32"]}]
    name = tuning.tune(PARABOLA, None, 2, "Grid", ParameterRanges={"CategoricalParameterRanges": ranges})

    assert tuning.tuned(name)["HyperParameterTuningJobStatus"] == "Completed"
    tried = sorted(tuple(sorted(trial["TunedHyperParameters"].items())) for trial in tuning.trials(name))
    assert tried == [(("batch", batch), ("lr", lr)) for batch in ("16", "32") for lr in ("0.01", "0.1")]


def test_the_same_seed_tries_the_same(tuning):
    names = [tuning.tune(PARABOLA, 3, 1, "Bayesian", RandomSeed=seed) for seed in (7, 7, 8)]
    for name in names:
        tuning.tuned(name)
    first, second, other = ([trial["TunedHyperParameters"] for trial in tuning.trials(name)] for name in names)

    assert first == second != other


def test_a_failed_trial_is_counted_and_does_not_end_the_search(tuning):
    program = (
        f"import sys\nif '32' in sys.argv: raise ValueError('too large')\nsys.argv += ['--lr', '0.01']\n{PARABOLA}"
    )
    name = tuning.tune(program, None, 1, "Grid", ParameterRanges=BY_BATCH)
    job = tuning.tuned(name)

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == job["ObjectiveStatusCounters"]["Failed"] == 1
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"batch": "16"}
    (failed,) = tuning.trials(name, StatusEquals="Failed")
    assert "too large" in failed["FailureReason"]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise ValueError('no data')\n", "None of 5 training jobs succeeded.*ValueError: no data"),
        ("print('scores: 3')\n", "None of 5 training jobs reported the objective score"),
    ],
)
def test_a_search_that_yields_nothing_fails_with_the_reason_before_all_trials_are_spent(tuning, program, reason):
    job = tuning.tuned(tuning.tune(program, 20, 1))

    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert re.match(reason, job["FailureReason"], re.DOTALL)
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 5}


def test_early_stopping_ends_a_trial_that_is_worse_than_the_median(tuning):
    program = """
import sys, time
good = '16' in sys.argv
print('score=0.9' if good else 'score=0.5')
if not good: time.sleep(1000)
"""
    early = {"TrainingJobEarlyStoppingType": "Auto", "ParameterRanges": BY_BATCH}
    job = tuning.tuned(tuning.tune(program, None, 1, "Grid", **early))

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1
    assert job["ObjectiveStatusCounters"]["Succeeded"] == 2
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"batch": "16"}


def test_hyperband_stops_trials_between_its_bounds(tuning):
    """Every trial is worse than the one before, so all but the first end at the first rung, their third epoch."""
    program = """
import os, time
rank = int(os.environ["TRAINING_JOB_NAME"].split("-")[-2])
for epoch in range(1, 9):
    print(f"score={1 / rank}")
    if rank > 1 and epoch == 3: time.sleep(1000)
"""
    bounds = {"HyperbandStrategyConfig": {"MinResource": 3, "MaxResource": 8}}
    name = tuning.tune(program, 4, 1, "Hyperband", StrategyConfig=bounds)
    job = tuning.tuned(name)

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert [trial["TrainingJobStatus"] for trial in tuning.trials(name)] == ["Completed"] + ["Stopped"] * 3
    assert job["BestTrainingJob"] == tuning.trials(name)[0]


@pytest.mark.parametrize(
    "criteria",
    [
        {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 5.0}},
        {"TuningJobCompletionCriteria": {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}},
    ],
)
def test_a_completion_criterion_ends_the_search(tuning, criteria):
    job = tuning.tuned(tuning.tune("print('score=5.0')\n", 30, 1, **criteria))

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] < 6
    done = job["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"]
    assert done == job["TrainingJobStatusCounters"]["Completed"] - 1


def test_a_job_past_its_time_is_over(tuning):
    """The shortest limit that AWS takes is two minutes, so the clock is moved and no trial is started."""
    request = tuning.request(HANGING, 5, 1)
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxRuntimeInSeconds"] = 120
    job = TuningJob("past", "us-east-1", request, [])

    assert job._ending() is None
    job.created -= timedelta(seconds=121)
    assert job._ending() == ("Completed", None)


def test_a_tuning_job_and_its_trials_have_the_tags_that_were_given(tuning):
    tags = [{"Key": "project", "Value": "test"}]
    request = {**tuning.request(PARABOLA, 1), "Tags": tags}
    job = tuning.tuned(tuning.start(request))

    for arn in (job["HyperParameterTuningJobArn"], job["BestTrainingJob"]["TrainingJobArn"]):
        assert tuning.api.list_tags(ResourceArn=arn)["Tags"] == tags


def test_tuning_jobs_are_listed_with_their_counters(tuning):
    name = tuning.tune(PARABOLA, 2)
    tuning.tuned(name)
    listed = tuning.api.list_hyper_parameter_tuning_jobs(NameContains=name, StatusEquals="Completed")

    (summary,) = listed["HyperParameterTuningJobSummaries"]
    assert (summary["HyperParameterTuningJobName"], summary["Strategy"]) == (name, "Random")
    assert summary["TrainingJobStatusCounters"]["Completed"] == 2


def test_a_name_is_used_once_and_an_unknown_one_is_not_found(tuning):
    request = tuning.request(PARABOLA, 1)
    tuning.start(request)
    with pytest.raises(ClientError) as caught:
        tuning.start(request)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    for operation in ("describe_hyper_parameter_tuning_job", "stop_hyper_parameter_tuning_job"):
        with pytest.raises(ClientError) as caught:
            getattr(tuning.api, operation)(HyperParameterTuningJobName=unique("nobody"))
        assert caught.value.response["Error"]["Code"] == "ResourceNotFound"
