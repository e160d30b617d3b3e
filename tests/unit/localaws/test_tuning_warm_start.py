"""What a tuning job starts from, what it refuses, and what is left of it when the server ends."""

import pytest
from botocore.exceptions import ClientError

from tests.unit.localaws.sagemaker_helpers import unique
from tests.unit.localaws.tuning_helpers import LR, PARABOLA, Tuning

HANGING = "import time\nprint('score=1.0', flush=True)\ntime.sleep(1000)\n"


@pytest.fixture
def tuning(localaws, wait_until) -> Tuning:
    return Tuning(localaws, wait_until)


def warm(request: dict, kind: str, *parents: str) -> dict:
    named = [{"HyperParameterTuningJobName": parent} for parent in parents]
    return {**request, "WarmStartConfig": {"ParentHyperParameterTuningJobs": named, "WarmStartType": kind}}


def test_a_warm_start_remembers_the_best_of_its_parents(tuning):
    parent = tuning.tune(PARABOLA, 4, 2)
    found = tuning.tuned(parent)["BestTrainingJob"]
    request = tuning.request("print('score=0.1')\nimport sys\n", 1, 1, "Bayesian")
    child = tuning.tuned(tuning.start(warm(request, "IdenticalDataAndAlgorithm", parent)))

    assert child["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx(0.1)
    assert child["OverallBestTrainingJob"]["TrainingJobName"] == found["TrainingJobName"]
    assert child["OverallBestTrainingJob"]["TuningJobName"] == parent
    assert child["TrainingJobStatusCounters"]["Completed"] == 1
    assert child["WarmStartConfig"]["WarmStartType"] == "IdenticalDataAndAlgorithm"


def test_a_warm_start_searches_where_its_parent_was_good(tuning):
    """The parent knows nine learning rates, the best 0.01; with this seed and without them the first would be 0.74."""
    values = [str(10.0**-power) for power in (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4)]
    grid = {"CategoricalParameterRanges": [{"Name": "lr", "Values": values}]}
    parent = tuning.tune(PARABOLA, None, 3, "Grid", ParameterRanges=grid)
    tuning.tuned(parent)
    request = tuning.request(PARABOLA, 3, 1, "Bayesian", RandomSeed=4)
    child = tuning.start(warm(request, "TransferLearning", parent))

    assert "OverallBestTrainingJob" not in tuning.tuned(child)
    tried = [float(trial["TunedHyperParameters"]["lr"]) for trial in tuning.trials(child)]
    assert all(0.003 < lr < 0.03 for lr in tried), tried


def test_a_parent_must_fit_and_have_ended(tuning):
    parent = tuning.tune(HANGING, 1)
    request = tuning.request(PARABOLA, 1)
    refused(tuning, warm(request, "IdenticalDataAndAlgorithm", parent), "has not ended: it is InProgress")
    tuning.api.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=parent)
    tuning.tuned(parent)
    request["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"] = "training:2"

    refused(tuning, warm(request, "IdenticalDataAndAlgorithm", parent), "needs the training image and the input data")
    tuning.tuned(tuning.start(warm(request, "TransferLearning", parent)))
    request["HyperParameterTuningJobName"] = unique("tune")
    request["TrainingJobDefinition"]["StaticHyperParameters"]["epochs"] = "3"
    refused(tuning, warm(request, "TransferLearning", parent), "their number must stay the same")
    config = request["HyperParameterTuningJobConfig"]
    config["HyperParameterTuningJobObjective"]["Type"] = "Minimize"
    refused(tuning, warm(request, "TransferLearning", parent), "has another objective")
    config["Strategy"] = "Hyperband"
    refused(tuning, warm(request, "TransferLearning", parent), "Bayesian and Random")
    with pytest.raises(ClientError) as caught:
        tuning.start(warm(request, "TransferLearning", unique("nobody")))
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"


def refused(tuning: Tuning, request: dict, message: str) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        tuning.start(request)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


CATEGORIES = {"CategoricalParameterRanges": [{"Name": "lr", "Values": ["1", "2"]}]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"jobs": None}, "MaxNumberOfTrainingJobs is required"),
        ({"ParameterRanges": {}}, "at least one range"),
        (
            {"ParameterRanges": {"AutoParameters": [{"Name": "lr", "ValueHint": "1"}]}},
            "does not support AutoParameters",
        ),
        ({"strategy": "Grid"}, "only categorical ranges"),
        ({"strategy": "Grid", "ParameterRanges": CATEGORIES}, "The grid has 2 combinations"),
        ({"strategy": "Hyperband"}, "Hyperband needs MaxResource"),
        (
            {"strategy": "Hyperband", "TrainingJobEarlyStoppingType": "Auto"},
            "set TrainingJobEarlyStoppingType to Off",
        ),
        (
            {
                "strategy": "Hyperband",
                "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 9, "MaxResource": 9}},
            },
            "MinResource",
        ),
        ({"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 9}}}, "is for the strategy Hyperband"),
        (
            {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "nothing"}},
            "A metric is required for this hyperparameter tuning job objective",
        ),
        (
            {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}},
            "does not detect convergence",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_at_once(tuning, config, message):
    refused(tuning, tuning.request(PARABOLA, **config), message)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"StaticHyperParameters": {"lr": "0.1"}}, "either static or has a range"),
        ({"CheckpointConfig": {"S3Uri": "s3://bucket/x"}}, "does not support checkpoints"),
        ({"HyperParameterRanges": {"ContinuousParameterRanges": [LR]}}, "does not support ranges of the definition"),
        ({"RoleArn": "arn:aws:iam::role/short"}, "roleArn"),
    ],
)
def test_a_definition_that_cannot_run_is_refused_at_once(tuning, definition, message):
    request = tuning.request(PARABOLA)
    request["TrainingJobDefinition"] |= definition
    refused(tuning, request, message)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_ends_fails_the_job_and_keeps_what_was_found(own_server, wait_until, end):
    tuning = Tuning(own_server.start(), wait_until)
    program = (
        f"import os\nif '-002-' in os.environ['TRAINING_JOB_NAME']:\n    {HANGING.replace(chr(10), chr(10) + '    ')}"
    )
    name = tuning.tune(f"{program}\nelse: print('score=2.0')\n", 3)
    first = tuning.until(lambda: tuning.described(name).get("BestTrainingJob"), "the first trial has ended")
    tuning.until(lambda: len(tuning.trials(name)) == 2, "the second trial runs")
    if end == "kill":
        tuning.until(lambda: kept(own_server), "a snapshot is written")
    getattr(own_server, end)()
    own_server.start()

    job = tuning.tuned(name)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "the local AWS was stopped while the tuning job was running" in job["FailureReason"]
    assert job["BestTrainingJob"]["TrainingJobName"] == first["TrainingJobName"]
    assert [trial["TrainingJobStatus"] for trial in tuning.trials(name)] == ["Completed", "Failed"]
    again = tuning.start(warm(tuning.request(PARABOLA, 1), "IdenticalDataAndAlgorithm", name))
    assert tuning.tuned(again)["HyperParameterTuningJobStatus"] == "Completed"


def kept(server) -> bool:
    """Whether the second trial is in the snapshot."""
    path = server.home / "state" / "backends.pickle"
    return path.exists() and b"-002-" in path.read_bytes()
