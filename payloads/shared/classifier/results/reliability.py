"""How correct the probabilities of a classifier are: its calibration error and the points of a reliability plot.

C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2. Needs NumPy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 15  # as in the paper


@dataclass(frozen=True)
class Bin:
    """The images whose predicted class has a probability in this bin: their number, mean probability and accuracy."""

    images: int
    probability: float
    accuracy: float


def bins(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """The bins that have images, in order. `confidence` is the probability of each predicted class, `right` bool."""
    places = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(int)  # a bin includes its upper end
    groups = [places == place for place in range(BINS)]
    return [
        Bin(int(group.sum()), float(confidence[group].mean()), float(right[group].mean()))
        for group in groups
        if group.any()
    ]


def calibration_error(found: Sequence[Bin]) -> float:
    """The expected calibration error, 0 to 1: the mean difference of probability and accuracy, weighted by images.

    With few images it is too large, because chance alone makes such differences.
    """
    return sum(each.images * abs(each.probability - each.accuracy) for each in found) / sum(
        each.images for each in found
    )
