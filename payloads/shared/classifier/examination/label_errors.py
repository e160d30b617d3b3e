"""Find photographs that are probably in the wrong class: confident learning.

C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial
Intelligence Research 70 (2021), sections 3.1 and 3.2. A class's threshold is the mean probability of the class over
the images that have its label. An image is in doubt if the probability of another class reaches that class's threshold.
The library cleanlab does the same; it would add pandas to each training image. Needs NumPy only.
"""

from dataclasses import dataclass

import numpy as np

ROWS = 16_384  # images that are compared at once


@dataclass(frozen=True)
class DoubtfulLabel:
    """An image whose label is probably wrong. `probability` is that of the class `suggested`."""

    row: int
    suggested: int
    probability: float


def find(probabilities: np.ndarray, targets: np.ndarray) -> list[DoubtfulLabel]:
    """The images in doubt, the least probable label first.

    `probabilities` [images, classes] must be of models that were not trained on the image. Rows with NaN are left out.
    A class without a measured image has no threshold, so nothing is suggested to be of it.
    """
    thresholds = _thresholds(probabilities, targets)
    found: list[tuple[float, DoubtfulLabel]] = []
    for start in range(0, len(targets), ROWS):  # the probabilities may be larger than memory
        given, truth = probabilities[start : start + ROWS], targets[start : start + ROWS]
        own = given[np.arange(len(truth)), truth]
        above = np.where(given >= thresholds, given, -1.0)
        suggested = above.argmax(axis=1)
        # A label whose own probability is the largest is not in doubt, even if it is below its threshold.
        doubtful = (above.max(axis=1) > 0) & (suggested != truth) & (given.max(axis=1) > own)
        for row in np.flatnonzero(doubtful).tolist():
            probability = float(given[row, suggested[row]])
            found.append((float(own[row]) - probability, DoubtfulLabel(start + row, int(suggested[row]), probability)))
    return [doubt for _, doubt in sorted(found, key=lambda each: (each[0], each[1].row))]


def _thresholds(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The mean probability of each class over the images with its label; infinite without a measured one."""
    sums, counts = np.zeros(probabilities.shape[1]), np.zeros(probabilities.shape[1])
    own = probabilities[np.arange(len(targets)), targets]
    measured = ~np.isnan(own)
    np.add.at(sums, targets[measured], own[measured])
    np.add.at(counts, targets[measured], 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
