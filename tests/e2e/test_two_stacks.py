"""Two stacks in one account, one of whose names begins with the other's. A destroy of one leaves the other alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from localaws.ports import free_port
from tests.e2e.deployment import Deployment, checkout, wait_until

pytestmark = pytest.mark.soak


@pytest.fixture
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Deployment]]:
    """GIVEN a checkout with the settings of `pawprint` and of `pawprint-dev`, both deployed."""
    folder = tmp_path_factory.mktemp("stacks").resolve()
    root = checkout(folder / "main")
    environments = root / "terraform" / "environments"
    shutil.copy(environments / "local.tfvars", environments / "live.tfvars")
    developed = (environments / "local.tfvars").read_text() + '\nname = "pawprint-dev"\n'
    (environments / "dev.tfvars").write_text(developed)

    asked = {"ENV": "live", "REHEARSE": "1", "LOCALAWS_IMAGES": "own"}
    live = Deployment(folder / "home", free_port(), asked, root=root)
    dev = replace(live, asked={**asked, "ENV": "dev"})
    live.home.mkdir()
    live.make("local-up")
    live.make("apply")
    dev.make("apply")
    yield live, dev
    live.run("local-down")


def names(deployment: Deployment) -> dict[str, list[str]]:
    """What the account has, by kind."""
    client = deployment.client
    return {
        "buckets": [each["Name"] for each in client("s3").list_buckets()["Buckets"]],
        "roles": [each["RoleName"] for each in client("iam").list_roles()["Roles"]],
        "groups": [each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]],
        "functions": [each["FunctionName"] for each in client("lambda").list_functions()["Functions"]],
        "endpoints": [each["EndpointName"] for each in client("sagemaker").list_endpoints()["Endpoints"]],
        "jobs": [each["TrainingJobName"] for each in client("sagemaker").list_training_jobs()["TrainingJobSummaries"]],
    }


def test_a_destroy_leaves_the_other_stack_and_its_running_job_alone(stacks: tuple[Deployment, Deployment]):
    live, dev = stacks
    assert "No changes." in live.make("plan")
    assert "No changes." in dev.make("plan")
    dev.make("data")
    log = dev.home / "train.log"
    with log.open("w") as output:
        training = subprocess.Popen(
            ["make", "train"], cwd=dev.root, env=dev.environment(), stdout=output, stderr=subprocess.STDOUT
        )

    def the_job_runs() -> bool:
        assert training.poll() is None, log.read_text()
        found = dev.client("sagemaker").list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
        return [each["TrainingJobName"].startswith("pawprint-dev") for each in found] == [True]

    wait_until(the_job_runs)
    before = names(live)
    live.make("destroy", "CONFIRM=pawprint")

    assert training.wait(2400) == 0, log.read_text()
    expected = {kind: [name for name in found if "pawprint-dev" in name] for kind, found in before.items()}
    assert all(expected.values()), expected
    left = names(dev)
    assert {kind: [name for name in found if "pawprint" in name] for kind, found in left.items()} == expected
    dev.make("promote")
    assert json.loads(dev.make("predict"))["model"]["classes"] == 10
    assert "No changes." in dev.make("plan")

    dev.make("destroy", "CONFIRM=pawprint-dev")

    left = names(dev)
    assert [name for kind in ("buckets", "functions", "endpoints") for name in left[kind]] == []
