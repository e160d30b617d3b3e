"""The three kinds of endpoint, one after the other: the same URL and the same answer, promotion and rollback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws.ports import free_port
from tests.e2e.deployment import ORDINARY, Deployment, checkout

pytestmark = pytest.mark.soak


@pytest.fixture
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """GIVEN a checkout whose settings the test changes."""
    folder = tmp_path_factory.mktemp("kinds").resolve()
    asked = ORDINARY | {"CONFIRM": "pawprint"}
    made = Deployment(home=folder / "home", port=free_port(), asked=asked, root=checkout(folder / "main"))
    made.home.mkdir()
    made.make("local-up")
    yield made
    made.run("local-down")


def choose(rehearsal: Deployment, kind: str) -> None:
    """WHEN the settings ask for a kind and for the capture of every image, and are applied."""
    settings = rehearsal.root / "terraform" / "environments" / "local.tfvars"
    text = re.sub(r"^  kind = .*\n", "", settings.read_text(), flags=re.MULTILINE)
    text = text.replace("endpoint = {\n", f'endpoint = {{\n  kind = "{kind}"\n', 1)
    if "capture = " not in text:
        text = text.replace("predictor = {\n", "predictor = {\n  capture = { percent = 100, days = 1 }\n", 1)
    settings.write_text(text)
    rehearsal.make("apply")


def answer(rehearsal: Deployment) -> dict:
    """The answer of the URL to a photograph of the sample, without what differs between requests."""
    told = json.loads(re.search(r"\{.*\}", rehearsal.make("predict"), flags=re.DOTALL)[0])
    return {"predictions": told["predictions"], "model": told["model"]}


def captured(rehearsal: Deployment) -> int:
    listed = rehearsal.client("s3").list_objects_v2(Bucket=outputs(rehearsal)["artifacts_bucket"], Prefix="captures/")
    return listed["KeyCount"]


def outputs(rehearsal: Deployment) -> dict:
    return json.loads(rehearsal.make("output"))


def test_each_kind_answers_the_same_at_the_same_url_and_leaves_nothing_of_the_one_before(rehearsal: Deployment):
    sagemaker = rehearsal.client("sagemaker")
    choose(rehearsal, "instances")
    url, expected = outputs(rehearsal)["function_url"], answer(rehearsal)

    for kind, endpoints in (("serverless", ["pawprint-serverless"]), ("in-function", []), ("instances", ["pawprint"])):
        choose(rehearsal, kind)
        before = captured(rehearsal)
        told = answer(rehearsal)
        assert captured(rehearsal) == before + 1, f"the function keeps the image with the kind {kind}"
        assert told["model"] == expected["model"]
        for got, wanted in zip(told["predictions"], expected["predictions"], strict=True):
            assert (got["label"], got["probability"]) == (
                wanted["label"],
                pytest.approx(wanted["probability"], rel=1e-3),
            )
        assert outputs(rehearsal)["function_url"] == url
        assert [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]] == endpoints
        assert "No changes." in rehearsal.make("plan")
        promotes_and_rolls_back(rehearsal, kind, expected["model"]["name"])
    rehearsal.make("destroy")
    assert rehearsal.client("lambda").list_functions()["Functions"] == []


def promotes_and_rolls_back(rehearsal: Deployment, kind: str, bootstrap: str) -> None:
    """AND a copy of the model can be promoted, and the model before it comes back."""
    bucket = outputs(rehearsal)["artifacts_bucket"]
    archive = Path(rehearsal.root, "build", "bootstrap.tar.gz")
    rehearsal.client("s3").upload_file(str(archive), bucket, f"models/{kind}/output/model.tar.gz")
    rehearsal.make("promote", f"MODEL={kind}")
    assert outputs(rehearsal)["release"].startswith(f"{kind}-")
    assert answer(rehearsal)["model"]["name"] == bootstrap
    rehearsal.make("promote", "MODEL=previous")
    assert not outputs(rehearsal)["release"].startswith(f"{kind}-")
    assert answer(rehearsal)["model"]["name"] == bootstrap
