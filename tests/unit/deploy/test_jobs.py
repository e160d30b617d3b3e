"""Which jobs belong to a stack: names of stacks may begin alike."""

import pytest

from deploy.sagemaker import jobs, tuning
from deploy.sagemaker.jobs import belongs


@pytest.mark.parametrize(
    "job",
    [
        jobs.new_name("pawprint", "train"),
        tuning.new_name("pawprint"),
        f"{tuning.new_name('pawprint')}-003-0123abcd",
        "pawprint-train2-00ab3f",  # of the notebook
        "pawprint-tune-ffab3f-001-0123abcd",
    ],
    ids=["train", "tune", "trial", "train of the notebook", "trial of the notebook"],  # a name has the time
)
def test_a_job_of_this_stack_belongs_to_it(job: str):
    assert belongs("pawprint", job)


@pytest.mark.parametrize(
    "other", ["pawprint-dev", "pawprint-train", "pawprint-tune", "pawprint-train-a", "my-pawprint"]
)
@pytest.mark.parametrize("kind", ["train", "tune"])
def test_a_job_of_a_stack_whose_name_begins_alike_does_not(other: str, kind: str):
    assert not belongs("pawprint", jobs.new_name(other, kind))
    assert belongs(other, jobs.new_name(other, kind))


def test_a_long_name_of_a_stack_leaves_a_tuning_job_that_belongs_to_it():
    stack = "a-name-of-twenty-chr"
    assert belongs(stack, tuning.new_name(stack))


def test_the_log_streams_of_another_stack_stay(account):
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    for name in ("pawprint-train-20261129-100000/algo-1-1", "pawprint-dev-train-20261129-100000/algo-1-1"):
        logs.create_log_stream(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=name)
    jobs.delete_log_streams(account.deployment, account.deployment.training_log_group)
    streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs")["logStreams"]
    assert [each["logStreamName"] for each in streams] == ["pawprint-dev-train-20261129-100000/algo-1-1"]
    logs.delete_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
