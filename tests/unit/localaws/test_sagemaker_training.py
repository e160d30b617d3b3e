"""Training jobs as a client sees them: what reaches the program, what reaches S3 and the log, how each kind ends."""

import itertools
import re

import pytest
from botocore.exceptions import ClientError

from localaws.supervisor import start_time
from tests.unit.localaws.sagemaker_helpers import TAKES_TOO_MUCH, TRAINING_LOGS, SageMaker, unique

HANGING = "import time\nprint('waiting', flush=True)\ntime.sleep(1000)\n"
LEARNING = """
import json, os, pathlib, sys
channel = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
found = {str(path.relative_to(channel)): path.read_text() for path in sorted(channel.rglob("*")) if path.is_file()}
print("epoch=1 acc=0.5")
print("epoch=2 acc=0.75")
model = {"arguments": sys.argv[1:], "files": found, "region": os.environ["AWS_REGION"], "extra": os.environ["EXTRA"]}
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(model))
folder = pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "deep")
folder.mkdir(parents=True)
(folder / "metrics.txt").write_text("good")
"""


@pytest.fixture
def sagemaker(localaws, wait_until) -> SageMaker:
    return SageMaker(localaws, wait_until)


def stages(job: dict) -> list[str]:
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def test_a_job_turns_inputs_into_artifacts(sagemaker):
    for key in ("train/a/1.txt", "train/b/2.txt", "trainer/other.txt"):
        sagemaker.put(f"data/{key}", key)
    name = sagemaker.job(
        LEARNING,
        {"lr": "0.1", "fine-tune": "True", "epochs": "2"},
        InputDataConfig=[sagemaker.channel("train", f"s3://{sagemaker.bucket}/data/train/")],
        AlgorithmSpecification={
            "TrainingImage": "training:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "accuracy", "Regex": "acc=([0-9.]+)"}, {"Name": "never", "Regex": "x=(.*)"}],
        },
        Environment={"EXTRA": "given"},
        Tags=[{"Key": "project", "Value": "test"}],
    )
    job = sagemaker.finished(name)
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert stages(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    times = [(each["StartTime"], each["EndTime"]) for each in job["SecondaryStatusTransitions"]]
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(times))
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
    assert [(each["MetricName"], each["Value"]) for each in job["FinalMetricDataList"]] == [("accuracy", 0.75)]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{sagemaker.bucket}/out/{name}/output/model.tar.gz"

    (text,) = sagemaker.files(f"out/{name}/output/model.tar.gz").values()
    assert '"arguments": ["--epochs", "2", "--fine-tune", "True", "--lr", "0.1"]' in text
    assert '"files": {"a/1.txt": "train/a/1.txt", "b/2.txt": "train/b/2.txt"}' in text
    assert '"region": "us-east-1", "extra": "given"' in text
    assert sagemaker.files(f"out/{name}/output/output.tar.gz") == {"deep/metrics.txt": "good"}
    assert sagemaker.log(TRAINING_LOGS, f"{name}/algo-1-")[-2:] == ["epoch=1 acc=0.5", "epoch=2 acc=0.75"]
    summaries = sagemaker.api.list_training_jobs(NameContains=name, StatusEquals="Completed")["TrainingJobSummaries"]
    assert [each["TrainingJobName"] for each in summaries] == [name]
    assert sagemaker.api.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == [{"Key": "project", "Value": "test"}]


def test_lines_reach_the_log_while_the_program_runs_and_a_stop_keeps_its_work(sagemaker):
    program = """
import os, pathlib, signal, sys, time
def save(*_):
    pathlib.Path(os.environ["SM_MODEL_DIR"], "saved").write_text("work")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("waiting")
time.sleep(1000)
"""
    name = sagemaker.job(program)
    sagemaker.until(lambda: "waiting" in sagemaker.log(TRAINING_LOGS, name), "the line is in the log")
    assert sagemaker.api.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training"
    sagemaker.api.stop_training_job(TrainingJobName=name)
    assert sagemaker.api.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = sagemaker.finished(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert stages(job)[-3:] == ["Stopping", "Uploading", "Stopped"]
    assert sagemaker.files(f"out/{name}/output/model.tar.gz") == {"saved": "work"}
    with pytest.raises(ClientError, match="status Stopped"):
        sagemaker.api.stop_training_job(TrainingJobName=name)


def test_a_program_that_raises_fails_the_job_with_its_last_words(sagemaker):
    name = sagemaker.job("def train():\n    raise ValueError('labels ' + 'missing ' * 300)\ntrain()\n")
    job = sagemaker.finished(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith(
        "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage \"raise ValueError('labels '"
    )
    assert len(job["FailureReason"]) == 1024
    assert "ValueError: labels missing missing" in job["FailureReason"]
    assert "Traceback (most recent call last):" in sagemaker.log(TRAINING_LOGS, name)
    assert "ModelArtifacts" not in job or not job["ModelArtifacts"]


def test_what_a_program_writes_to_output_failure_is_the_reason(sagemaker):
    program = """
import os, pathlib
pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("the test split is empty")
raise SystemExit(3)
"""
    job = sagemaker.finished(sagemaker.job(program))
    assert job["FailureReason"] == "AlgorithmError: the test split is empty, exit code: 1"


def test_a_job_past_its_time_is_stopped_with_what_it_has(sagemaker):
    job = sagemaker.finished(sagemaker.job(HANGING, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/output/model.tar.gz")


def test_a_job_ends_all_that_its_program_started(sagemaker):
    """A worker in a session of its own, as torchrun makes them, outlives a signal to the group but not the job."""
    program = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
print("worker", worker.pid)
"""
    name = sagemaker.job(program)
    assert sagemaker.finished(name)["TrainingJobStatus"] == "Completed"
    (line,) = [line for line in sagemaker.log(TRAINING_LOGS, name) if line.startswith("worker ")]

    assert start_time(int(line.split()[1])) is None


def test_several_instances_see_each_other_and_their_share_of_the_data(sagemaker):
    for number in range(4):
        sagemaker.put(f"data/{number}.txt", "")
    program = """
import os, pathlib, socket, time
host, hosts = os.environ["SM_CURRENT_HOST"], os.environ["SM_HOSTS"]
files = sorted(path.name for path in pathlib.Path(os.environ["SM_CHANNEL_PART"]).iterdir())
everything = sorted(path.name for path in pathlib.Path(os.environ["SM_CHANNEL_WHOLE"]).iterdir())
address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if host == "algo-1":
    with socket.create_server(address) as server:
        server.settimeout(60)
        connection, _ = server.accept()
        print("met by", connection.recv(100).decode())
else:
    for _ in range(600):
        try:
            socket.create_connection(address).sendall(host.encode())
            break
        except OSError:
            time.sleep(0.05)
print(hosts, files, len(everything))
pathlib.Path(os.environ["SM_MODEL_DIR"], host).write_text(host)
pathlib.Path(os.environ["SM_MODEL_DIR"], "same").write_text(host)
"""
    uri = f"s3://{sagemaker.bucket}/data"
    name = sagemaker.job(
        program,
        InputDataConfig=[
            sagemaker.channel("part", uri, S3DataDistributionType="ShardedByS3Key"),
            sagemaker.channel("whole", uri),
        ],
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
    )
    job = sagemaker.finished(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    first, second = (sagemaker.log(TRAINING_LOGS, f"{name}/algo-{number}-") for number in (1, 2))
    assert "met by algo-2" in first
    assert first[-1] == """["algo-1","algo-2"] ['0.txt', '2.txt'] 4"""
    assert second[-1] == """["algo-1","algo-2"] ['1.txt', '3.txt'] 4"""
    files = sagemaker.files(f"out/{name}/output/model.tar.gz")
    assert files == {"algo-1": "algo-1", "algo-2": "algo-2", "same": "algo-1"}


def test_one_instance_that_fails_ends_the_others_and_the_job(sagemaker):
    program = f"import os\nif os.environ['SM_CURRENT_HOST'] == 'algo-2': raise OSError('no disk')\n{HANGING}"
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = sagemaker.finished(sagemaker.job(program, ResourceConfig=resources))
    assert job["TrainingJobStatus"] == "Failed"
    assert "OSError: no disk" in job["FailureReason"]


def test_checkpoints_go_to_s3_while_the_program_runs_and_come_back_for_the_next_job(sagemaker):
    program = """
import os, pathlib, time
folder = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
before = sorted(path.name for path in folder.iterdir())
print("found", before)
(folder / f"epoch-{len(before)}").write_text("weights")
while not before: time.sleep(0.05)
"""
    uri = f"s3://{sagemaker.bucket}/checkpoints/run"
    first = sagemaker.job(program, CheckpointConfig={"S3Uri": uri})
    s3 = sagemaker.server.client("s3")
    sagemaker.until(
        lambda: s3.list_objects_v2(Bucket=sagemaker.bucket, Prefix="checkpoints/").get("KeyCount"), "it is in S3"
    )
    sagemaker.api.stop_training_job(TrainingJobName=first)
    sagemaker.finished(first)
    second = sagemaker.job(program, CheckpointConfig={"S3Uri": uri})
    assert sagemaker.finished(second)["TrainingJobStatus"] == "Completed"
    assert "found ['epoch-0']" in sagemaker.log(TRAINING_LOGS, second)
    found = s3.list_objects_v2(Bucket=sagemaker.bucket, Prefix="checkpoints/")["Contents"]
    assert [each["Key"] for each in found] == ["checkpoints/run/epoch-0", "checkpoints/run/epoch-1"]


def test_requirements_that_cannot_be_had_fail_the_job_before_the_program_runs(sagemaker):
    files = {"requirements.txt": "boto3\n./not-a-package\n"}
    name = sagemaker.job("print('ran')\n", files=files)
    job = sagemaker.finished(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "InstallRequirementsError" in job["FailureReason"]
    lines = sagemaker.log(TRAINING_LOGS, name)
    assert "Installing dependencies from requirements.txt: ./not-a-package" in lines
    assert "ran" not in lines


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"InputDataConfig": "s3://{bucket}/nothing/here"},
            'ClientError: Data download failed: no S3 objects found .*"s3',
        ),
        ({"InputDataConfig": "s3://no-such-bucket-at-all/x"}, "ClientError: Data download failed: NoSuchBucket"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket-at-all/x"}}, "ClientError: model.tar.gz cannot be"),
        ({"HyperParameters": {"sagemaker_program": "train.py"}}, "'train.py' is not in the source directory"),
        ({"HyperParameters": {"sagemaker_program": "../x.py"}}, "must be a plain path inside your source directory"),
        ({"HyperParameters": {"epochs": "1"}}, "The training entry point name is empty"),
    ],
)
def test_what_is_missing_fails_the_job_by_name(sagemaker, change, reason):
    if isinstance(change.get("InputDataConfig"), str):
        uri = change["InputDataConfig"].format(bucket=sagemaker.bucket)
        change = {"InputDataConfig": [sagemaker.channel("train", uri)]}
    job = sagemaker.finished(sagemaker.job("pass\n", **change))
    assert job["TrainingJobStatus"] == "Failed"

    assert re.search(reason, job["FailureReason"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RoleArn": "arn:aws:iam::role/short"}, "roleArn"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "i",
                    "TrainingInputMode": "File",
                    "ContainerArguments": ["x"],
                }
            },
            "does not have the entry point of an image",
        ),
        ({"hyperparameters": {"sagemaker_mpi_enabled": "true"}}, "sagemaker_mpi_enabled"),
        (
            {"InputDataConfig": [{"ChannelName": "train", "CompressionType": "Gzip", "DataSource": {}}]},
            "cannot be fetched",
        ),
    ],
)
def test_what_cannot_run_is_refused_at_once(sagemaker, change, message):
    with pytest.raises(ClientError, match=message) as caught:
        sagemaker.job("pass\n", **change)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_an_entry_point_runs_in_the_place_of_script_mode(sagemaker):
    code = sagemaker.put("entry/code/note.txt", "a note").removesuffix("note.txt")
    program = "cat /opt/ml/input/data/code/note.txt; cp /opt/ml/input/config/hyperparameters.json /opt/ml/model"
    algorithm = {
        "TrainingImage": "training:1",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/sh"],
        "ContainerArguments": ["-c", f"{program}; env"],
    }
    channel = sagemaker.channel("code", code)
    name = sagemaker.job("", AlgorithmSpecification=algorithm, InputDataConfig=[channel], HyperParameters={"lr": "1"})
    job = sagemaker.finished(name)
    if "namespaces" in job.get("FailureReason", ""):
        pytest.skip("this machine has no mount namespaces")
    lines = sagemaker.log(TRAINING_LOGS, name)
    assert job["TrainingJobStatus"] == "Completed", lines
    assert any("a note" in line for line in lines)
    assert f"TRAINING_JOB_NAME={name}" in lines
    assert not any(line.startswith("SM_") for line in lines)
    assert sagemaker.files(f"out/{name}/output/model.tar.gz") == {"hyperparameters.json": '{"lr": "1"}'}


def test_a_name_is_used_once_and_an_unknown_one_is_not_found(sagemaker):
    name = sagemaker.job("pass\n")
    with pytest.raises(ClientError) as caught:
        sagemaker.api.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": "i", "TrainingInputMode": "File"},
            OutputDataConfig={"S3OutputPath": f"s3://{sagemaker.bucket}/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
            RoleArn="arn:aws:iam::123456789012:role/r",
        )
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.api.describe_training_job(TrainingJobName=unique("nobody"))
    with pytest.raises(ClientError) as caught:
        sagemaker.api.stop_training_job(TrainingJobName=unique("nobody"))
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"


def test_a_program_that_does_not_fit_its_instance_is_killed_with_the_reason(sagemaker):
    resources = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
    described = sagemaker.finished(sagemaker.job(TAKES_TOO_MUCH, ResourceConfig=resources))
    assert described["TrainingJobStatus"] == "Failed"
    assert "an ml.t3.medium has 4.0 GiB. It is killed." in described["FailureReason"]
    assert "OutOfMemory: Process killed by SIGKILL" in described["FailureReason"]
