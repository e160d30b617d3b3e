"""The results of a run, written from a made score."""

import json
import shutil

import pytest
import torch
from classifier.artifact import ModelCard
from classifier.dataset import checks
from classifier.dataset.folders import inspect_dataset
from classifier.learning.training import Epoch, Score
from classifier.machine.plan import Machine
from classifier.results import outputs
from classifier.settings import Settings

from tests.unit.classifier.pictures import COLOURS, write_image_folder

RED, GREEN, BLUE = COLOURS


@pytest.fixture
def run(tmp_path) -> outputs.Run:
    """A run with two mistakes: a red square predicted as green, and a blue one predicted as red with a higher
    probability. One red square of the test split is in the training split too."""
    root = write_image_folder(tmp_path / "squares")
    shutil.copy(root / "train" / RED / "000.jpg", root / "test" / RED / "000.jpg")
    dataset = inspect_dataset(root)
    predicted = torch.from_numpy(dataset.splits["test"].targets.copy())
    confidence = torch.full((len(predicted),), 0.99)
    predicted[0], confidence[0] = 1, 0.6
    predicted[8], confidence[8] = 0, 0.8
    card = ModelCard(
        **{name: None for name in ModelCard.__dataclass_fields__}
        | {
            "name": "run-1",
            "architecture": "tiny",
            "classes": dataset.classes,
            "labels": dataset.labels,
            "created": "2026-11-22T20:15:30Z",
            "metrics": {"test_accuracy": 10 / 12, "test_loss": 0.4, "valid_accuracy": 1.0, "valid_loss": 0.1},
            "libraries": {"torch": "2"},
        }
    )
    return outputs.Run(
        card=card,
        settings=Settings(lr=0.25),
        dataset=dataset,
        findings=checks.find(dataset, dataset.hashes()),
        history=[Epoch(1, 0.5, 0.1, 1.0, 0.01)],
        test=Score(0.4, 10 / 12, predicted, confidence),
        seconds={"features": 1800.0, "train": 1800.0},
        instance=outputs.TrainingInstances("ml.c5.xlarge", 2, 2),
        machine=Machine(threads=3),
    )


def test_metrics_contain_everything_that_the_page_needs(run, tmp_path, monkeypatch):
    monkeypatch.delenv("PRICE_PER_HOUR", raising=False)

    outputs.write(tmp_path / "output", run)

    metrics = json.loads((tmp_path / "output" / "metrics.json").read_text())
    assert metrics["confusion"] == [[3, 1, 0], [0, 4, 0], [1, 0, 3]]
    assert metrics["class_accuracy"] == {RED: 0.75, GREEN: 1.0, BLUE: 0.75}
    assert metrics["class_precision"] == {RED: 0.75, GREEN: 0.8, BLUE: 1.0}
    assert metrics["cost"]["usd"] == pytest.approx(2 * 0.204)
    assert (metrics["learning_rate"], metrics["machine"]["threads"]) == (0.25, 3)
    assert metrics["mistakes"] == [
        {
            "file": f"{BLUE}/000.jpg",
            "true": "blue square",
            "predicted": "red square",
            "probability": pytest.approx(0.8),
        },
        {
            "file": f"{RED}/000.jpg",
            "true": "red square",
            "predicted": "green square",
            "probability": pytest.approx(0.6),
        },
    ]
    assert metrics["findings"][0]["stops"]
    assert "1 of the 12 test images is in train too" in metrics["findings"][0]["title"]

    page = (tmp_path / "output" / "report.html").read_text()
    assert page.index(f"{BLUE}/000.jpg") < page.index("actual <bdi>red square")
    assert page.count("data:image/jpeg") == 2
    assert "overestimate the model" in page


def test_an_error_in_the_report_does_not_fail_the_run(run, tmp_path, capsys):
    (tmp_path / "squares" / "test" / BLUE / "000.jpg").unlink()

    outputs.write(tmp_path / "output", run)

    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == ["data.csv", "metrics.json"]
    assert "Could not write report.html. The model and metrics.json are complete." in capsys.readouterr().err


@pytest.mark.parametrize("given", [None, "ml.u9.xlarge"])
def test_without_a_price_there_is_no_number(run, tmp_path, monkeypatch, given):
    monkeypatch.delenv("PRICE_PER_HOUR", raising=False)
    unknown = outputs.Run(**vars(run) | {"instance": outputs.TrainingInstances(given)})

    outputs.write(tmp_path / "output", unknown)

    assert json.loads((tmp_path / "output" / "metrics.json").read_text())["cost"]["usd"] is None
    assert "<dd>unknown</dd>" in (tmp_path / "output" / "report.html").read_text()
