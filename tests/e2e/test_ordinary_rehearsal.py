"""`ENV=local`, the default: the same steps once with its own settings. The other tests use the settings of AWS."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from localaws.ports import free_port
from tests.e2e.deployment import ORDINARY, Deployment

pytestmark = pytest.mark.slow


@pytest.fixture
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """GIVEN a fresh home. Its processes end with the test."""
    made = Deployment(home=tmp_path_factory.mktemp("ordinary").resolve(), port=free_port(), asked=ORDINARY)
    yield made
    made.run("local-down")


def test_up_ends_with_a_line_that_answers_the_plan_is_empty_and_destroy_leaves_nothing(ordinary: Deployment):
    printed = ordinary.make("up", timeout=3600).splitlines()
    assert len(printed) <= 40, "the output of the steps is in the log"
    [line] = [line for line in printed if line.startswith("curl ")]
    answer = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(answer.stdout)["model"]["classes"] == 10
    label = json.loads(answer.stdout)["predictions"][0]["label"]
    assert any(re.match(rf"│ {label} +[0-9.]+% ", line) for line in printed), "the box has the same answer"
    [log] = (ordinary.home / "local" / "logs").iterdir()
    assert "test accuracy" in log.read_text() and "Apply complete!" in log.read_text()
    assert "No changes." in ordinary.make("plan")

    ordinary.make("destroy")

    assert ordinary.client("s3").list_buckets()["Buckets"] == []
    assert ordinary.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert ordinary.client("lambda").list_functions()["Functions"] == []
