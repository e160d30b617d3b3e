"""The errors of a classifier: per class, per pair of classes, and per image. Needs NumPy only."""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np

from classifier.dataset.folders import Split


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class on a split. `precision` is None if the model never predicted the class."""

    name: str
    images: int
    precision: float | None  # correct predictions / images predicted as the class
    recall: float  # correct predictions / images of the class
    f1: float  # the harmonic mean of both

    @property
    def rank(self) -> tuple[float, float, str]:
        """Worst first."""
        return self.f1, self.recall, self.name


@dataclass(frozen=True)
class Mistake:
    """An image with a wrong prediction. `probability` is that of the predicted class."""

    path: Path
    true: str
    predicted: str
    probability: float


def confusion(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 [classes, classes]: the number of images of class i (row) that were predicted as class j (column)."""
    return np.bincount(targets * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def by_class(matrix: np.ndarray, classes: tuple[str, ...]) -> list[ClassScore]:
    """The scores of the classes, in the order of `classes`. `matrix` is the result of `confusion`."""
    right, images, taken = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        ClassScore(
            name=name,
            images=int(images[i]),
            precision=float(right[i] / taken[i]) if taken[i] else None,
            recall=float(right[i] / max(images[i], 1)),
            f1=float(2 * right[i] / max(images[i] + taken[i], 1)),
        )
        for i, name in enumerate(classes)
    ]


def worst_mistakes(
    split: Split, predicted: np.ndarray, confidence: np.ndarray, classes: tuple[str, ...], most: int
) -> list[Mistake]:
    """The images with a wrong prediction, at most `most`, those with the highest probability first."""
    wrong = np.flatnonzero(predicted != split.targets)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [
        Mistake(path, classes[target], classes[predicted[row]], float(confidence[row]))
        for row in surest.tolist()
        for path, target in [split.samples[row]]
    ]


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """The 95 % confidence interval of an accuracy on `images` images: Wilson's score interval."""
    z = 1.96
    centre = (accuracy + z * z / (2 * images)) / (1 + z * z / images)
    reach = z / (1 + z * z / images) * sqrt(accuracy * (1 - accuracy) / images + z * z / (4 * images * images))
    return max(0.0, centre - reach), min(1.0, centre + reach)
