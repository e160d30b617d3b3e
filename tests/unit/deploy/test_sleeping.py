"""A stack that is asleep stays so until `make wake`, and what needs its endpoint is refused with the way out."""

from __future__ import annotations

import json

import pytest

from deploy import idle_machines, losses, sleeping
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.ec2 import runs
from deploy.terraform import Stack
from deploy.watching import parts


@pytest.fixture
def asleep(account) -> Deployment:
    deployment = account.deployed(release="run-1")
    sleeping.write(deployment)
    return deployment


def test_a_stack_is_asleep_from_its_note_until_the_note_is_removed(asleep: Deployment):
    assert sleeping.is_asleep(asleep)
    assert sleeping.write(asleep) == sleeping.read(asleep), "a second sleep keeps the time of the first"
    sleeping.remove(asleep)
    assert not sleeping.is_asleep(asleep)


def test_a_stack_that_is_not_deployed_is_not_asleep(account):
    assert sleeping.read(Deployment(account.env, {})) is None


def test_what_needs_the_endpoint_is_refused_with_the_way_out(asleep: Deployment):
    with pytest.raises(Failure, match=r"asleep since .*a promotion needs its endpoint\. To wake it: make wake"):
        sleeping.require_awake(asleep, "a promotion")
    sleeping.remove(asleep)
    sleeping.require_awake(asleep, "a promotion")


def test_status_shows_that_the_endpoint_is_asleep_and_not_that_it_is_missing(asleep: Deployment):
    part = parts.endpoint(asleep)
    assert (part.status, part.advice) == ("asleep", "make wake")


def test_the_endpoint_that_sleep_deletes_needs_no_confirmation_and_one_that_is_replaced_does(account):
    change = {"type": "aws_sagemaker_endpoint", "change": {"actions": ["delete"], "before": {"name": "e"}}}
    plan = {"resource_changes": [change], "variables": {"asleep": {"value": True}}}
    assert losses.of_plan(plan, account.client) == []
    assert len(losses.of_plan(plan | {"variables": {}}, account.client)) == 1


def test_a_notebook_that_ran_is_stopped_by_sleep_and_started_by_wake(account):
    sagemaker = account.client("sagemaker")
    role = "arn:aws:iam::123456789012:role/r"
    sagemaker.create_notebook_instance(NotebookInstanceName="sleeper", InstanceType="ml.t3.medium", RoleArn=role)
    deployment = account.deployed(notebook_name="sleeper", ec2_instance_id=None)
    note = sleeping.write(deployment)
    assert note.notebook_ran
    idle_machines.stop(deployment)
    assert sleeping.notebook_status(deployment) == "Stopped"
    idle_machines.restore(deployment, sleeping.SleepNote("now", notebook_ran=False))
    assert sleeping.notebook_status(deployment) == "Stopped", "it did not run before"
    idle_machines.restore(deployment, note)
    assert sleeping.notebook_status(deployment) == "InService"
    sagemaker.stop_notebook_instance(NotebookInstanceName="sleeper")
    sagemaker.delete_notebook_instance(NotebookInstanceName="sleeper")


@pytest.mark.parametrize(("training", "expected"), [(False, "stopped"), (True, "running")])
def test_an_instance_that_trains_goes_on(account, monkeypatch, capsys, training: bool, expected: str):
    ec2 = account.client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="c5.large")["Instances"][0]
    deployment = account.deployed(ec2_instance_id=made["InstanceId"])
    command = type("Command", (), {"is_unfinished": training, "comment": "pawprint-ec2-1"})()
    monkeypatch.setattr(runs, "commands", lambda _: [command])
    idle_machines.stop(deployment)
    found = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert found["State"]["Name"] in (expected, "stopping" if not training else expected)
    assert ("pawprint-ec2-1" in capsys.readouterr().err) is training
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])


def test_every_apply_gets_the_variable_while_the_note_is_there(asleep: Deployment, monkeypatch):
    stack = Stack(asleep.env)
    monkeypatch.setattr(stack, "init", lambda: None)
    monkeypatch.setattr(stack, "deployment", lambda: asleep)
    applied = []
    monkeypatch.setattr(stack, "_apply", lambda arguments, *_: applied.append(arguments) or 0)
    stack.apply()
    stack.apply_sleep()
    sleeping.remove(asleep)
    stack.apply_sleep()
    given = [any(file.endswith("asleep.tfvars.json") for file in each["var_file"]) for each in applied]
    assert given == [True, True, False]
    assert json.loads((asleep.env.home / "asleep.tfvars.json").read_text()) == {"asleep": True}
    assert applied[1]["target"] == ["module.endpoint", "module.predictor"], "other changes wait for an apply"
    assert "target" not in applied[0]
