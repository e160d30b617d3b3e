"""The instances of a tuning job's trials, in either of the members that name them."""

import pytest
from moto.core.exceptions import ServiceException

from localaws.services.sagemaker.tuning.request import check_request, trial_request

RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
METRIC = {"Name": "loss", "Regex": "loss: (.*)"}


def request(**resources: dict) -> dict:
    objective = {"Type": "Minimize", "MetricName": "loss"}
    ranges = {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.1", "MaxValue": "1"}]}
    config = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": objective,
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
        "ParameterRanges": ranges,
    }
    definition = {
        "AlgorithmSpecification": {"TrainingInputMode": "File", "MetricDefinitions": [METRIC]},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **resources,
    }
    return {"HyperParameterTuningJobConfig": config, "TrainingJobDefinition": definition}


@pytest.mark.parametrize("member", ["ResourceConfig", "HyperParameterTuningResourceConfig"])
def test_a_trial_has_the_instances_of_the_definition(member):
    asked = request(**{member: RESOURCES})
    check_request(asked)
    assert trial_request(asked, "trial", {})["ResourceConfig"] == RESOURCES


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({}, "needs a ResourceConfig"),
        ({"ResourceConfig": RESOURCES, "HyperParameterTuningResourceConfig": RESOURCES}, "give one"),
        ({"HyperParameterTuningResourceConfig": {"InstanceConfigs": [RESOURCES]}}, "a choice of instances"),
        ({"HyperParameterTuningResourceConfig": {**RESOURCES, "AllocationStrategy": "Prioritized"}}, "a choice"),
    ],
)
def test_instances_that_cannot_be_had_are_refused(resources, words):
    with pytest.raises(ServiceException, match=words):
        check_request(request(**resources))
