"""Calibration: the temperature corrects overconfidence, keeps every prediction, and is bounded without mistakes."""

import numpy as np
import pytest
import torch
from classifier.learning import calibration
from classifier.learning.features import Features
from classifier.learning.head import Head
from classifier.results import reliability
from classifier.results.page import _chance
from classifier.results.reliability_chart import reliability as chart


def drawn(images: int, scale: float, seed: int = 0, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and targets drawn from their probabilities; the logits are then multiplied by `scale`."""
    random = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, classes, generator=random)
    targets = torch.multinomial(logits.softmax(dim=1), 1, generator=random)[:, 0]
    return logits * scale, targets


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_temperature_undoes_a_wrong_scale(scale):
    assert calibration.temperature(*drawn(2000, scale)) == pytest.approx(scale, rel=0.1)


def test_a_temperature_that_helps_no_other_photograph_is_not_used():
    """A scale that is right, and a split so small that its mistakes are chance."""
    found = [calibration.temperature(*drawn(20, 1.0, seed)) for seed in range(20)]
    assert found.count(1.0) >= 5
    assert all(0.5 < each < 2 for each in found)


def test_without_a_mistake_on_validation_an_answer_still_has_a_doubt():
    targets = torch.arange(40) % 4
    logits = 5 * torch.nn.functional.one_hot(targets, 4).float()
    found = calibration.temperature(logits, targets)
    before, after = (1 - (logits / each).softmax(dim=1).max().item() for each in (1, found))
    assert after == pytest.approx(before * 20 / 60, rel=0.01)


@pytest.mark.parametrize("shape", [(5, 1), (0, 3), (2, 3)])
def test_without_a_choice_or_images_the_temperature_is_1(shape):
    assert calibration.temperature(torch.zeros(shape), torch.zeros(shape[0], dtype=torch.int64)) == 1


def test_the_calibrated_head_predicts_the_same_with_a_smaller_error():
    logits, targets = drawn(3000, 4.0)
    head, valid = Head(torch.eye(4), torch.zeros(4)), Features(logits.numpy(), targets.numpy())
    better, found = calibration.calibrated(head, valid)
    test = Features(*(each.numpy() for each in drawn(3000, 4.0, seed=1)))
    before, after = head.evaluate(test), better.evaluate(test)
    assert found > 2
    assert torch.equal(before.predicted, after.predicted)
    assert after.loss < before.loss
    error = [reliability.calibration_error(points(score, test.targets)) for score in (before, after)]
    assert error[1] < 0.03 < error[0]


def points(score, targets):
    return reliability.bins(score.confidence.numpy(), score.predicted.numpy() == targets)


def test_the_calibration_error_is_the_weighted_difference_of_the_bins():
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.50])
    found = reliability.bins(confidence, np.array([True, True, True, False, True]))
    assert [(each.images, each.accuracy) for each in found] == [(1, 1.0), (4, 0.75)]
    assert reliability.calibration_error(found) == pytest.approx((4 * 0.20 + 0.50) / 5)


def test_a_probability_of_1_and_of_0_have_a_bin():
    assert [each.images for each in reliability.bins(np.array([0.0, 1.0]), np.array([False, True]))] == [1, 1]


@pytest.mark.parametrize(("probability", "shown"), [(0.6, "60%"), (0.9899, "99%"), (1, "over 99%")])
def test_a_probability_is_not_rounded_to_certainty(probability, shown):
    assert _chance(probability) == shown


def test_the_plot_has_a_circle_for_each_bin_with_its_numbers():
    bins = [vars(each) for each in reliability.bins(np.array([0.2, 0.9, 0.9]), np.array([False, True, True]))]
    drawing = chart({"before": bins, "after": bins[:1]})
    assert drawing.count("<title>") == 3
    assert "<title>2 images, probability 0.90, accuracy 1.00</title>" in drawing
