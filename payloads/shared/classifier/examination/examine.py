"""The photographs of a dataset that a person should look at, from what training has computed anyway."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from classifier.dataset import checks
from classifier.dataset.checks import Finding
from classifier.dataset.folders import Dataset
from classifier.examination import label_errors, oddness
from classifier.learning.features import allocate

UNEQUAL = 5  # times as many images in the largest class of train as in the smallest
OUTLIER = "outlier"
PROBLEMS = {  # for people, the most important first
    "label": "probably in the wrong class",
    OUTLIER: "unlike all other photographs",
    "blurred": "blurred",
    "dark": "very dark",
    "bright": "very bright",
    "flat": "little contrast",
}


@dataclass(frozen=True)
class Suspect:
    """A photograph to look at. With the problem "label", `suggested` is the class that it probably belongs to, and
    `probability` that of this class."""

    split: str
    row: int  # in the split
    problem: str  # of PROBLEMS
    suggested: int | None = None
    probability: float | None = None


@dataclass(frozen=True)
class Examination:
    """The suspects, by problem and then the most suspicious first, and findings in words."""

    suspects: tuple[Suspect, ...] = ()
    findings: tuple[Finding, ...] = ()
    images: int = 0

    def of(self, problem: str) -> list[Suspect]:
        return [suspect for suspect in self.suspects if suspect.problem == problem]

    def __str__(self) -> str:
        counted = [f"{count:,} {words}" for problem, words in PROBLEMS.items() if (count := len(self.of(problem)))]
        return f"of {self.images:,} photographs, look at: {', '.join(counted) or 'none'}"


def examine(
    dataset: Dataset,
    hashes: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    looks: Mapping[str, np.ndarray],
) -> Examination:
    """`probabilities` [images, classes] of each split are of heads that were not trained on the image; NaN if there is
    none. `values` are features of one backbone; those of train are needed. `looks` are those of `oddness.look`.
    `hashes` are the dataset's, in the order of the splits.
    """
    suspects = [*_labels(dataset, probabilities), *_outliers(values), *_odd(looks)]
    order = list(PROBLEMS)
    suspects.sort(key=lambda suspect: order.index(suspect.problem))  # stable
    findings = list(_unequal(dataset))
    if all(name in looks for name in dataset.splits):
        whole = (thumbnail for name in dataset.splits for thumbnail in oddness.thumbnails(looks[name]))
        findings += checks.find_lookalikes(dataset, hashes, whole)
    images = sum(map(len, dataset.splits.values()))
    return Examination(tuple(suspects), tuple(findings), images=images)


def _labels(dataset: Dataset, probabilities: Mapping[str, np.ndarray]) -> list[Suspect]:
    names = [name for name in dataset.splits if name in probabilities]
    places = [(name, row) for name in names for row in range(len(dataset.splits[name]))]
    targets = np.concatenate([dataset.splits[name].targets for name in names])
    whole = allocate(len(targets), len(dataset.classes))
    np.concatenate([probabilities[name] for name in names], out=whole)
    found = label_errors.find(whole, targets)
    return [Suspect(*places[each.row], "label", each.suggested, each.probability) for each in found]


def _outliers(values: Mapping[str, np.ndarray]) -> list[Suspect]:
    names = list(values)
    places = [(name, row) for name in names for row in range(len(values[name]))]
    rows = oddness.by_features([values[name] for name in names], values["train"]).tolist()
    return [Suspect(*places[row], problem=OUTLIER) for row in rows]


def _odd(looks: Mapping[str, np.ndarray]) -> list[Suspect]:
    names = list(looks)
    places = [(name, row) for name in names for row in range(len(looks[name]))]
    found = oddness.by_look(np.concatenate([oddness.measures(looks[name]) for name in names])) if names else {}
    return [Suspect(*places[row], problem=word) for word, rows in found.items() for row in rows.tolist()]


def _unequal(dataset: Dataset) -> list[Finding]:
    counts = np.bincount(dataset.splits["train"].targets, minlength=len(dataset.classes))
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    if counts[largest] < UNEQUAL * counts[smallest]:
        return []
    title = (
        f"The largest class has {counts[largest] / counts[smallest]:.0f} times as many training images as the "
        "smallest; CLASS_WEIGHTS=balanced gives each class the same weight"
    )
    examples = tuple(f"{dataset.classes[each]}: {counts[each]:,}" for each in (largest, smallest))
    return [Finding(title, examples)]
