"""Two models on the same images: accuracies, a paired test, and the changes per class. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, erfc, sqrt

import numpy as np

SIGNIFICANCE = 0.05  # a candidate is refused if a model as good as the live one would do so badly less often
EXACT_UP_TO = 1000  # images that one model alone classifies correctly; beyond, the approximation has the same digits


@dataclass(frozen=True)
class Answers:
    """A model's probabilities, float32 [images, classes]; `classes` are its class folders, in their order."""

    classes: tuple[str, ...]
    probabilities: np.ndarray


@dataclass(frozen=True)
class ClassChange:
    """The images of one class, and how many of them each model classifies correctly."""

    name: str
    images: int
    live: int
    candidate: int


@dataclass(frozen=True)
class PairedResult:
    """`only_live` and `only_candidate` are the images that one of the models alone classifies correctly."""

    classes: tuple[str, ...]  # those that were compared: the ones that both models know
    images: int
    live: int  # images that it classifies correctly
    candidate: int
    only_live: int
    only_candidate: int
    by_class: tuple[ClassChange, ...]  # the largest losses first

    @property
    def p_value(self) -> float:
        return mcnemar(self.only_live, self.only_candidate)

    @property
    def is_worse(self) -> bool:
        """Whether the candidate is significantly worse than the live model."""
        return self.candidate < self.live and self.p_value < SIGNIFICANCE


def shared_classes(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """The classes that both models know, sorted."""
    return tuple(sorted(set(one) & set(other)))


def compare(labels: Sequence[str], live: Answers, candidate: Answers) -> PairedResult:
    """Compare the models on images with these labels.

    Only images of classes that both models know count. Each model chooses among those classes only, so a class that one
    model has in addition is neither an advantage nor a disadvantage.
    """
    classes = shared_classes(live.classes, candidate.classes)
    targets = np.array([classes.index(label) if label in classes else -1 for label in labels], np.int64)
    used = targets >= 0
    targets = targets[used]
    right = [_right(answers, classes, used, targets) for answers in (live, candidate)]
    changes = [
        ClassChange(name, int(mine.sum()), *(int(each[mine].sum()) for each in right))
        for index, name in enumerate(classes)
        for mine in [targets == index]
        if mine.any()
    ]
    return PairedResult(
        classes,
        len(targets),
        int(right[0].sum()),
        int(right[1].sum()),
        int((right[0] & ~right[1]).sum()),
        int((right[1] & ~right[0]).sum()),
        tuple(sorted(changes, key=lambda each: ((each.candidate - each.live) / each.images, each.name))),
    )


def _right(answers: Answers, classes: tuple[str, ...], used: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Whether the model's best class is the right one, bool [images]."""
    columns = [answers.classes.index(name) for name in classes]
    return answers.probabilities[used][:, columns].argmax(axis=1) == targets


def mcnemar(one: int, other: int) -> float:
    """The two-sided p-value of McNemar's test, for the images that only one and only the other model gets right.

    If both models are equally good, each such image is right for either of them like the toss of a coin. So the exact
    test is the binomial one. For many images it is the chi-squared test with one degree of freedom and Edwards's
    continuity correction. Sources: Q. McNemar, Psychometrika 12 (1947), 153-157; A. L. Edwards, Psychometrika 13
    (1948), 185-187; for classifiers: T. G. Dietterich, Neural Computation 10 (1998), 1895-1923.
    """
    total, least = one + other, min(one, other)
    if total == 0:
        return 1.0
    if total <= EXACT_UP_TO:
        tail = sum(comb(total, count) for count in range(least + 1))
        return min(1.0, float(2 * tail / 2**total))
    statistic = max(abs(one - other) - 1, 0) ** 2 / total
    return erfc(sqrt(statistic / 2))  # the tail of the chi-squared distribution with one degree of freedom
