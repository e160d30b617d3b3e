"""What a run knows before it trains: the checked photographs, the resolved settings, a usable checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from classifier.dataset import checks
from classifier.dataset.checks import Finding
from classifier.dataset.folders import Dataset, inspect_splits
from classifier.learning import references
from classifier.learning.distributed import World
from classifier.learning.training import Checkpoint
from classifier.machine.plan import Machine
from classifier.presets import trial
from classifier.settings import Settings


@dataclass(frozen=True)
class Prepared:
    """The inputs of the training. `trials` is the table of the preset's trial, empty without a preset."""

    dataset: Dataset
    hashes: np.ndarray
    data_sha256: str
    findings: list[Finding]
    settings: Settings
    trials: list[dict]
    checkpoint: Checkpoint | None


def prepare(
    splits: Mapping[str, Path],
    settings: Settings,
    machine: Machine,
    world: World,
    weights: Path | None,
    checkpoints: Path | None,
) -> Prepared:
    """Read and check everything that can be wrong, before hours of training.

    All processes of `world` call this together. Raises DatasetError, ModelError, TooFewError and
    TrainingError.
    """
    dataset = _inspected(splits)
    hashes = dataset.hashes()
    findings = checks.find(dataset, hashes)
    for finding in findings:
        print(f"warning: {finding}", flush=True)
    data_sha256 = dataset.fingerprint(hashes)
    if settings.limits == "classes":
        references.check_own_limits(dataset.splits["valid"].targets, dataset.classes)
    settings, trials = trial.resolved(settings, dataset, weights, machine, world, checkpoints, data_sha256)
    checkpoint = _checkpoint(checkpoints, settings, data_sha256)
    if checkpoint and world.is_writer:
        checkpoint.load()  # fails now if the checkpoint is not usable, not after the features
    return Prepared(dataset, hashes, data_sha256, findings, settings, trials, checkpoint)


def _inspected(folders: Mapping[str, Path]) -> Dataset:
    # Nothing is decoded here. The pass that needs the pixels reports a broken file.
    dataset = inspect_splits(folders)
    print(dataset, flush=True)
    if dataset.ignored:
        names = ", ".join(path.name for path in dataset.ignored[:5])
        print(f"ignored {len(dataset.ignored)} files that are not images: {names} ...", flush=True)
    return dataset


def _checkpoint(folder: Path | None, settings: Settings, data_sha256: str) -> Checkpoint | None:
    if folder is None:
        return None
    # Only the length of the training, and what is computed after it, may change between a run and its resumption.
    may_change = ("epochs", "patience", "limits")
    identity = {key: value for key, value in asdict(settings).items() if key not in may_change}
    return Checkpoint(folder, identity | {"data_sha256": data_sha256})
