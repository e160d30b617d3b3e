"""What a classifier got wrong: by class, by pair of classes, and picture by picture. Needs NumPy only."""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np

from classifier.dataset.folders import Split


@dataclass(frozen=True)
class ClassScore:
    """One class's part of a split. `precision` is None where nothing was taken for the class."""

    name: str
    images: int
    precision: float | None  # of the images taken for this class, those that are of it
    recall: float  # of the images of this class, those that were taken for it
    f1: float  # 2 right / (images of it + images taken for it): the harmonic mean of both

    @property
    def rank(self) -> tuple[float, float, str]:
        """Worst first."""
        return self.f1, self.recall, self.name


@dataclass(frozen=True)
class Mistake:
    """An image that was taken for a class it is not of, and the probability that the model gave to that."""

    path: Path
    true: str
    predicted: str
    probability: float


def confusion(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 [classes, classes]: how many images of class i (row) were taken for class j (column)."""
    return np.bincount(targets * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def by_class(matrix: np.ndarray, classes: tuple[str, ...]) -> list[ClassScore]:
    """The classes' scores, in the order of `classes`; `matrix` is what `confusion` gives."""
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
    """The images that were taken for a wrong class, those first of which the model was surest; `most` of them."""
    wrong = np.flatnonzero(predicted != split.targets)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [
        Mistake(path, classes[target], classes[predicted[row]], float(confidence[row]))
        for row in surest.tolist()
        for path, target in [split.samples[row]]
    ]


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """Where the accuracy on any number of such images lies, with 95 % confidence: Wilson's score interval."""
    z = 1.96
    centre = (accuracy + z * z / (2 * images)) / (1 + z * z / images)
    reach = z / (1 + z * z / images) * sqrt(accuracy * (1 - accuracy) / images + z * z / (4 * images * images))
    return max(0.0, centre - reach), min(1.0, centre + reach)
