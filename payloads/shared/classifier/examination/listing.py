"""The list of all photographs as a CSV, the suspects first: to be corrected, and given back to `make data`.

    path,label,split,problem,suggested,probability

`deploy/photographs/lists.py` reads path, label and split and ignores the rest. To correct a label, write the right
class in its column; to leave a photograph out, delete its line.
"""

import csv
from pathlib import Path

from classifier.dataset.folders import Dataset
from classifier.examination.examine import Examination, Suspect

LISTING = "data.csv"
HEADER = ("path", "label", "split", "problem", "suggested", "probability")


def write(path: Path, dataset: Dataset, found: Examination, origin: str | None = None) -> None:
    """Write the list. `origin` is the address under which the splits can be read, such as s3://bucket/datasets/dogs;
    without one, the paths are relative to the folder of the splits."""
    suspects: dict[tuple[str, int], list[Suspect]] = {}
    for suspect in found.suspects:
        suspects.setdefault((suspect.split, suspect.row), []).append(suspect)
    others = ((name, row) for name, split in dataset.splits.items() for row in range(len(split)))
    order = dict.fromkeys([*suspects, *others])
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for split, row in order:
            image, target = dataset.splits[split].samples[row]
            why = suspects.get((split, row), [])
            place = f"{origin.rstrip('/') + '/' if origin else ''}{split}/{image.parent.name}/{image.name}"
            label = next((each for each in why if each.suggested is not None), None)
            suggested = "" if label is None or label.suggested is None else dataset.classes[label.suggested]
            probability = "" if label is None else f"{label.probability:.3f}"
            problems = " and ".join(each.problem for each in why)
            rows.writerow((place, dataset.classes[target], split, problems, suggested, probability))
