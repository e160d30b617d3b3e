"""Accuracy with few training images per class: the head in steps against the regularised one.

Each draw takes images at random from train, and from valid as many as SPLIT=70/15/15 would give. Both heads get the
same images. The accuracy is that on the whole test split, which chooses nothing.
"""

from dataclasses import replace

import numpy as np
from classifier.learning.features import Features
from classifier.learning.head import train_head
from classifier.learning.regularised import fit_head
from classifier.settings import Settings

PER_CLASS = (2, 5, 10, 20)
DRAWS = 10
STUDENT = 2.262  # the 97.5 % quantile of Student's distribution with DRAWS - 1 degrees of freedom


def measure(features: dict[str, Features], classes: int) -> list[dict]:
    """One row per number of images: the mean accuracy of both heads, with the 95 % interval of the mean, and the
    interval of one draw's cross-validation as a run would report it."""
    rows = []
    for count in PER_CLASS:
        before, after, covered = [], [], []
        for draw in range(DRAWS):
            random = np.random.default_rng([count, draw])
            train = _drawn(features["train"], count, classes, random)
            valid = _drawn(features["valid"], max(1, round(count * 15 / 70)), classes, random)
            steps, _ = train_head(train, valid, classes, replace(Settings(), seed=draw), announce=lambda line: None)
            regularised, found = fit_head(train, train, classes)
            before.append(steps.evaluate(features["test"]).accuracy)
            after.append(regularised.evaluate(features["test"]).accuracy)
            covered.append(found.accuracy(train.targets)[0])
        rows.append({"per_class": count, "steps": _mean(before), "regularised": _mean(after),
                     "cross_validated": _mean(covered)})  # fmt: skip
    return rows


def _drawn(features: Features, count: int, classes: int, random: np.random.Generator) -> Features:
    rows = [random.choice(np.flatnonzero(features.targets == each), count, replace=False) for each in range(classes)]
    chosen = np.sort(np.concatenate(rows))
    return Features(features.values[chosen], features.targets[chosen])


def _mean(values: list[float]) -> dict[str, float]:
    mean, reach = float(np.mean(values)), STUDENT * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return {"mean": mean, "low": mean - reach, "high": mean + reach, "worst": min(values), "best": max(values)}
