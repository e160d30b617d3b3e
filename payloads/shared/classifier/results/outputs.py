"""The results of a run, in addition to the model: metrics.json for programs, report.html for people, and data.csv, the
list of all photographs, to be corrected."""

import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from classifier import prices
from classifier.artifact import ModelCard
from classifier.dataset.checks import Finding
from classifier.dataset.folders import Dataset, read_image
from classifier.examination import gallery, listing
from classifier.examination.examine import Examination
from classifier.learning.head import HEAD_LR
from classifier.learning.training import Epoch, Score
from classifier.machine import hardware
from classifier.machine.plan import Machine
from classifier.results import evaluation
from classifier.results.evaluation import Mistake
from classifier.results.page import render
from classifier.results.trusting import NOT_MEASURED, Trust
from classifier.settings import Settings

METRICS = "metrics.json"
REPORT = "report.html"
MISTAKES = 12  # the report shows this many as pictures
SIDE = 224  # pixels of each picture


@dataclass(frozen=True)
class TrainingInstances:
    """The instances of a run. `type` is the name that AWS uses, None if it is unknown."""

    type: str | None = None
    count: int = 1
    processes: int = 1


@dataclass(frozen=True)
class Run:
    """A run that has ended: everything that its results depend on."""

    card: ModelCard
    settings: Settings
    dataset: Dataset
    findings: list[Finding]  # of the data checks
    history: list[Epoch]
    test: Score
    seconds: dict[str, float]  # by phase
    instance: TrainingInstances
    machine: Machine  # as the run used it
    autotune: Sequence[dict] = ()  # the trials of autotuning
    trust: Trust = NOT_MEASURED
    preset: Sequence[dict] = ()  # the trials of a preset
    examined: Examination = field(default_factory=Examination)
    origin: str | None = None  # the address of the splits, for data.csv


def write(folder: Path, run: Run) -> None:
    """Write metrics.json and report.html.

    An error in the report is printed and does not fail the run: the model may be the result of hours.
    """
    split, test = run.dataset.splits["test"], run.test
    predicted, confidence = test.predicted.numpy(), test.confidence.numpy()
    mistakes = evaluation.worst_mistakes(split, predicted, confidence, run.card.labels, MISTAKES)
    content = _content(run, predicted, mistakes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METRICS).write_text(json.dumps(content, indent=2) + "\n")
    listing.write(folder / listing.LISTING, run.dataset, run.examined, run.origin)
    try:
        shown = gallery.pictures(run.dataset, run.card.labels, run.examined)
        page = render(content, [_picture(mistake) for mistake in mistakes], shown)
        # The name of a file may not be valid text. JSON can represent such a name, a page cannot.
        (folder / REPORT).write_text(page, encoding="utf-8", errors="replace")
    except Exception:
        traceback.print_exc()
        print(f"Could not write {REPORT}. The model and {METRICS} are complete.", file=sys.stderr, flush=True)


def _content(run: Run, predicted: np.ndarray, mistakes: list[Mistake]) -> dict:
    """Everything that is needed to judge the run, to compare it with another, and to repeat it.

    `confusion[i][j]` is the number of test images of class i that the model predicted as class j.
    """
    card = run.card
    confusion = evaluation.confusion(run.dataset.splits["test"].targets, predicted, len(card.classes))
    scores = evaluation.by_class(confusion, card.classes)
    return {
        "name": card.name,
        "architecture": card.architecture,
        "model": {key: value for key, value in asdict(card).items() if key.startswith("precision")},
        "metrics": card.metrics,
        "calibration": card.calibration,
        "reliability": run.trust.reliability,
        "known": card.known,
        "known_limits": card.known_limits,
        "settings": asdict(run.settings),
        "learning_rate": _learning_rate(run.settings),
        "images": {name: len(split) for name, split in run.dataset.splits.items()},
        "classes": list(card.classes),
        "labels": list(card.labels),
        "class_accuracy": {score.name: score.recall for score in scores},
        "class_precision": {score.name: score.precision for score in scores},
        "class_f1": {score.name: score.f1 for score in scores},
        "confusion": confusion.tolist(),
        "mistakes": [
            {
                "file": "/".join(mistake.path.parts[-2:]),
                "true": mistake.true,
                "predicted": mistake.predicted,
                "probability": mistake.probability,
            }
            for mistake in mistakes
        ],
        "findings": [asdict(finding) for finding in (*run.findings, *run.examined.findings)],
        "examination": gallery.content(run.dataset, run.examined),
        "history": [asdict(epoch) for epoch in run.history],
        "seconds": run.seconds,
        "autotune": list(run.autotune),
        "preset": list(run.preset),
        "instance": asdict(run.instance),
        "machine": {"threads": run.machine.threads, "workers": run.machine.workers},
        "hardware": hardware.describe(),
        "cost": _cost(run),
        "data_sha256": card.data_sha256,
        "code_sha256": card.code_sha256,
        "libraries": card.libraries,
        "created": card.created,
    }


def _learning_rate(settings: Settings) -> float:
    if settings.lr is not None:
        return settings.lr
    if settings.fine_tune:
        from classifier.learning.fine_tuning import NETWORK_LR  # torchvision takes a second to import

        return NETWORK_LR
    return HEAD_LR


def _cost(run: Run) -> dict:
    """The cost in USD, the hourly price, and both in words. The numbers are None if no price is known."""
    instance, seconds = run.instance, sum(run.seconds.values())
    if instance.type is None:
        return {"usd": None, "hourly_usd": None, "text": "The instance type of this run is unknown."}
    known = prices.cost(instance.type, seconds, instance.count)
    return {
        "usd": known and known.usd,
        "hourly_usd": known and known.hourly,
        "text": prices.sentence(instance.type, seconds, instance.count),
    }


def _picture(mistake: Mistake) -> Image.Image:
    """The input of the network: the centre of the photograph, turned upright."""
    return Image.fromarray(read_image(mistake.path, SIDE))
