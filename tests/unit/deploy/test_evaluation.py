"""The comparison of a candidate with the live model, before a promotion."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from classifier import artifact
from scipy import stats

from deploy.console import Failure
from deploy.evaluation import answers, comparison, gate, images
from deploy.evaluation.comparison import Answers
from deploy.sagemaker.releases import Release, Releases
from tests.unit.deploy.models import COLOURS, colour_model, picture

BUCKET = "pawprint-test"
CLASSES = ("blue", "green", "red")
COLOUR_BLIND = {"blue": "green", "green": "blue"}  # confuses two of the classes


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (8, 2), (2, 8), (5, 5), (40, 61), (500, 499)])
def test_the_exact_test_is_the_binomial_one(one, other):
    wanted = stats.binomtest(min(one, other), one + other, 0.5).pvalue if one + other else 1.0
    assert comparison.mcnemar(one, other) == pytest.approx(wanted)


@pytest.mark.parametrize(("one", "other"), [(520, 600), (1000, 1001), (3000, 2000)])
def test_for_many_images_the_test_is_chi_squared_with_edwards_correction(one, other):
    statistic = (abs(one - other) - 1) ** 2 / (one + other)
    assert comparison.mcnemar(one, other) == pytest.approx(stats.chi2.sf(statistic, 1))


def test_only_the_classes_of_both_models_count_and_each_model_chooses_among_them():
    """The candidate prefers its new class `d` for every image. That is neither right nor wrong."""
    live = Answers(("a", "b", "c"), np.array([[0.6, 0.4, 0], [0.6, 0.4, 0], [0, 0, 1]], np.float32))
    candidate = Answers(("d", "b", "a"), np.array([[0.9, 0, 0.1], [0.8, 0.2, 0], [1, 0, 0]], np.float32))

    found = comparison.compare(["a", "b", "c"], live, candidate)

    assert (found.classes, found.images) == (("a", "b"), 2)
    assert (found.live, found.candidate, found.only_live, found.only_candidate) == (1, 2, 0, 1)
    assert [(each.name, each.live, each.candidate) for each in found.by_class] == [("a", 1, 1), ("b", 0, 1)]


@pytest.fixture
def place(account) -> str:
    """A dataset in the bucket, with 10 test images of each class."""
    s3 = account.client("s3")
    for colour in COLOURS:
        for number in range(10):
            key = f"datasets/colours/test/{colour}/{number}.png"
            s3.put_object(Bucket=BUCKET, Key=key, Body=picture(colour, number))
    document = json.dumps({"name": "colours", "classes": list(CLASSES)}).encode()
    s3.put_object(Bucket=BUCKET, Key="datasets/colours/dataset.json", Body=document)
    return "colours"


def model(archive: Path) -> gate.Contender:
    return gate.Contender(archive.stem.split(".")[0], artifact.identity(archive), artifact.validate(archive), archive)


def live_release(account, archive: Path) -> Releases:
    """A record in which this archive is live."""
    key = f"releases/{archive.name}"
    account.client("s3").upload_file(str(archive), BUCKET, key)
    return Releases("old", {"old": Release(f"s3://{BUCKET}/{key}", 1, artifact.identity(archive))})


def test_a_significantly_worse_model_is_refused_unless_forced(account, place, tmp_path, capsys):
    old = live_release(account, colour_model(tmp_path, "good", CLASSES))
    worse = model(colour_model(tmp_path, "worse", CLASSES, COLOUR_BLIND))

    with pytest.raises(Failure, match=r"worse is significantly worse than old.*Nothing was changed.*FORCE=1"):
        gate.examine(account.deployment, worse, old, None, force=False)

    shown = capsys.readouterr().out
    assert "100.00%" in shown and "33.33%" in shown and "30 images of the test split of colours" in shown
    assert all(f"{colour:<5}" in shown for colour in COLOUR_BLIND) and "-100.0%" in shown
    forced = gate.examine(account.deployment, worse, old, None, force=True)
    assert forced is not None
    assert (forced["images"], forced["live"], forced["candidate"], forced["only_live"]) == (30, 30, 10, 20)
    assert forced["p_value"] < 0.001
    assert [each["name"] for each in forced["by_class"]] == ["blue", "green"]


def test_a_better_model_passes_and_the_live_models_answers_are_computed_once(account, place, tmp_path, monkeypatch):
    old = live_release(account, colour_model(tmp_path, "colour-blind", CLASSES, COLOUR_BLIND))
    better = model(colour_model(tmp_path, "better", CLASSES[::-1]))
    asked = []
    ask = answers.ask
    monkeypatch.setattr(answers, "ask", lambda *given: asked.append(given[0]) or ask(*given))

    for _ in range(2):
        found = gate.examine(account.deployment, better, old, None, force=False)
        assert found is not None and (found["live"], found["candidate"]) == (10, 30)

    assert len(asked) == 2  # each model, in the first comparison


def test_a_slightly_worse_model_passes_because_chance_explains_it(account, place, tmp_path, capsys):
    """3 images that only the live model gets right: p = 0.25."""
    folder = tmp_path / "few"
    for number in range(3):
        for colour in COLOURS:
            (folder / colour).mkdir(parents=True, exist_ok=True)
            (folder / colour / f"{number}.png").write_bytes(picture(colour, number))
    old = live_release(account, colour_model(tmp_path, "good", CLASSES))
    worse = model(colour_model(tmp_path, "worse", CLASSES, {"blue": "green"}))

    found = gate.examine(account.deployment, worse, old, str(folder), force=False)

    assert found is not None and found["on"] == f"9 images of {folder}"
    assert (found["only_live"], found["p_value"]) == (3, 0.25)
    assert "which may be chance" in capsys.readouterr().out


def test_models_without_common_classes_are_not_compared_and_the_reason_is_shown(account, place, tmp_path, capsys):
    old = live_release(account, colour_model(tmp_path, "other", ("cat", "dog"), {"cat": "red", "dog": "blue"}))
    candidate = model(colour_model(tmp_path, "candidate", CLASSES))

    assert gate.examine(account.deployment, candidate, old, None, force=False) is None

    assert "is not compared with old: of their 3 and 2 classes, none is the same." in capsys.readouterr().err


def test_a_candidate_whose_graph_does_not_run_is_refused(account, place, tmp_path):
    old = live_release(account, colour_model(tmp_path, "good", CLASSES))
    colour_model(tmp_path, "broken", CLASSES)
    (tmp_path / "broken" / "graph.xml").write_text("<net")
    (tmp_path / "broken" / artifact.CARD).unlink()
    artifact.complete(tmp_path / "broken", model(tmp_path / "good.tar.gz").card, tmp_path / "broken-serving.tar.gz")
    artifact.pack(tmp_path / "broken", tmp_path / "broken.tar.gz")
    broken = model(tmp_path / "broken.tar.gz")

    with pytest.raises(
        Failure, match=r"broken cannot be evaluated.*graph\.xml is not a graph(.|\n)*Nothing was changed"
    ):
        gate.examine(account.deployment, broken, old, None, force=False)
    assert gate.examine(account.deployment, broken, old, None, force=True) is None


def test_without_held_out_images_the_model_passes_with_the_reason(account, tmp_path, capsys):
    old = live_release(account, colour_model(tmp_path, "good", CLASSES))
    candidate = model(colour_model(tmp_path, "candidate", CLASSES, COLOUR_BLIND))
    document = json.dumps({"name": "other", "classes": ["blue", "green"]}).encode()
    account.client("s3").put_object(Bucket=BUCKET, Key="datasets/other/dataset.json", Body=document)

    assert gate.examine(account.deployment, candidate, old, None, force=False) is None

    assert "the bucket has no dataset with the candidate's classes. Name held-out images" in capsys.readouterr().err


def test_an_eval_source_that_is_not_usable_is_refused(account, place, tmp_path):
    old = live_release(account, colour_model(tmp_path, "good", CLASSES))
    candidate = model(colour_model(tmp_path, "candidate", CLASSES, COLOUR_BLIND))
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "1.png").write_bytes(picture("red", 1))

    with pytest.raises(Failure, match=r"EVAL=nowhere is neither a folder here nor a dataset"):
        gate.examine(account.deployment, candidate, old, "nowhere", force=False)
    with pytest.raises(
        Failure, match=r"no image of a class that both models know. It has: cat. They know: blue, green"
    ):
        gate.examine(account.deployment, candidate, old, str(tmp_path / "photos"), force=True)


def test_many_images_are_a_selection_from_each_class(account, place, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MOST", 15)
    card = model(colour_model(tmp_path, "good", CLASSES)).card

    with images.held_out(account.deployment, card, "colours", CLASSES) as held_out:
        assert [held_out.labels.count(colour) for colour in CLASSES] == [5, 5, 5]
        assert str(held_out) == "15 of 30 images of the test split of colours"
