"""Models that are bad in four ways are promoted under traffic, to a canary. Each one is rolled back."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from classifier import artifact

from deploy.function import grey_image
from localaws.ports import free_port
from tests.e2e.deployment import ORDINARY, REGION, Deployment, checkout
from tests.e2e.traffic import Traffic

pytestmark = pytest.mark.soak

CANARY = 0.25  # of the requests
RATE = 20  # requests per second
SETTINGS = f"""
  instance_type = "ml.c5.large"
  deployment = {{
    shift        = "canary"
    percent      = {CANARY * 100:.0f}
    bake_seconds = 240
"""
ERRORS, SLOW = "pawprint-endpoint-server-errors", "pawprint-endpoint-slow"
BAD = {
    "errors": (
        ERRORS,
        """
def predict_fn(request, model):
    raise RuntimeError("this release answers nothing")
""",
    ),
    "slow": (
        SLOW,
        """
_fast = predict_fn

def predict_fn(request, model):
    import time
    began = time.perf_counter()
    answer = _fast(request, model)
    time.sleep(2 * (time.perf_counter() - began))
    return answer
""",
    ),
    "silent": (
        "did not pass the ping health check",
        """
def model_fn(folder):
    import time
    while True:
        time.sleep(1)
""",
    ),
    "leaking": (
        ERRORS,
        """
_kept, _tidy = [], predict_fn

def predict_fn(request, model):
    _kept.append(b"x" * (256 << 20))
    return _tidy(request, model)
""",
    ),
}


@dataclass
class Rehearsal(Deployment):
    """A rehearsal whose containers have two minutes to become healthy, half of what they have on AWS."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"LOCALAWS_HEALTHY_SECONDS": "120"}


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """GIVEN a stack whose updates go to a canary first."""
    folder = tmp_path_factory.mktemp("updates").resolve()
    made = Rehearsal(home=folder / "home", port=free_port(), asked=ORDINARY.copy(), root=checkout(folder / "main"))
    made.home.mkdir()
    settings = made.root / "terraform" / "environments" / "local.tfvars"
    text = re.sub(
        r"^endpoint = \{\n  deployment = \{\n.*?\n  \}\n",
        f"endpoint = {{{SETTINGS}  }}\n",
        settings.read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
    assert SETTINGS in text
    settings.write_text(text)
    try:
        made.make("local-up")
        made.make("apply")
        yield made
    finally:
        made.run("local-down")


def release(rehearsal: Rehearsal, folder: Path, name: str, code: str) -> None:
    """A copy of the bootstrap model with other code, which passes the check of its archive."""
    artifact.extract(rehearsal.root / "build" / "bootstrap.tar.gz", folder / "model")
    serving = folder / "model" / "code" / "inference.py"
    serving.write_text(f"{serving.read_text()}\n# {name}\n{code}")
    card = artifact.read_card(folder / "model")
    files = card.files | {"code/inference.py": hashlib.sha256(serving.read_bytes()).hexdigest()}
    (folder / "model" / "model.json").write_text(replace(card, files=files).to_json())
    artifact.pack(folder / "model", folder / "model.tar.gz")
    bucket = outputs(rehearsal)["artifacts_bucket"]
    rehearsal.client("s3").upload_file(str(folder / "model.tar.gz"), bucket, f"models/{name}/output/model.tar.gz")


def outputs(rehearsal: Rehearsal) -> dict:
    return json.loads(rehearsal.make("output"))


def traffic_to(rehearsal: Rehearsal) -> Traffic:
    return Traffic(outputs(rehearsal)["endpoint_name"], grey_image(), RATE, rehearsal.port, REGION)


def report(what: str, traffic: Traffic, began: float) -> None:
    """Print the figures of an update, for docs/SAFE-UPDATES.md (`pytest -s`)."""
    at = {stage: since for since, stage in reversed(traffic.stages) if since >= began}
    told = dict(traffic.between(began, math.inf))
    stages = {stage: round(since - began, 1) for stage, since in at.items()}
    print(f"\nFIGURES {what}: {told}; stages, seconds after the command: {stages}")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_model_is_rolled_back_and_costs_no_more_than_the_canary(rehearsal: Rehearsal, tmp_path: Path, kind: str):
    because, code = BAD[kind]
    live = outputs(rehearsal)["release"]
    release(rehearsal, tmp_path, kind, code)

    with traffic_to(rehearsal) as traffic:
        began = time.monotonic()
        result = rehearsal.run("promote", f"MODEL={kind}")
        ended = time.monotonic()

    report(kind, traffic, began)
    assert result.returncode != 0
    assert because in result.stdout, result.stdout[-4000:]
    assert f"the endpoint serves {live} again" in result.stdout
    told = traffic.between(began, ended)
    assert set(told) <= {"", "ModelError", "ServiceUnavailable"}, "a request had no answer at all"
    failed = told.total() - told[""]
    assert failed <= CANARY * told.total() + 3 * math.sqrt(CANARY * told.total())
    assert outputs(rehearsal)["release"] == live
    state = json.loads((rehearsal.home / "local" / "terraform.tfstate").read_text())
    endpoint = next(each for each in state["resources"] if each["type"] == "aws_sagemaker_endpoint")
    described = rehearsal.client("sagemaker").describe_endpoint(EndpointName=outputs(rehearsal)["endpoint_name"])
    assert endpoint["instances"][0]["attributes"]["endpoint_config_name"] == described["EndpointConfigName"]
    assert described["EndpointStatus"] == "InService"
    assert "No changes." in rehearsal.make("plan")


def test_a_good_model_and_the_way_back_lose_no_request(rehearsal: Rehearsal, tmp_path: Path):
    live = outputs(rehearsal)["release"]
    release(rehearsal, tmp_path, "good", "")

    with traffic_to(rehearsal) as traffic:
        began = time.monotonic()
        rehearsal.make("promote", "MODEL=good")
        assert outputs(rehearsal)["release"].startswith("good-")
        report("good", traffic, began)
        back = time.monotonic()
        rehearsal.make("promote", "MODEL=previous")
        assert outputs(rehearsal)["release"] == live

    report("previous", traffic, back)
    told = traffic.between(began, math.inf)
    assert set(told) == {""}


@pytest.mark.parametrize("shift", ["linear", "rolling"])
def test_a_linear_and_a_rolling_update_lose_no_request(rehearsal: Rehearsal, tmp_path: Path, shift: str):
    """Steps of half of the requests, or of half of the instances, each watched by the alarms."""
    settings = rehearsal.root / "terraform" / "environments" / "local.tfvars"
    other = re.sub(r"shift +=.*\n +percent +=.*", f'shift = "{shift}"\n    percent = 50', settings.read_text())
    settings.write_text(other)
    release(rehearsal, tmp_path, shift, "")

    with traffic_to(rehearsal) as traffic:
        began = time.monotonic()
        rehearsal.make("promote", f"MODEL={shift}")

    report(shift, traffic, began)
    assert outputs(rehearsal)["release"].startswith(f"{shift}-")
    assert set(traffic.between(began, math.inf)) == {""}
    described = rehearsal.client("sagemaker").describe_endpoint(EndpointName=outputs(rehearsal)["endpoint_name"])
    policy = described["LastDeploymentConfig"]
    used = policy.get("RollingUpdatePolicy") or policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert used.get("MaximumBatchSize") or used["LinearStepSize"]
    assert "No changes." in rehearsal.make("plan")
