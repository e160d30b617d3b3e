"""Run the notebook of the instance from top to bottom, with a real kernel, real jobs and real results."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest
from PIL import Image

from deploy.sample_data import write_sample
from tests.conftest import ROOT
from tests.e2e.deployment import Deployment
from tools import render_notebook

FEW = 80  # images for each class: the notebook trains seven times
PICTURES = {"examples", "curves", "confusion", "trials", "asking"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GIVEN a dataset and a running instance, the folder that its lifecycle script made."""
    digits = tmp_path_factory.mktemp("digits")
    write_sample(digits)
    for image in digits.rglob("*.png"):
        if int(image.stem) >= FEW:
            image.unlink()
    deployment.make("data", f"DATA={digits}", "NAME=few-digits")
    deployment.make("upload")
    deployment.make("notebook")
    return render_notebook.folder_of_the_instance(deployment.localaws)


@pytest.fixture(scope="module")
def executed(deployment: Deployment, folder: Path) -> dict[str, nbformat.NotebookNode]:
    """WHEN every cell is run in order, in a kernel with the instance's environment. Returns the cells by id."""
    return {cell["id"]: cell for cell in render_notebook.execute(folder, deployment.port).cells}


def printed(cell: nbformat.NotebookNode) -> str:
    """The output of a cell, and its last value as plain text."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "\n".join(texts)


def test_the_instance_has_the_notebook_of_this_build(folder: Path):
    brought = (folder / "train_and_deploy.ipynb").read_bytes()
    assert brought == (ROOT / "payloads" / "notebook" / "train_and_deploy.ipynb").read_bytes()


def test_make_notebook_starts_a_stopped_instance_and_prints_its_url(deployment: Deployment, folder: Path):
    sagemaker = deployment.client("sagemaker")
    sagemaker.stop_notebook_instance(NotebookInstanceName="pawprint-notebook")
    stopped = sagemaker.get_waiter("notebook_instance_stopped")
    stopped.wait(NotebookInstanceName="pawprint-notebook", WaiterConfig={"Delay": 1})

    url = deployment.make("notebook").strip().splitlines()[-1]
    server, _, token = url.partition("/lab?")

    with urlopen(f"{server}/api/contents/{folder.name}?{token}", timeout=30) as answer:  # noqa: S310 our own server
        names = {entry["name"] for entry in json.load(answer)["content"]}
    assert names == {"train_and_deploy.ipynb", "deployment.json"}


def test_it_runs_from_top_to_bottom_without_a_warning(executed):
    noise = {
        name: output.text
        for name, cell in executed.items()
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    }
    assert noise == {}


def test_its_pictures_are_not_empty(executed):
    drawn = {
        name: Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        for name, cell in executed.items()
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    }
    assert set(drawn) == PICTURES
    for name, picture in drawn.items():
        assert min(picture.size) > 300, name
        assert len(picture.convert("RGB").quantize(16).getcolors()) > 3, f"{name} is empty"


def test_the_jobs_of_the_notebook_exist_with_their_results(deployment: Deployment, executed):
    sagemaker = deployment.client("sagemaker")
    tuning = sagemaker.describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=printed(executed["tuning"]).split()[0]
    )
    ended = tuning["TrainingJobStatusCounters"]
    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["Completed"] + ended["Stopped"] == 4

    one, two = (printed(executed[name]).split()[0] for name in ("training", "distributing"))
    jobs = [sagemaker.describe_training_job(TrainingJobName=name) for name in (one, two)]
    assert [job["ResourceConfig"]["InstanceCount"] for job in jobs] == [1, 2]
    accuracies = [
        metric["Value"]
        for job in jobs
        for metric in job["FinalMetricDataList"]
        if metric["MetricName"] == "test_accuracy"
    ]
    assert min(accuracies) > 0.9
    assert abs(accuracies[0] - accuracies[1]) < 0.02


def test_its_endpoint_answered_was_scaled_and_is_deleted(deployment: Deployment, executed):
    assert "'predictions'" in printed(executed["asking"])
    assert "1 of 1 instances" in printed(executed["scaling"])
    assert "2 of 2 instances" in printed(executed["scaling"])
    assert "SageMakerVariantInvocationsPerInstance" in printed(executed["policies"])

    sagemaker = deployment.client("sagemaker")
    assert [endpoint["EndpointName"] for endpoint in sagemaker.list_endpoints()["Endpoints"]] == ["pawprint"]
    names = [config["EndpointConfigName"] for config in sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    names += [model["ModelName"] for model in sagemaker.list_models()["Models"]]
    assert [name for name in names if "notebook" in name] == []
