"""From labelled photographs to a URL with make targets only. The tests share one deployment and run in order."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from classifier import artifact

from deploy.build import package
from tests.conftest import ROOT
from tests.e2e import permissions
from tests.e2e.deployment import Deployment, wait_until

CURL = "curl -sS --aws-sigv4"


def curl_line(output: str) -> str:
    return next(line for line in output.splitlines() if line.startswith(CURL))


def ask(line: str) -> dict:
    """Run a pasted curl command. Returns the JSON answer."""
    answer = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=300, check=True)
    return json.loads(answer.stdout)


class Client(threading.Thread):
    """Sends five requests per second to the URL until it is stopped, and records every answer."""

    def __init__(self, line: str):
        super().__init__(daemon=True)
        self.line, self.answers, self.over = line, [], threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.answers.append(ask(self.line))

    def stop(self) -> list[dict]:
        self.over.set()
        self.join(60)
        return self.answers


def test_up_ends_with_a_curl_line_that_answers(deployment: Deployment):
    answer = ask(curl_line(deployment.first_output))

    assert answer["predictions"][0]["label"] in set("0123456789")
    assert answer["model"]["classes"] == 10
    assert answer["request_id"]


def test_a_plan_after_up_is_empty(deployment: Deployment):
    assert "No changes." in deployment.make("plan")


def test_packaging_again_writes_nothing_and_from_scratch_gives_the_same_bytes(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archives = [ROOT / "build" / made["file"] for made in package.read_manifest().values()]
    before = {path.name: path.stat().st_mtime_ns for path in archives}
    deployment.make("package")
    assert {path.name: path.stat().st_mtime_ns for path in archives} == before

    # Other tests deploy from the checkout's build folder at the same time.
    monkeypatch.setattr(package, "BUILD", tmp_path)
    again = [tmp_path / made["file"] for made in package.build().values()]
    assert len(again) >= 6
    assert [path.name for path in again if path.read_bytes() != (ROOT / "build" / path.name).read_bytes()] == []


@pytest.mark.soak
def test_a_worse_model_is_refused_unless_forced_and_the_rollback_is_listed(deployment: Deployment):
    before = json.loads(deployment.make("output"))["release"]
    deployment.make("train", "DATA=digits", "EPOCHS=1", "LR=0.0000001")

    refused = deployment.run("promote")

    assert refused.returncode != 0
    assert f"is significantly worse than {before}" in refused.stdout
    assert json.loads(deployment.make("output"))["release"] == before
    assert "is live" in deployment.make("promote", "FORCE=1")
    forced = json.loads(deployment.make("output"))["release"]
    assert f"{before} is live" in deployment.make("promote", "MODEL=previous")
    listed = deployment.make("releases").splitlines()
    assert re.search(rf"{before} +live; rolled back from {forced} ", listed[1])
    assert re.search(rf"{forced} +previous; forced ", listed[2])


@pytest.mark.slow
def test_dogs_are_trained_promoted_under_traffic_and_named(deployment: Deployment, dogs: Path):
    photograph = sorted((dogs / "test" / "014.Pug").iterdir())[0]
    line = deployment.make("curl", f"IMAGE={photograph}").strip()

    deployment.make("data", f"DATA={dogs}")
    trained = deployment.make("train")
    accuracy = float(re.findall(r"test accuracy ([0-9.]+)", trained)[-1])
    assert accuracy >= 0.93
    report = Path(re.search(r"^ +(\S+\.html)$", deployment.make("report", "BROWSER=true"), re.M)[1])
    assert f"<dd>{accuracy:.1%}</dd>" in report.read_text()
    assert report.read_text().count("data:image/jpeg") > 5, "the mistakes are shown"

    client = Client(line)
    client.start()
    deployment.make("promote")
    answers = client.stop()
    assert len(answers) > 10
    assert all("predictions" in answer for answer in answers), [a for a in answers if "error" in a][:3]
    classes = [answer["model"]["classes"] for answer in answers]
    assert (classes[0], classes[-1]) == (10, 20), "the canary has its share first, then the new model answers all"
    assert set(classes) == {10, 20}

    answer = json.loads(deployment.make("predict", f"IMAGE={photograph}"))
    assert answer["predictions"][0]["label"] == "Pug"
    assert answer["model"]["classes"] == 20
    assert "No changes." in deployment.make("plan")


@pytest.mark.slow
def test_the_instance_trains_a_model_that_can_be_promoted(deployment: Deployment):
    trained = deployment.make("train-ec2", "DATA=digits")

    assert len(re.findall(r"^ +openvino .*<- chosen$", trained, re.M)) == 1
    assert "Cost on AWS: $" in trained
    run = re.search(r"(pawprint-ec2-\S+) is trained: s3://", trained)[1]
    assert f"{run} is trained already" in deployment.make("train-ec2", f"RUN={run}")

    promoted = deployment.make("promote")

    assert "pawprint-ec2-" in promoted
    assert "predictions" in ask(curl_line(deployment.make("curl")))


def test_wrong_values_are_refused_before_anything_is_submitted(deployment: Deployment):
    before = deployment.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    for given, words in {
        "ARCH=no-such-network": "There is no network no-such-network",
        "EPOCHS=-5": "EPOCHS: '-5' is not a whole number",
        "BATCH=0": "BATCH: '0' is not a whole number",
        "INSTANCES=0": "INSTANCES: '0' is not a whole number",
        "SEED=18446744073709551616": "SEED: '18446744073709551616' is not a whole number",
    }.items():
        result = deployment.run("train", given)
        assert result.returncode != 0
        assert words in result.stdout
    assert deployment.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == before


def test_a_training_script_that_raises_fails_the_job_with_its_reason(deployment: Deployment):
    bucket = json.loads(deployment.make("output"))["artifacts_bucket"]
    s3 = deployment.client("s3")
    digit = s3.list_objects_v2(Bucket=bucket, Prefix="datasets/digits/train/")["Contents"][0]["Key"]
    broken = f"{digit.rpartition('/')[0]}/broken.png"
    s3.put_object(Bucket=bucket, Key=broken, Body=b"not an image")

    result = deployment.run("train", "DATA=digits")

    s3.delete_object(Bucket=bucket, Key=broken)
    assert result.returncode != 0
    assert "is Failed" in result.stdout
    assert "broken.png" in result.stdout.rsplit("is Failed", 1)[1]


def test_a_corrupt_archive_is_refused_before_anything_changes(deployment: Deployment):
    bucket = json.loads(deployment.make("output"))["artifacts_bucket"]
    s3 = deployment.client("s3")
    s3.put_object(Bucket=bucket, Key="models/broken/output/model.tar.gz", Body=os.urandom(4096))

    result = deployment.run("promote", "MODEL=broken")

    assert result.returncode != 0
    assert "cannot be promoted" in result.stdout
    assert "Nothing was changed" in result.stdout
    assert "predictions" in ask(curl_line(deployment.make("curl")))
    s3.delete_object(Bucket=bucket, Key="models/broken/output/model.tar.gz")


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_rolled_back(deployment: Deployment, tmp_path: Path):
    line = curl_line(deployment.make("curl"))
    served = ask(line)["model"]
    outputs = json.loads(deployment.make("output"))
    broken_model(deployment, outputs["artifacts_bucket"], outputs["release"].rpartition("-")[0], tmp_path)

    refused = deployment.run("promote", "MODEL=unloadable")
    assert refused.returncode != 0
    assert "unloadable" in refused.stdout and "cannot be evaluated" in refused.stdout
    result = deployment.run("promote", "MODEL=unloadable", "FORCE=1")

    assert result.returncode != 0
    assert f"the endpoint serves {outputs['release']} again" in result.stdout
    assert ask(line)["model"] == served
    assert "No changes." in deployment.make("plan")
    deployment.client("s3").delete_object(
        Bucket=outputs["artifacts_bucket"], Key="models/unloadable/output/model.tar.gz"
    )


def broken_model(deployment: Deployment, bucket: str, run: str, folder: Path) -> None:
    """Upload a model like that of the run, which passes the check, because its card matches its files, but whose graph
    is not valid."""
    s3 = deployment.client("s3")
    key = f"models/{run}/output/model.tar.gz"
    s3.download_file(bucket, key, str(folder / "model.tar.gz"))
    artifact.extract(folder / "model.tar.gz", folder / "model")
    (folder / "model" / "graph.xml").write_text("<net/>")
    card = artifact.read_card(folder / "model")
    files = card.files | {"graph.xml": hashlib.sha256(b"<net/>").hexdigest()}
    (folder / "model" / "model.json").write_text(replace(card, files=files).to_json())
    artifact.pack(folder / "model", folder / "broken.tar.gz")
    assert artifact.validate(folder / "broken.tar.gz").files == files
    s3.upload_file(str(folder / "broken.tar.gz"), bucket, "models/unloadable/output/model.tar.gz")


def test_a_killed_endpoint_process_is_replaced(deployment: Deployment):
    line = curl_line(deployment.make("curl"))
    for pid in deployment.endpoint_processes():
        os.kill(pid, signal.SIGKILL)

    def answers_again() -> bool:
        return "predictions" in ask(line)

    wait_until(answers_again)


def test_stopping_during_a_job_is_reported_and_loses_nothing(deployment: Deployment):
    sagemaker = deployment.client("sagemaker")
    known = {job["TrainingJobName"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]}
    names: list[str] = []

    def a_new_job_trains() -> bool:
        listed = [job["TrainingJobName"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]]
        names[:] = [name for name in listed if name not in known]
        return bool(names) and (
            sagemaker.describe_training_job(TrainingJobName=names[0])["SecondaryStatus"] == "Training"
        )

    watcher = threading.Thread(target=deployment.run, args=("train",), daemon=True)
    watcher.start()
    wait_until(a_new_job_trains)
    deployment.make("local-down")
    watcher.join(1200)
    assert not watcher.is_alive(), "make train hangs after the local AWS has stopped"
    assert deployment.processes() == {}

    deployment.make("local-up")

    job = sagemaker.describe_training_job(TrainingJobName=names[0])
    assert job["TrainingJobStatus"] == "Failed"
    assert "stopped while" in job["FailureReason"]

    line = curl_line(deployment.make("curl"))

    def answers_again() -> bool:
        return "predictions" in ask(line)

    wait_until(answers_again)
    assert "No changes." in deployment.make("plan")


def test_status_and_logs_show_the_running_parts(deployment: Deployment):
    status = deployment.make("status")
    assert "InService" in status
    assert "Failed" in status
    assert "epoch=1 " in deployment.make("logs", f"JOB={completed_job(deployment)}")
    assert "START RequestId" in deployment.make("logs", "WHAT=lambda")


def completed_job(deployment: Deployment) -> str:
    listed = deployment.client("sagemaker").list_training_jobs(StatusEquals="Completed")
    return listed["TrainingJobSummaries"][0]["TrainingJobName"]


def test_a_broken_folder_is_named_before_anything_is_uploaded(deployment: Deployment, tmp_path: Path):
    from PIL import Image

    for split in ("train", "valid", "test"):
        for label in ("cat", "dog"):
            (tmp_path / split / label).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(tmp_path / split / label / "a.jpg")
    picture = io.BytesIO()
    Image.new("RGB", (32, 32)).save(picture, format="JPEG")
    (tmp_path / "train" / "cat" / "cut.jpg").write_bytes(picture.getvalue()[:200])

    result = deployment.run("data", f"DATA={tmp_path}")

    assert result.returncode != 0
    assert "cut.jpg" in result.stdout
    assert "Nothing was uploaded" in result.stdout


def test_each_permission_that_was_used_is_needed_and_named(deployment: Deployment):
    """A replay of the recorded pairs through the real gate, not a second run of the steps: see `permissions`."""
    address = f"http://127.0.0.1:{deployment.port}/_localaws/permissions"
    with urllib.request.urlopen(address, timeout=60) as answer:
        principals = json.loads(answer.read())["principals"]
    ours = {arn: each["used"] for arn, each in principals.items() if "pawprint" in arn or arn.endswith("user/deployer")}

    swept = [permissions.sweep(deployment.client, deployment.port, arn, used) for arn, used in ours.items() if used]

    faults = [fault for each in swept for fault in each.faults]
    assert faults == [], "\n".join(faults)
    not_tried = {action for each in swept for _, action in each.not_tried}
    assert all(action.startswith(permissions.NOT_OPERATIONS) for action in not_tried), not_tried
    assert sum(len(each.tried) for each in swept) > 100


@pytest.mark.slow
def test_a_role_without_one_permission_fails_the_step_that_needs_it(deployment: Deployment):
    """Real runs of the function, of a training job and of an endpoint."""
    iam, sagemaker = deployment.client("iam"), deployment.client("sagemaker")
    outputs = json.loads(deployment.make("output"))
    function = deployment.client("lambda").get_function(FunctionName=outputs["function_name"])["Configuration"]
    with permissions.without(iam, function["Role"], "sagemaker:InvokeEndpoint"):
        assert deployment.run("predict").returncode != 0
    denied = "is not authorized to perform: {} on resource: "
    assert denied.format("sagemaker:InvokeEndpoint") in deployment.make("logs", "WHAT=lambda")

    with permissions.without(iam, outputs["training_role_arn"], "s3:GetObject"):
        failed = deployment.run("train")
    assert failed.returncode != 0
    assert denied.format("s3:GetObject") in failed.stdout

    served = sagemaker.describe_endpoint(EndpointName=outputs["endpoint_name"])
    config = sagemaker.describe_endpoint_config(EndpointConfigName=served["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    other = {"EndpointName": "without-a-permission"}
    with permissions.without(iam, model["ExecutionRoleArn"], "s3:GetObject"):
        sagemaker.create_endpoint(**other, EndpointConfigName=served["EndpointConfigName"])

        def it_has_settled() -> bool:
            return sagemaker.describe_endpoint(**other)["EndpointStatus"] != "Creating"

        wait_until(it_has_settled)
    described = sagemaker.describe_endpoint(**other)
    sagemaker.delete_endpoint(**other)
    assert described["EndpointStatus"] == "Failed"
    # AWS names the role here, and not the action.
    assert "the role passed to CreateModel has permissions to download the object" in described["FailureReason"]


def test_destroy_leaves_no_resource_and_down_no_process_and_apply_works_again(deployment: Deployment):
    bucket = json.loads(deployment.make("output"))["artifacts_bucket"]
    refused = deployment.run("destroy")
    assert refused.returncode != 0
    assert "Nothing was destroyed" in refused.stdout
    assert "make destroy CONFIRM=pawprint ENV=aws REHEARSE=1" in refused.stdout
    deployment.make("destroy", "CONFIRM=pawprint")

    names = [entry["Name"] for entry in deployment.client("s3").list_buckets()["Buckets"]]
    assert bucket not in names
    assert deployment.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert deployment.client("sagemaker").list_models()["Models"] == []
    assert deployment.client("lambda").list_functions()["Functions"] == []
    assert [role for role in deployment.client("iam").list_roles()["Roles"] if "pawprint" in role["RoleName"]] == []
    groups = [group["logGroupName"] for group in deployment.client("logs").describe_log_groups()["logGroups"]]
    assert [name for name in groups if "pawprint" in name] == []
    states = {
        instance["State"]["Name"]
        for reservation in deployment.client("ec2").describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    }
    assert states <= {"terminated"}

    deployment.make("local-down")
    assert deployment.processes() == {}

    deployment.make("local-up")
    deployment.make("apply")
    assert "predictions" in ask(curl_line(deployment.make("curl")))


def test_a_command_without_a_deployment_names_the_way_out(tmp_path: Path):
    elsewhere = Deployment(home=tmp_path, port=1)

    result = elsewhere.run("train")

    assert result.returncode != 0
    assert "make apply" in result.stdout


@pytest.mark.parametrize("target", ["plan", "apply", "destroy"])
def test_without_the_local_aws_terraform_is_not_started(tmp_path: Path, target: str):
    result = Deployment(home=tmp_path, port=1).run(target)

    assert result.returncode != 0
    assert "make local-up" in result.stdout


@pytest.mark.parametrize("target", ["plan", "train"])
def test_an_unknown_environment_is_refused(tmp_path: Path, target: str):
    result = Deployment(home=tmp_path, port=1).run(target, "ENV=staging")

    assert result.returncode != 0
    assert "aws and local" in result.stdout
