"""Recall and precision of the list of likely label errors, when some labels of train are changed at random."""

import time

import numpy as np
from classifier.examination import label_errors
from classifier.learning.features import Features
from classifier.learning.regularised import validate

SHARE = 0.05
DRAWS = 3


def measure(train: Features, classes: int) -> dict:
    """The mean over DRAWS: of the changed labels, how many are in the list; of the list, how many were changed. An
    image that was in the list before any change counts as wrong here, although its label may be one of the dataset's
    own errors; `listed_before` is their number."""
    rows = []
    before = label_errors.find(validate(train, classes).probabilities, train.targets)
    for draw in range(DRAWS):
        random = np.random.default_rng(draw)
        changed = random.choice(len(train.targets), round(SHARE * len(train.targets)), replace=False)
        targets = train.targets.copy()
        targets[changed] = (targets[changed] + random.integers(1, classes, len(changed))) % classes
        order = np.argsort(targets, kind="stable")  # a dataset is sorted by class
        began = time.monotonic()
        found = validate(Features(train.values[order], targets[order]), classes)
        listed = [order[each.row] for each in label_errors.find(found.probabilities, targets[order])]
        hits = np.isin(listed, changed)
        rows.append({
            "recall": float(hits.sum() / len(changed)),
            "precision": float(hits.mean()),
            "precision_first": float(hits[: len(changed)].mean()),
            "listed": len(listed),
            "seconds": time.monotonic() - began,
        })  # fmt: skip
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return means | {"changed": round(SHARE * len(train.targets)), "listed_before": len(before), "draws": DRAWS}
