"""The artifacts in AWS's serving image: Python 3.13, Ray 2.57, the adapter, and loopback as the only network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from classifier import artifact
from classifier.contract import read_answer

from tests.packaged.serving_image import container, load_graph, require
from tests.unit.classifier.pictures import encoded, noisy_square

PHOTO = encoded(noisy_square((200, 40, 40), 1, side=96))


@pytest.fixture(scope="module")
def train(unpacked, archives, squares, tmp_path_factory):
    """Train with the archive of the training payload. Returns the model's folder."""

    def run(*arguments: str) -> Path:
        folder = tmp_path_factory.mktemp("trained")
        command = [sys.executable, "train.py", "--serving", archives["inference"], "--model-dir", folder / "model"]
        command += [part for split in ("train", "valid", "test") for part in (f"--{split}", squares / split)]
        command += ["--output-data-dir", folder / "output", *arguments]
        environment = {"PATH": os.defpath, "HOME": str(folder)}
        subprocess.run(command, cwd=unpacked["train"], env=environment, check=True, timeout=1200)
        return folder / "model"

    return run


@pytest.fixture(scope="module")
def bootstrap(bootstrap_model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bootstrap-model")
    artifact.extract(bootstrap_model, folder)
    return folder


def answers(model: Path, folder: Path) -> dict:
    with container(model, folder) as started:
        started.wait_healthy()
        status, kind, body = started.ask("POST", "/invocations", PHOTO, {"Content-Type": "image/jpeg"})
        assert (status, kind) == (200, "application/json"), body
        return read_answer(body)


@pytest.mark.ray
def test_the_bootstrap_model_answers_in_the_image(bootstrap, tmp_path):
    assert answers(bootstrap, tmp_path)["model"]["classes"] == 1000


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="frozen", marks=pytest.mark.slow),
        pytest.param(("--fine-tune", "--epochs", "1"), id="fine-tuned", marks=pytest.mark.soak),
    ],
)
@pytest.mark.ray
def test_a_trained_model_answers_in_the_image(train, tmp_path, arguments):
    require()
    answer = answers(train("--precision", "fp32", *arguments), tmp_path)
    labels = {prediction["label"] for prediction in answer["predictions"]}
    assert labels == {"red square", "green square", "blue square"}


def test_a_model_names_the_image_and_packages_it_was_tested_with(bootstrap):
    serving = artifact.read_card(bootstrap).serving
    image = require()
    assert (serving["image"], serving["python"]) == (image.name, image.python)
    assert serving["packages"]["ray"] == image.versions()["ray"]


def test_the_packages_of_the_serving_code_read_a_graph(bootstrap):
    result = load_graph(bootstrap)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == artifact.read_card(bootstrap).name


def test_without_the_frontend_of_its_own_format_openvino_reads_no_graph(bootstrap, tmp_path):
    """Once, the pattern for unneeded files also removed this frontend, and no endpoint on AWS could answer."""
    shutil.copytree(bootstrap, tmp_path / "model")
    (frontend,) = (tmp_path / "model").glob("code/packages/*/openvino/libs/libopenvino_ir_frontend*")
    frontend.unlink()
    result = load_graph(tmp_path / "model")
    assert result.returncode != 0
    assert "GraphError" in result.stderr


@pytest.mark.ray
def test_a_model_that_cannot_answer_never_becomes_healthy(bootstrap, tmp_path):
    """Ray Serve's own health check succeeds without a replica. Here the container ends, and the reason is its last
    line."""
    model = tmp_path / "model"
    shutil.copytree(bootstrap, model)
    (model / "graph.xml").write_text("<net/>")
    with container(model, tmp_path) as started:
        returncode = started.child.wait(1200)
    assert returncode != 0
    last = started.log.read_text().strip().splitlines()[-1]
    assert "GraphError" in last and "graph.xml" in last


@pytest.mark.ray
def test_without_the_variable_the_adapter_forwards_to_ray_serve(bootstrap, tmp_path):
    with container(bootstrap, tmp_path, variables={}) as started:
        started.wait_healthy()
        _, _, body = started.ask("POST", "/invocations", PHOTO, {"Content-Type": "image/jpeg"})
    assert json.loads(body)["model"]["classes"] == 1000
