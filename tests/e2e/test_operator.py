"""What an operator does by accident: interruptions, a changed name or region, two stacks, a lost state.

Nothing may be lost, nothing may stay behind unknown, and every message names the next command. The tests run in order
in one checkout of their own, because they change its settings.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws.ports import free_port
from tests.e2e.deployment import ORDINARY, Deployment, checkout
from tests.e2e.terminal import CTRL_C, Terminal

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """GIVEN a checkout of its own and a local AWS in which nothing is deployed."""
    folder = tmp_path_factory.mktemp("operator").resolve()
    made = Deployment(folder / "home", free_port(), ORDINARY.copy(), root=checkout(folder / "main"))
    made.home.mkdir()
    made.make("local-up")
    yield made
    made.run("local-down")


def terminal(deployment: Deployment, *arguments: str) -> Terminal:
    return Terminal("make", *arguments, cwd=deployment.root, environment=deployment.environment())


def is_terraform(command_line: str) -> bool:
    return "terraform\0apply" in command_line


@pytest.mark.parametrize(
    "moment",
    [
        "as root",
        "Preparing Terraform",
        r"Plan: \d+ to add",
        r"Creation complete",
        r"aws_sagemaker_model\.\S+ Creation complete",
    ],
)
def test_after_ctrl_c_the_command_says_how_to_go_on(operated: Deployment, moment: str):
    running = terminal(operated, "apply")
    running.read_until(moment)
    running.type(CTRL_C)

    assert running.end() != 0
    assert "Interrupted" in running.output
    assert "make apply" in running.output
    assert "Traceback" not in running.output


def test_a_killed_terraform_loses_nothing(operated: Deployment):
    running = terminal(operated, "apply")
    running.read_until(r"aws_sagemaker_endpoint_configuration\.\S+ Creation complete")
    [terraform] = running.descendants(is_terraform)
    os.kill(terraform, signal.SIGKILL)

    assert running.end() != 0
    assert "make apply" in running.output


def test_a_closed_terminal_loses_nothing(operated: Deployment):
    running = terminal(operated, "apply")
    running.read_until(r"aws_lambda_function\.\S+ Creation complete")
    running.close()

    operated.make("apply")
    assert "No changes." in operated.make("plan")
    assert operated.make("predict")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('name = "catprint"', ["the bucket pawprint-artifacts-123456789012-us-east-1 with", "make apply CONFIRM="]),
        ('region = "eu-west-1"', ["is deployed in us-east-1", "set the region to us-east-1 again"]),
        ("predictor = { reserve = 20 }", ["predictor.reserve", "reserved"]),
    ],
)
def test_a_changed_setting_that_would_destroy_is_refused(operated: Deployment, setting: str, words: list[str]):
    settings = operated.root / "terraform" / "environments" / "local.tfvars"
    original = settings.read_text()
    name = setting.partition(" ")[0]
    settings.write_text(re.sub(rf"^{name} .*?(?=^$|\Z)", "", original, flags=re.M | re.S) + f"\n{setting}\n")
    try:
        refused = operated.run("apply")
    finally:
        settings.write_text(original)

    assert refused.returncode != 0
    assert [word for word in words if word not in refused.stdout] == [], refused.stdout
    assert "Nothing was changed" in refused.stdout


def test_another_checkout_may_not_apply_from_no_state(operated: Deployment, tmp_path: Path):
    """GIVEN a second checkout with the same local AWS and without the state."""
    state = operated.home / "local" / "terraform.tfstate"
    moved = state.rename(tmp_path / "terraform.tfstate")
    try:
        refused = operated.run("apply")
    finally:
        moved.rename(state)

    assert refused.returncode != 0
    assert "applied from another state" in refused.stdout
    assert "Nothing was changed" in refused.stdout


def test_a_stack_sleeps_and_wakes(operated: Deployment):
    assert "is asleep since" in operated.make("sleep")
    assert operated.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert "No changes." in operated.make("plan")
    assert "stays asleep" in operated.make("apply")
    refused = operated.run("predict")
    assert "The model is asleep" in refused.stdout and refused.returncode != 0
    assert "is awake" in operated.make("wake", timeout=1800)
    assert operated.make("predict")


def test_destroy_after_a_failed_apply_leaves_nothing(operated: Deployment):
    """GIVEN a stack of which a killed Terraform has created a part."""
    operated.make("destroy", "CONFIRM=pawprint")
    running = terminal(operated, "apply")
    running.read_until(r"aws_iam_role\.training: Creation complete")
    for pid in running.descendants(is_terraform):
        os.kill(pid, signal.SIGKILL)
    assert running.end() != 0

    operated.make("destroy", "CONFIRM=pawprint")

    assert operated.client("s3").list_buckets()["Buckets"] == []
    assert [r["RoleName"] for r in operated.client("iam").list_roles()["Roles"] if "pawprint" in r["RoleName"]] == []
    groups = operated.client("logs").describe_log_groups()["logGroups"]
    assert [group["logGroupName"] for group in groups if "pawprint" in group["logGroupName"]] == []
    assert operated.client("lambda").list_functions()["Functions"] == []
    assert operated.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert operated.client("sagemaker").list_notebook_instances()["NotebookInstances"] == []
