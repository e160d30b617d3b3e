"""The suspects of an examination for a reader: pictures for the report, and counts and names for metrics.json."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from classifier.dataset.folders import Dataset, read_image
from classifier.examination.examine import PROBLEMS, Examination, Suspect

SHOWN = {"label": 24}  # pictures of a problem, at most
SHOWN_OTHERS = 6
SIDE = 192  # pixels of each picture
NAMED = 200  # of each problem in metrics.json; data.csv has all


@dataclass(frozen=True)
class Picture:
    """A suspect as a picture. `label` and `suggested` are names for people."""

    image: Image.Image
    file: str
    label: str
    suggested: str | None
    probability: float | None


@dataclass(frozen=True)
class Group:
    """The first suspects with one problem, of `count`."""

    title: str
    count: int
    pictures: Sequence[Picture]


def pictures(dataset: Dataset, labels: Sequence[str], examined: Examination) -> list[Group]:
    """The suspects by problem. Raises DatasetError if a photograph can no longer be read."""
    groups = []
    for problem, words in PROBLEMS.items():
        if found := examined.of(problem):
            shown = found[: SHOWN.get(problem, SHOWN_OTHERS)]
            groups.append(Group(words.capitalize(), len(found), [_picture(dataset, labels, each) for each in shown]))
    return groups


def content(dataset: Dataset, examined: Examination) -> dict:
    """The number of suspects by problem, and the first of them by name."""
    return {
        "counts": {problem: len(examined.of(problem)) for problem in PROBLEMS},
        "suspects": [
            {
                "file": _file(dataset, each),
                "problem": problem,
                "suggested": None if each.suggested is None else dataset.classes[each.suggested],
                "probability": each.probability,
            }
            for problem in PROBLEMS
            for each in examined.of(problem)[:NAMED]
        ],
    }


def _picture(dataset: Dataset, labels: Sequence[str], suspect: Suspect) -> Picture:
    path, target = dataset.splits[suspect.split].samples[suspect.row]
    suggested = None if suspect.suggested is None else labels[suspect.suggested]
    image = Image.fromarray(read_image(path, SIDE))
    return Picture(image, _file(dataset, suspect), labels[target], suggested, suspect.probability)


def _file(dataset: Dataset, suspect: Suspect) -> str:
    path, _ = dataset.splits[suspect.split].samples[suspect.row]
    return f"{suspect.split}/{path.parent.name}/{path.name}"
