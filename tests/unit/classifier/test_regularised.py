"""The head for few images: its optimum, its cross-validation, and its folds."""

import numpy as np
import pytest
import torch
from classifier.learning import regularised
from classifier.learning.features import Features
from classifier.learning.head import mean_and_deviation, weights_of
from classifier.settings import Settings
from torch.nn import functional as F

from tests.unit.classifier.test_head import clouds


def many_features(per_class: int, seed: int, width: int = 200, classes: int = 4, apart: float = 1.0) -> Features:
    """More features than images, most of them noise, like those of few photographs."""
    random = np.random.default_rng(seed)
    centres = np.zeros((classes, width))
    centres[:, :classes] = apart * np.eye(classes)
    targets = np.repeat(np.arange(classes), per_class)
    values = 2 + centres[targets] + 0.3 * random.normal(size=(len(targets), width))
    return Features(values.astype(np.float32), targets)


def test_the_head_is_the_minimum_of_the_penalised_loss_in_all_dimensions():
    """The gradient of the loss that is documented, for the features as they are, is zero at the head."""
    train = many_features(5, seed=1)
    problem = regularised._Problem(train, 4, None)
    strength = 1e-2
    head = problem.solve([strength], regularised.EXACT)[0]
    mean, deviation = mean_and_deviation(train)
    scale = deviation * train.values.shape[1] ** 0.5
    weight = (head.weight * scale).requires_grad_()
    bias = (head.bias + head.weight @ mean).requires_grad_()
    logits = F.linear((torch.from_numpy(train.values) - mean) / scale, weight, bias)
    (F.cross_entropy(logits, torch.from_numpy(train.targets)) + strength / 2 * weight.square().sum()).backward()
    assert weight.grad.abs().max() < 1e-4
    assert bias.grad.abs().max() < 1e-4


def test_probabilities_out_of_fold_do_not_know_the_image():
    """With labels at random there is nothing to learn: a head is right about its own images, and held-out images are
    at chance."""
    train = many_features(20, seed=1)
    shuffled = Features(train.values, np.sort(np.random.default_rng(2).permutation(train.targets)))
    random = np.random.default_rng(3).permutation(len(shuffled.targets))
    train = Features(train.values[random], shuffled.targets)
    head = regularised._Problem(train, 4, None).solve([1e-6])[0]
    accuracy, images = regularised.validate(train, 4).accuracy(train.targets)
    assert head.evaluate(train).accuracy == 1.0
    assert accuracy < 0.5
    assert images == 80


def test_the_strength_is_the_one_with_the_smallest_loss_on_held_out_images():
    found = regularised.validate(many_features(5, seed=1, apart=0.7), 4)
    assert found.loss[found.strength] == min(found.loss.values())
    assert set(found.loss) == set(regularised.STRENGTHS)
    assert found.strength != regularised.STRENGTHS[-1]  # with so few images, the weakest is too weak


@pytest.mark.parametrize("per_class", [2, 3, 7])
def test_each_fold_takes_equally_many_images_of_every_class_and_leaves_some(per_class):
    targets = np.repeat(np.arange(6), per_class)
    turns = regularised.fold_of(targets)
    for turn in range(regularised.FOLDS):
        taken, left = (np.bincount(targets[each], minlength=6) for each in (turns == turn, turns != turn))
        assert len(set(taken)) == 1
        assert left.min() > 0
    assert (turns >= 0).all()


def test_the_only_image_of_a_class_is_never_held_out():
    train = clouds(4, seed=1)
    lone = Features(train.values[:9], train.targets[:9])  # the last class has one image
    found = regularised.validate(lone, 3)
    assert np.isnan(found.probabilities[:, 0]).tolist() == [False] * 8 + [True]
    assert found.accuracy(lone.targets)[1] == 8
    assert regularised.validate(Features(train.values[::4], train.targets[::4]), 3).strength == regularised.UNMEASURED


def test_balanced_weights_give_a_rare_class_the_weight_of_a_frequent_one():
    targets = np.array([0] * 30 + [1] * 10)
    assert weights_of(Settings(), targets, 2) is None
    weights = weights_of(Settings(class_weights="balanced"), targets, 2)
    assert weights is not None
    assert weights.tolist() == pytest.approx([40 / 60, 40 / 20])
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(0, 1, (30, 1)), random.normal(1, 1, (10, 1))]).astype(np.float32)
    train = Features(values, targets)
    plain, balanced = (regularised._Problem(train, 2, each).solve([1e-3])[0] for each in (None, weights))
    rare = Features(values[30:], targets[30:])
    assert balanced.evaluate(rare).accuracy > plain.evaluate(rare).accuracy
