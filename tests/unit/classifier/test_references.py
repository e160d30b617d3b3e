"""The distance to the training photographs and the heat map: learned, in the graph, and under PyTorch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from classifier.learning import references
from classifier.learning.features import Features
from classifier.learning.references import TooFewError
from classifier.network import graph
from classifier.network.explaining import Explainer
from torch import nn

from tests.unit.classifier.conftest import tiny_backbone

WIDTH = 24


def clusters(per_class: int, seed: int, classes: int = 3, spread: float = 0.2) -> Features:
    """Features of classes around their own axes."""
    random = np.random.default_rng(seed)
    targets = np.repeat(np.arange(classes), per_class)
    values = 3 * np.eye(WIDTH, dtype=np.float32)[targets] + random.normal(0, spread, (len(targets), WIDTH))
    return Features(values.astype(np.float32), targets)


def test_most_pictures_of_the_classes_are_within_the_limit_and_others_are_not():
    known = references.learn(clusters(60, 0), clusters(40, 1))
    assert (known.distance(clusters(40, 1).values) <= 1).mean() == pytest.approx(0.95, abs=0.02)
    assert (known.distance(clusters(200, 2).values) <= 1).mean() > 0.85
    others = 3 * np.eye(WIDTH, dtype=np.float32)[5:9]
    assert (known.distance(others) > 1.5).all()


def test_what_is_outside_of_the_components_counts(monkeypatch):
    monkeypatch.setattr(references, "DIMENSIONS", 2)
    known = references.learn(clusters(60, 0), clusters(40, 1))
    assert known.rows.shape == (180, 2)
    middle = clusters(1, 3, spread=0).values.sum(axis=0, keepdims=True)  # the components alone see the mean of all
    assert known.distance(np.eye(WIDTH, dtype=np.float32)[5:9]).min() > known.distance(middle).max() > 1


def test_the_distance_depends_on_the_direction_of_the_features_only():
    known, values = references.learn(clusters(20, 0), clusters(9, 1)), clusters(5, 2).values
    np.testing.assert_allclose(known.distance(values), known.distance(values * 7), rtol=1e-4)


def uneven(per_class: int, seed: int) -> Features:
    """Classes whose photographs differ among themselves by more and more."""
    random = np.random.default_rng(seed)
    targets = np.repeat(np.arange(3), per_class)
    noise = random.normal(0, 1, (len(targets), WIDTH)) * np.array([0.05, 0.2, 0.6])[targets, None]
    return Features((3 * np.eye(WIDTH)[targets] + noise).astype(np.float32), targets)


def test_a_limit_of_its_own_accepts_the_same_share_of_each_class():
    train, valid, others = uneven(200, 0), uneven(200, 1), uneven(300, 2)
    common, own = references.learn(train, valid), references.learn(train, valid, own_limits=3)
    shares = {}
    for known in (common, own):
        within = known.distance(others.values, others.targets) <= 1
        shares[known is own] = [within[others.targets == each].mean() for each in range(3)]
    assert min(shares[False]) < 0.88
    assert shares[False][0] == 1.0
    assert all(share == pytest.approx(0.95, abs=0.05) for share in shares[True])
    assert own.limit == common.limit
    assert (np.diff(own.class_limits) > 0).all()


def test_a_class_with_few_validation_photographs_keeps_the_common_limit(capsys):
    valid = uneven(40, 1)
    few = np.flatnonzero((valid.targets != 1) | (np.arange(120) < 40 + references.OWN_LIMIT - 1))
    valid = Features(valid.values[few], valid.targets[few])
    known = references.learn(uneven(60, 0), valid, own_limits=3)
    assert known.class_limits[1] == np.float32(known.limit)
    assert known.limit not in known.class_limits[[0, 2]]

    references.check_own_limits(valid.targets, ("cat", "dog", "pug"))
    said = capsys.readouterr().out
    assert said == "warning: 1 of 3 classes have fewer than 19 validation images and keep the common limit: dog\n"


def test_without_enough_photographs_in_any_class_the_way_out_is_named():
    with pytest.raises(TooFewError, match=r"at least 19 validation images .* a class has are 18\. .*SPLIT="):
        references.check_own_limits(np.repeat([0, 1], [18, 5]), ("cat", "dog"))


def test_few_validation_photographs_are_all_within_the_limit():
    valid = clusters(2, 1)
    known = references.learn(clusters(4, 0), valid)
    assert known.distance(valid.values).max() == pytest.approx(1)


@pytest.mark.parametrize(("train", "valid"), [(1, 5), (5, 0)])
def test_without_photographs_there_is_no_distance(train, valid):
    assert references.learn(clusters(train, 0, 1), clusters(valid, 1, 1)) is None


def test_photographs_that_all_look_the_same_give_no_distance():
    same = Features(np.ones((6, WIDTH), np.float32), np.zeros(6, np.int64))
    assert references.learn(same, same) is None


def test_a_large_class_does_not_displace_a_small_one(monkeypatch):
    targets = np.array([0] * 50 + [1] * 3 + [2] * 50)
    chosen = references.spread(targets, 21)
    assert np.bincount(targets[chosen]).tolist() == [9, 3, 9]
    assert (np.diff(chosen) > 0).all()


@pytest.fixture(scope="module")
def answers() -> dict:
    """A tiny network with references: its parts, and what its graph answers for six images of noise."""
    backbone = tiny_backbone()
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    images[1:] //= np.arange(2, 7, dtype=np.uint8)[:, None, None, None]
    features = graph.convert(backbone)
    values = np.array(graph.compile_for("LATENCY", features)(images)[0])
    random = np.random.default_rng(1)
    weight, bias = random.normal(size=(3, 8)).astype(np.float32), np.zeros(3, np.float32)
    near = Features(values.repeat(4, 0) + random.normal(0, 0.02, (24, 8)).astype(np.float32), np.arange(24) % 3)
    known = references.learn(near, near)
    whole = graph.add_head(features, weight, bias, known)
    found = graph.compile_for("LATENCY", whole)(images)
    named = {next(iter(output.get_names())): np.array(value) for output, value in found.items()}
    return {
        "backbone": backbone,
        "whole": whole,
        "weight": weight,
        "bias": bias,
        "images": images,
        "values": values,
        "known": known,
    } | named


def test_the_graph_computes_the_same_distance(answers):
    np.testing.assert_allclose(answers["distance"], answers["known"].distance(answers["values"]), atol=2e-3)


def test_the_graph_divides_by_the_limit_of_the_predicted_class(answers):
    known = replace(answers["known"], class_limits=np.array([0.1, 0.2, 0.4], np.float32))
    whole = graph.add_head(graph.convert(answers["backbone"]), answers["weight"], answers["bias"], known)
    found = graph.compile_for("LATENCY", whole)(answers["images"])
    distance = next(value for output, value in found.items() if graph.DISTANCE in output.get_names())
    best = answers["probabilities"].argmax(axis=1)
    assert len(set(best)) > 1
    np.testing.assert_allclose(distance, known.distance(answers["values"], best), rtol=2e-2)


def test_the_sum_of_the_heat_is_the_evidence_for_the_predicted_class(answers):
    centred = answers["weight"] - answers["weight"].mean(axis=0)
    best = answers["probabilities"].argmax(axis=1)
    assert answers["heat"].shape == (6, 7, 7)
    expected = (answers["values"] * centred[best]).sum(axis=1)
    np.testing.assert_allclose(answers["heat"].mean(axis=(1, 2)), expected, atol=1e-3)


def test_pytorch_computes_the_same_heat(answers):
    head = nn.Linear(8, 3)
    head.load_state_dict({"weight": torch.tensor(answers["weight"]), "bias": torch.tensor(answers["bias"])})
    features, logits, heat = Explainer(nn.Sequential(answers["backbone"], head), 32)(torch.tensor(answers["images"]))
    np.testing.assert_allclose(features, answers["values"], atol=1e-3)
    np.testing.assert_allclose(heat, answers["heat"], atol=1e-3)
    np.testing.assert_allclose(logits.softmax(dim=1), answers["probabilities"], atol=1e-4)


def test_a_graph_without_the_heat_answers_the_same(answers):
    served = answers["whole"].clone()
    graph.drop_heat(served)
    found = graph.compile_for("LATENCY", served)(answers["images"])
    named = {next(iter(output.get_names())): np.array(value) for output, value in found.items()}
    assert named.keys() == {graph.OUTPUT, graph.DISTANCE}
    for name, values in named.items():
        np.testing.assert_allclose(values, answers[name], rtol=1e-5)


def test_a_network_without_a_map_of_features_has_no_heat():
    backbone = tiny_backbone()
    backbone.network.append(nn.Linear(8, 8))
    whole = graph.add_head(graph.convert(backbone), np.ones((3, 8), np.float32), np.zeros(3, np.float32))
    assert [output.get_names() for output in whole.outputs] == [{"probabilities"}]
    assert (
        Explainer(nn.Sequential(backbone, nn.Linear(8, 3)), 32)(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))[2] is None
    )
