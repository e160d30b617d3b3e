"""A whole run in this process with a small network: its output, its decisions, and its errors."""

import json
import re
import shutil
from pathlib import Path

import pytest
from classifier import artifact, job
from classifier.dataset.folders import DatasetError
from classifier.job import Places
from classifier.learning import references
from classifier.learning.training import TrainingError
from classifier.network import quantize
from classifier.network.model import restore_references
from classifier.settings import Settings

from deploy.build import package
from tests.unit.classifier.conftest import tiny_backbone
from tests.unit.classifier.pictures import write_image_folder


@pytest.fixture(scope="module")
def serving(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "BUILD", tmp_path_factory.mktemp("build"))
        return package.BUILD / package.pack_tar("inference", package.payload_members("inference"), {})["file"]


@pytest.fixture(scope="module")
def squares(tmp_path_factory) -> Path:
    return write_image_folder(tmp_path_factory.mktemp("data") / "squares")


@pytest.fixture
def places(tmp_path, squares, serving, monkeypatch) -> Places:
    monkeypatch.setattr(job, "load_backbone", lambda architecture, weights, resolution: tiny_backbone())
    splits = {split: squares / split for split in ("train", "valid", "test")}
    return Places(splits, serving, tmp_path / "model", tmp_path / "output", checkpoints=tmp_path / "checkpoints")


def test_the_last_validation_values_in_the_log_are_those_of_the_kept_model(places, squares, tmp_path, capsys):
    """The validation classes are swapped, so the first epoch is the best one."""
    red, green, blue = sorted(folder.name for folder in (squares / "valid").iterdir())
    for name, other in ((red, blue), (green, red), (blue, green)):
        shutil.copytree(squares / "valid" / other, tmp_path / "valid" / name)
    places.splits["valid"] = tmp_path / "valid"

    job.run("squares-1", places, Settings(epochs=3, head="steps"))

    log = capsys.readouterr().out
    metrics = json.loads((places.output / "metrics.json").read_text())
    last = {name: re.findall(rf"\b{name}=([0-9.]+)", log)[-1] for name in ("valid_loss", "valid_accuracy")}
    assert last == {name: f"{metrics['metrics'][name]:.4f}" for name in last}
    assert last["valid_loss"] != f"{metrics['history'][-1]['valid_loss']:.4f}"


def test_int8_is_compared_with_fp32_on_images_that_neither_head_was_trained_on(places, monkeypatch, capsys):
    monkeypatch.setattr(quantize, "FIRST", 0)  # the network has one convolution
    monkeypatch.setattr(quantize, "MIN_VALID", 12)
    monkeypatch.setattr(quantize, "FOLDS", 4)

    card = job.run("squares-1", places, Settings())

    assert card.precision_accuracy == {"fp32": 1.0, "int8": 1.0}
    assert card.precision == "int8"
    assert "FakeQuantize" in (places.model / "graph.xml").read_text()
    assert artifact.validate(places.model).precision == "int8"


def test_without_an_image_of_each_class_in_each_fold_nothing_is_quantised(places, monkeypatch):
    monkeypatch.setattr(quantize, "MIN_VALID", 12)

    card = job.run(
        "squares-1", places, Settings()
    )  # five folds of three classes: 15 images are needed, and there are 12

    assert (card.precision, card.precision_accuracy) == ("fp32", {})
    assert card.precision_reason.endswith("cannot be measured on 12 validation images; it takes 15")


def test_a_broken_image_is_named_as_the_reason(places, tmp_path):
    shutil.copytree(places.splits["valid"], tmp_path / "valid")
    image = tmp_path / "valid" / "002.green_square" / "001.jpg"
    image.write_bytes(image.read_bytes()[:100])
    places.splits["valid"] = tmp_path / "valid"

    with pytest.raises(DatasetError, match=r"002\.green_square/001\.jpg: The image cannot be decoded"):
        job.run("squares-1", places, Settings(head="steps"))
    assert not places.model.exists()


def test_the_same_job_continues_from_its_checkpoint(places, capsys):
    first = job.run("squares-1", places, Settings(head="steps"))
    epochs = len(json.loads((places.output / "metrics.json").read_text())["history"])
    capsys.readouterr()

    again = job.run("squares-1", places, Settings(head="steps"))

    log = capsys.readouterr().out
    assert f"resumed after epoch {epochs}" in log
    assert "\nepoch=" not in log
    assert again.metrics == first.metrics


def test_a_checkpoint_of_another_run_stops_it_before_anything_is_computed(places, capsys):
    job.run("squares-1", places, Settings(head="steps"))
    capsys.readouterr()

    with pytest.raises(TrainingError, match=r"another run: lr was None, is 0\.5"):
        job.run("squares-1", places, Settings(lr=0.5, head="steps"))
    assert "converting" not in capsys.readouterr().out


def test_few_images_get_a_regularised_head_an_interval_and_a_list_to_correct(places, capsys):
    card = job.run("squares-1", places, Settings(class_weights="balanced"))

    log = capsys.readouterr().out
    assert "regularised head: strength" in log
    assert "epochs=0" in log
    assert re.search(r"95 % interval .* for 12 images: test_accuracy_low=0\.7575 test_accuracy_high=1\.0000", log)
    assert card is not None
    kept = {name: value for name, value in card.metrics.items() if name.startswith("cross_validated")}
    assert kept == {
        "cross_validated_accuracy": 1.0,
        "cross_validated_accuracy_low": pytest.approx(0.862, abs=1e-3),  # Wilson, 24 of 24
        "cross_validated_accuracy_high": 1.0,
    }
    assert len((places.output / "data.csv").read_text().splitlines()) == 1 + 24 + 12 + 12


def test_limits_of_classes_are_in_the_card_and_the_weights(places, monkeypatch):
    monkeypatch.setattr(references, "OWN_LIMIT", 4)
    card = job.run("squares-1", places, Settings(limits="classes"))

    assert card is not None
    assert set(card.known_limits) == set(card.classes)
    assert len(set(card.known_limits.values())) > 1
    kept = restore_references(places.model)["class_limits"].tolist()
    assert kept == list(card.known_limits.values())
    assert artifact.validate(places.model).known_limits == card.known_limits


def test_limits_of_classes_with_few_images_are_refused_before_anything_is_computed(places, capsys):
    with pytest.raises(job.EXPECTED_ERRORS, match=r"LIMITS=classes needs at least 19 .* are 4\."):
        job.run("squares-1", places, Settings(limits="classes"))
    assert "converting" not in capsys.readouterr().out


def test_a_wrong_label_is_in_the_report_and_first_in_the_list(places, squares, tmp_path):
    red, green, _ = sorted(folder.name for folder in (squares / "train").iterdir())
    places.splits["train"] = Path(shutil.copytree(squares / "train", tmp_path / "train"))
    (tmp_path / "train" / red / "003.jpg").rename(tmp_path / "train" / green / "wrong.jpg")

    job.run("squares-1", places, Settings())

    first = (places.output / "data.csv").read_text().splitlines()[1]
    assert first.startswith(f"train/{green}/wrong.jpg,{green},train,label,{red},")
    page = (places.output / "report.html").read_text()
    assert "Probably in the wrong class: 1" in page
    assert "looks like <b><bdi>red square</bdi></b>" in page
