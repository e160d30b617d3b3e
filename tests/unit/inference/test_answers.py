"""What a model says in addition to its predictions: whether it knows the picture, and a heat map."""

import inference
import numpy as np
import pytest
from classifier import artifact
from classifier.artifact import ModelCard
from networks import NetworkOutput

CARD = ModelCard(
    name="run-1",
    architecture="tiny",
    classes=("001.cat", "002.dog"),
    labels=("cat", "dog"),
    input_size=32,
    mean=(0.0,) * 3,
    std=(1.0,) * 3,
    precision="fp32",
    created="2026-11-22T20:15:30Z",
    metrics={},
    data_sha256=None,
    code_sha256="",
    libraries={},
    files={},
)
PROBABILITIES = np.array([0.25, 0.75], np.float32)


class Still:
    """A network that is never asked."""

    threads, batch, wait = 1, 1, 0.0

    def __call__(self, images: np.ndarray) -> list[NetworkOutput]:
        raise AssertionError

    explained = __call__


@pytest.fixture(scope="module")
def model() -> inference.Model:
    return inference.Model(CARD, Still())


def answer(model: inference.Model, output: NetworkOutput, *, explain: bool = False) -> dict:
    return model.answer(inference.Request(b"", None, explain), output)


@pytest.mark.parametrize(
    ("distance", "known"), [(0.4, True), (1.0, True), (1.00001, True), (1.0002, False), (7.0, False)]
)
def test_a_picture_is_known_up_to_the_distance_1(model, distance, known):
    said = answer(model, NetworkOutput(PROBABILITIES, distance))
    assert (said["known"], said["distance"]) == (known, round(distance, 4))
    assert said["predictions"][0] == {"label": "dog", "probability": 0.75}


def test_a_model_without_references_says_nothing_about_it(model):
    assert set(answer(model, NetworkOutput(PROBABILITIES))) == {"predictions", "model"}


def test_a_heat_map_is_in_the_answer_only_if_it_is_wanted_and_possible(model):
    heat = np.array([[-1, 2], [4, 0]], np.float32)
    assert "explanation" not in answer(model, NetworkOutput(PROBABILITIES, None, heat))
    assert "explanation" not in answer(model, NetworkOutput(PROBABILITIES), explain=True)
    wanted = answer(model, NetworkOutput(PROBABILITIES, None, heat), explain=True)["explanation"]
    assert wanted == {"label": "dog", "heat": [[0, 0.5], [1, 0]]}


def test_a_map_without_evidence_is_all_0(model):
    wanted = answer(model, NetworkOutput(PROBABILITIES, None, np.full((2, 2), -3.0)), explain=True)["explanation"]
    assert wanted["heat"] == [[0, 0], [0, 0]]


def test_a_card_of_an_earlier_version_has_neither_calibration_nor_references():
    text = "".join(
        line for line in CARD.to_json().splitlines(True) if '"calibration"' not in line and '"known"' not in line
    )
    card = artifact.ModelCard.from_json(text)
    assert (card.calibration, card.known) == ({}, {})
