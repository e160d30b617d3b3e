"""Examine the photographs of a training run, with what the run has computed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from classifier.dataset.folders import Dataset
from classifier.examination.examine import Examination, examine
from classifier.learning.features import Features
from classifier.learning.head import Head
from classifier.learning.regularised import probabilities
from classifier.results import evaluation

if TYPE_CHECKING:
    from classifier.task import Trained


def examine_run(
    dataset: Dataset,
    hashes: np.ndarray,
    trained: "Trained",
    head: Head,
    test: Features,
    looks: Mapping[str, np.ndarray],
    fine_tuned: bool,
) -> Examination:
    """The writer's examination. Images of train are judged by heads of other folds, all others by the trained head."""
    assert trained.valid is not None and trained.validated is not None  # they are not None on the writer
    judged = {
        "train": trained.validated.probabilities,
        "valid": probabilities(head, trained.valid),
        "test": probabilities(head, test),
    }
    values = {name: features.values for name, features in trained.frozen.items()}
    if not fine_tuned:  # otherwise these features are those of another backbone
        values["test"] = test.values
    return examine(dataset, hashes, judged, values, looks)


def cross_validated(trained: "Trained") -> dict[str, float]:
    """The accuracy of regularised heads on images of train that were held out, with its 95 % interval. It is known
    more exactly than that on the test split if there are few images."""
    if trained.validated is None or "train" not in trained.frozen:
        return {}
    accuracy, images = trained.validated.accuracy(trained.frozen["train"].targets)
    if not images:
        return {}
    low, high = evaluation.interval(accuracy, images)
    return {
        "cross_validated_accuracy": accuracy,
        "cross_validated_accuracy_low": low,
        "cross_validated_accuracy_high": high,
    }
