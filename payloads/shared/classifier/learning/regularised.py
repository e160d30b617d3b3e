"""A head for few images: multinomial logistic regression whose strength is chosen by cross-validation.

With 2 to 20 images per class there are more features than images. What decides then is the penalty on the weights, not
the number of epochs, and a validation split of a few images cannot choose either. So the penalty is chosen by
cross-validation on the training split, and the loss is minimised to its end (L-BFGS), without learning rate or seed.

The same fit gives out-of-fold probabilities: those of heads that were not trained on the image. `results.label_errors`
needs them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from classifier.learning.features import Features, allocate
from classifier.learning.head import ROWS, Head, mean_and_deviation, one_thread

FOLDS = 5
# The penalty is strength / 2 * |weights|^2 added to the mean loss, for features scaled to a mean square length of 1.
STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
UNMEASURED = 1e-3  # if no class has two images, so that nothing can be held out
STEPS = 60  # of L-BFGS, at most
CLOSE, EXACT = 1e-5, 1e-9  # the change of the loss at which a fit ends: to compare strengths, and for the head
MOST = 4000  # images that a fit of a fold uses, at most, so that the time is bounded
AXES = 256  # of the features in cross-validation, so that time and memory are bounded


@dataclass(frozen=True)
class Validated:
    """The cross-validation of a training split. `probabilities` float32 [images, classes] are out of fold; a row is
    NaN if the image is the only one of its class."""

    strength: float
    probabilities: np.ndarray
    loss: dict[float, float]  # by strength

    def accuracy(self, targets: np.ndarray) -> tuple[float, int]:
        """(accuracy, number of images) of the rows that were held out."""
        held = ~np.isnan(self.probabilities[:, 0])
        right = self.probabilities[held].argmax(axis=1) == targets[held]
        return float(right.mean()) if held.any() else 0.0, int(held.sum())


def fit_head(
    train: Features, plain: Features, classes: int, class_weights: torch.Tensor | None = None
) -> tuple[Head, Validated]:
    """The head for `train` with the strength that `validate` finds on `plain`, and that validation. No randomness.

    `plain` are the images without augmentation: with it, views of one image would be in several folds.
    """
    found = validate(plain, classes, class_weights)
    with one_thread():
        head = _Problem(train, classes, class_weights).solve([found.strength], EXACT)[0]
    return head, found


def validate(train: Features, classes: int, class_weights: torch.Tensor | None = None) -> Validated:
    """Choose the strength with the smallest loss on images that were held out, and judge every image by a head of the
    other folds with this strength.

    A fold's head is fitted on at most MOST images. The heads see the features along their AXES principal axes, which
    are found without the labels.
    """
    with one_thread():
        train = _reduced(train)
        loss = _losses(_some(train, MOST), classes, class_weights)
        strength = min(loss, key=lambda each: loss[each]) if loss else UNMEASURED
        judged = allocate(len(train.targets), classes)
        judged[:] = np.nan
        for rest, held in _folds(train.targets):
            judged[held] = probabilities(_heads(train, rest, classes, class_weights, [strength])[0], _rows(train, held))
    return Validated(strength, judged, loss)


def _losses(train: Features, classes: int, class_weights: torch.Tensor | None) -> dict[float, float]:
    """The mean loss on held-out images by strength. Empty if no image can be held out."""
    totals, weight = dict.fromkeys(STRENGTHS, 0.0), 0.0
    weights = torch.ones(classes) if class_weights is None else class_weights
    for rest, held in _folds(train.targets):
        truth = torch.from_numpy(train.targets[held])
        weight += float(weights[truth].sum())
        for strength, head in zip(STRENGTHS, _heads(train, rest, classes, class_weights, STRENGTHS), strict=True):
            likely = torch.from_numpy(probabilities(head, _rows(train, held))).clamp_min(1e-12).log()
            totals[strength] += float(F.nll_loss(likely, truth, weights, reduction="sum"))
    return {strength: total / weight for strength, total in totals.items()} if weight else {}


def _heads(
    train: Features, rest: np.ndarray, classes: int, class_weights: torch.Tensor | None, strengths: Sequence[float]
) -> list[Head]:
    weights = _prior(train.targets, rest, classes, class_weights)
    return _Problem(_some(_rows(train, rest), MOST), classes, weights).solve(strengths)


def probabilities(head: Head, features: Features) -> np.ndarray:
    """float32 [images, classes], which need not be in memory."""
    made = allocate(len(features.values), len(head.bias))
    for start in range(0, len(made), ROWS):
        rows = torch.from_numpy(np.ascontiguousarray(features.values[start : start + ROWS]))
        made[start : start + ROWS] = F.linear(rows, head.weight, head.bias).softmax(dim=1).numpy()
    return made


def fold_of(targets: np.ndarray) -> np.ndarray:
    """The fold of each image, int64 [images]: the images of each class go to the folds in turn, the first to the first.
    So no class is missing from the others, and a fold takes as many images from one class as from another. With 2
    dogs per class and unequal parts, the accuracy on held-out images was 0.45 instead of 0.60. -1 for the only image
    of a class, which is never held out."""
    counts = np.bincount(targets)
    order = np.argsort(targets, kind="stable")
    place = np.empty(len(targets), np.int64)
    place[order] = np.arange(len(targets)) - np.repeat(np.cumsum(counts) - counts, counts)
    turns = place % FOLDS
    turns[counts[targets] < 2] = -1
    return turns


def _folds(targets: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (rows of the rest, rows that are held out)."""
    turns = fold_of(targets)
    for turn in range(FOLDS):
        held = np.flatnonzero(turns == turn)
        if len(held):
            yield np.flatnonzero(turns != turn), held


def _prior(targets: np.ndarray, rest: np.ndarray, classes: int, class_weights: torch.Tensor | None) -> torch.Tensor:
    """Class weights that give the rest the class frequencies of the whole. Otherwise, of two images of a class, the
    one held out would belong to a class that is half as frequent as the others, and so be taken for one of those."""
    whole, left = (np.bincount(each, minlength=classes) for each in (targets, targets[rest]))
    weights = torch.from_numpy(whole / np.maximum(left, 1)).float()
    return weights if class_weights is None else weights * class_weights


def _reduced(train: Features) -> Features:
    """The features along their principal axes, if that makes them fewer."""
    width = train.values.shape[1]
    if min(width, len(train.targets)) <= AXES:
        return train
    sample = torch.from_numpy(np.ascontiguousarray(_some(train, MOST).values))
    mean = sample.mean(dim=0)
    _, axes = torch.linalg.eigh((sample - mean).T @ (sample - mean))  # the largest last
    axes = axes[:, -AXES:]
    made = allocate(len(train.targets), AXES)
    for start in range(0, len(made), ROWS):
        rows = torch.from_numpy(train.values[start : start + ROWS])
        made[start : start + ROWS] = ((rows - mean) @ axes).numpy()
    return Features(made, train.targets)


def _rows(features: Features, rows: np.ndarray) -> Features:
    return Features(features.values[rows], features.targets[rows])


def _some(features: Features, most: int) -> Features:
    """An even selection. The rows are sorted by class, so each class keeps its share."""
    step = -(-len(features.targets) // most)
    return Features(np.asarray(features.values[::step]), features.targets[::step])


class _Problem:
    """The loss on some images, in as few dimensions as they span. The best weights are sums of the images' features
    (the representer theorem), so the coordinates along the images' principal axes lose nothing."""

    def __init__(self, train: Features, classes: int, class_weights: torch.Tensor | None):
        self.mean, deviation = mean_and_deviation(train)
        self.scale = deviation * train.values.shape[1] ** 0.5
        self.targets, self.classes, self.weights = torch.from_numpy(train.targets), classes, class_weights
        values = (torch.from_numpy(np.ascontiguousarray(train.values)) - self.mean) / self.scale
        self.axes = None
        if values.shape[0] < values.shape[1]:
            _, _, axes = torch.linalg.svd(values, full_matrices=False)
            self.axes, values = axes, values @ axes.T
        self.values = values

    def solve(self, strengths: Sequence[float], change: float = CLOSE) -> list[Head]:
        """A head per strength, each fit starting from the one before."""
        weight = torch.zeros(self.classes, self.values.shape[1], requires_grad=True)
        bias = torch.zeros(self.classes, requires_grad=True)
        heads = []
        for strength in strengths:
            self._minimise(weight, bias, strength, change)
            heads.append(self._head(weight.detach().clone(), bias.detach().clone()))
        return heads

    def _minimise(self, weight: torch.Tensor, bias: torch.Tensor, strength: float, change: float) -> None:
        solver = torch.optim.LBFGS(
            [weight, bias], max_iter=STEPS, history_size=10, tolerance_change=change, line_search_fn="strong_wolfe"
        )

        def loss() -> torch.Tensor:
            solver.zero_grad()
            fit = F.cross_entropy(F.linear(self.values, weight, bias), self.targets, weight=self.weights)
            total = fit + strength / 2 * weight.square().sum()
            total.backward()
            return total

        solver.step(loss)

    def _head(self, weight: torch.Tensor, bias: torch.Tensor) -> Head:
        """For features that are not scaled, in all dimensions."""
        if self.axes is not None:
            weight = weight @ self.axes
        weight = weight / self.scale
        return Head(weight, bias - weight @ self.mean)
