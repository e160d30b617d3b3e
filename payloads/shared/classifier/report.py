"""What a run leaves behind to be read: the model's card, its weights, and metrics.json."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from classifier import graph
from classifier.artifact import WEIGHTS, ModelCard
from classifier.data import Dataset
from classifier.model import Backbone
from classifier.settings import Settings
from classifier.training import Epoch, Score

METRICS = "metrics.json"
LIBRARIES = ("torch", "torchvision", "openvino", "numpy", "pillow", "safetensors")


class Clock:
    """Seconds by phase, in the order in which the phases ended."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._began = time.monotonic()

    def lap(self, phase: str) -> None:
        now = time.monotonic()
        self.laps[phase] = round(now - self._began, 2)
        self._began = now

    def __str__(self) -> str:
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in self.laps.items())
        return f"{sum(self.laps.values()):.1f} s ({phases})"


def model_card(
    name: str,
    backbone: Backbone,
    classes: tuple[str, ...],
    labels: tuple[str, ...],
    *,
    metrics: dict[str, float],
    data_sha256: str | None,
    created: datetime | None = None,
) -> ModelCard:
    """The card of a model made now, or at `created`; its `files` are filled in when the artifact is completed."""
    return ModelCard(
        name=name,
        architecture=backbone.architecture,
        classes=classes,
        labels=labels,
        input_size=backbone.size,
        mean=tuple(backbone.mean),
        std=tuple(backbone.std),
        precision=graph.PRECISION,
        created=(created or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        metrics=metrics,
        data_sha256=data_sha256,
        code_sha256=code_hash(),
        libraries={library: version(library) for library in LIBRARIES},
        files={},
    )


def save_weights(folder: Path, backbone: Backbone, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Write weights.safetensors: the backbone's state dict under `backbone.`, and `head.weight`, `head.bias`."""
    parameters = {f"backbone.{key}": value for key, value in backbone.network.state_dict().items()}
    parameters |= {"head.weight": weight, "head.bias": bias}
    save_file({key: value.contiguous() for key, value in parameters.items()}, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # it is written for its owner alone, and serving may run as somebody else


def code_hash() -> str:
    """SHA-256 over the modules of this package: which code made a model."""
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def write_metrics(
    folder: Path,
    card: ModelCard,
    settings: Settings,
    dataset: Dataset,
    history: list[Epoch],
    test: Score,
    clock: Clock,
    trial: Sequence[dict] = (),
) -> None:
    """Write metrics.json: all that is needed to judge the run, compare it with another, and do it again.

    `trial` has the ways of using the machine that were tried, with their images per second; empty where none was.

    `confusion[i][j]` counts the test images of class i that were taken for class j.
    """
    confusion = _confusion(dataset.splits["test"].targets, test.predicted.numpy(), len(card.classes))
    content = {
        "name": card.name,
        "architecture": card.architecture,
        "metrics": card.metrics,
        "settings": asdict(settings),
        "images": {name: len(split) for name, split in dataset.splits.items()},
        "classes": list(card.classes),
        "class_accuracy": dict(zip(card.classes, (confusion.diagonal() / confusion.sum(axis=1)).tolist(), strict=True)),
        "confusion": confusion.tolist(),
        "history": [asdict(epoch) for epoch in history],
        "seconds": clock.laps,
        "trial": trial,
        "data_sha256": card.data_sha256,
        "code_sha256": card.code_sha256,
        "libraries": card.libraries,
        "created": card.created,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METRICS).write_text(json.dumps(content, indent=2) + "\n")


def _confusion(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(targets * classes + predicted, minlength=classes * classes).reshape(classes, classes)
