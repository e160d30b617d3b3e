"""Training jobs that lose an instance or are interrupted, and what is left to go on from."""

import os
import signal

import pytest

from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.environment import Environment
from deploy.sagemaker import resume
from localaws.supervisor import start_time
from tests.unit.localaws.sagemaker_helpers import TRAINING_LOGS, SageMaker

TOGETHER = """
import os, torch
from torch import distributed
distributed.init_process_group("gloo")
print("process", os.getpid(), "of", os.getppid(), flush=True)
while True:
    distributed.all_reduce(torch.ones(1))
"""
# Counts its epochs in a checkpoint, and does not end by itself before the second.
COUNTING = """
import os, pathlib, sys, time
path = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints" / "epochs"
epochs = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(epochs))
print("epoch", epochs, "as", sys.argv[1:], flush=True)
while epochs < 2:
    time.sleep(1)
"""


@pytest.fixture
def sagemaker(localaws, wait_until) -> SageMaker:
    return SageMaker(localaws, wait_until)


@pytest.fixture
def deployment(localaws, sagemaker, tmp_path, monkeypatch) -> Deployment:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", localaws.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    env = Environment(name="local", home=tmp_path, rehearsed=True)
    outputs = {"name": "resumed", "region": "us-east-1", "training_instance_type": "ml.m5.large"}
    return Deployment(env, outputs | {"artifacts_bucket": sagemaker.bucket})


def test_a_lost_instance_fails_the_job_by_name_and_nothing_is_left_running(sagemaker):
    name = sagemaker.job(
        TOGETHER,
        {"sagemaker_torch_distributed_enabled": "true"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
    )

    def processes(host: str = "") -> list[list[int]]:
        lines = [line.split() for line in sagemaker.log(TRAINING_LOGS, f"{name}/{host}")]
        return [[int(words[1]), int(words[3])] for words in lines if words[:1] == ["process"]]

    sagemaker.until(lambda: len(processes()) == 2, "both instances have met")
    everything = [pid for pair in processes() for pid in pair]
    ((_, launcher),) = processes("algo-2-")
    os.killpg(launcher, signal.SIGKILL)

    job = sagemaker.finished(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: on algo-2: ")
    assert "ExitCode -9" in job["FailureReason"]  # SIGKILL, as Python reports it and the toolkit quotes it
    assert [pid for pid in everything if start_time(pid)] == []


def interrupted(sagemaker: SageMaker, **request) -> str:
    """A job that was stopped after its first epoch, which is in S3."""
    checkpoints = f"s3://{sagemaker.bucket}/checkpoints/run"
    name = sagemaker.job(COUNTING, {"lr": "0.5"}, CheckpointConfig={"S3Uri": checkpoints}, **request)
    s3 = sagemaker.server.client("s3")
    sagemaker.until(
        lambda: s3.list_objects_v2(Bucket=sagemaker.bucket, Prefix="checkpoints/").get("KeyCount"),
        "the checkpoint is in S3 while the job runs",
    )
    sagemaker.api.stop_training_job(TrainingJobName=name)
    sagemaker.finished(name)
    return name


def test_an_interrupted_job_goes_on_from_its_checkpoint_with_its_own_settings(sagemaker, deployment):
    first = interrupted(sagemaker, Tags=[{"Key": "project", "Value": "test"}])
    second = resume.start_again(deployment, first)
    job = sagemaker.finished(second)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert sagemaker.log(TRAINING_LOGS, second)[-1] == "epoch 2 as ['--lr', '0.5']"
    assert job["HyperParameters"]["sagemaker_job_name"] == second
    assert sagemaker.api.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == [{"Key": "project", "Value": "test"}]

    with pytest.raises(Failure, match="was completed; there is nothing to resume"):
        resume.start_again(deployment, second)


def test_what_cannot_be_resumed_says_why(sagemaker, deployment):
    name = sagemaker.job("raise SystemExit(1)\n")
    sagemaker.finished(name)
    with pytest.raises(Failure, match="kept no checkpoints: only jobs started with SPOT=1 do"):
        resume.start_again(deployment, name)
    with pytest.raises(Failure, match="no training job nobody"):
        resume.start_again(deployment, "nobody")
