"""A training run: from folders of photographs to a model artifact and a report. Every trainer calls `run`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from classifier import artifact, prices
from classifier.artifact import ArtifactError, ModelCard
from classifier.dataset import checks
from classifier.dataset.folders import Dataset, DatasetError, inspect_splits
from classifier.examination import of_run
from classifier.learning import distributed, references
from classifier.learning.calibration import calibrated
from classifier.learning.distributed import DistributedError, World
from classifier.learning.features import DiskSpaceError
from classifier.learning.training import Checkpoint, TrainingError
from classifier.machine.plan import Machine
from classifier.network import graph, saving
from classifier.network.graph import GraphError
from classifier.network.model import ModelError, load_backbone
from classifier.presets import trial
from classifier.prices import PriceError
from classifier.results import evaluation, outputs, trusting
from classifier.results.outputs import TrainingInstances
from classifier.settings import Settings
from classifier.task import Task

# The exceptions of a run whose cause the caller can fix. Any other exception is a bug.
EXPECTED_ERRORS = (
    ArtifactError,
    DatasetError,
    DistributedError,
    GraphError,
    ModelError,
    PriceError,
    DiskSpaceError,
    TrainingError,
)


@dataclass(frozen=True)
class Places:
    """The paths that a run reads and writes."""

    splits: Mapping[str, Path]  # train, valid, test -> the folder of its class folders
    serving: Path  # the archive of the serving code, or a folder with only that archive
    model: Path  # the folder for the artifact's files
    output: Path  # the folder for metrics.json and report.html
    weights: Path | None = None  # weights of the backbone, a file or its folder; None: the published ones
    origin: str | None = None  # the address of the splits, for the list of photographs, such as s3://bucket/datasets/x
    checkpoints: Path | None = None  # None: no checkpoints


def run(
    name: str,
    places: Places,
    settings: Settings,
    machine: Machine | None = None,
    instance: TrainingInstances | None = None,
) -> ModelCard | None:
    """Train with `settings`. Write the artifact's files, metrics.json and report.html. Return the model's card.

    `instance` is for the results and the cost of the run.

    The validation split chooses the best epoch. The test split is used once, after all choices. If torchrun started
    several processes, each calls this function. Each image is processed by one of them. Only the writer writes files;
    the others return None. Raises one of EXPECTED_ERRORS.
    """
    with distributed.joined() as world:
        own = (machine or Machine()).shared_by(world.local_size)
        instance = replace(instance or TrainingInstances(), processes=world.size)
        return _run(name, places, settings, own, instance, world)


def _run(
    name: str, places: Places, settings: Settings, machine: Machine, instance: TrainingInstances, world: World
) -> ModelCard | None:
    if machine.threads:
        torch.set_num_threads(machine.threads)
    clock = saving.Clock()

    prices.given_price()  # fails now if the price is wrong, not after the training
    serving = _serving_archive(places.serving)
    dataset = _inspect(places.splits)
    hashes = dataset.hashes()
    findings = checks.find(dataset, hashes)
    for finding in findings:
        print(f"warning: {finding}", flush=True)
    data_sha256 = dataset.fingerprint(hashes)
    settings, trials = trial.resolved(
        settings, dataset, places.weights, machine, world, places.checkpoints, data_sha256
    )
    checkpoint = _checkpoint(places.checkpoints, settings, data_sha256)
    if checkpoint and world.is_writer:
        checkpoint.load()  # fails now if the checkpoint is not usable, not after the features
    clock.lap("inspect")

    backbone = load_backbone(settings.architecture, places.weights, settings.resolution)
    task = Task(backbone, dataset, settings, machine, world, checkpoint, clock, memo=places.checkpoints)
    trained = task.learn()
    test = task.features(trained.network, dataset.splits["test"])
    if not world.is_writer:
        return None

    raw, valid, train = trained.head, trained.valid, trained.train
    # They are not None on the writer.
    assert raw is not None and valid is not None and train is not None and test is not None
    head, temperature = calibrated(raw, valid)
    known = references.learn(train, valid)
    clock.lap("calibrate")
    valid_score = head.evaluate(valid)
    # SageMaker uses the last value of each metric in the log. It must be that of the model, not of the last epoch.
    print(f"kept valid_loss={valid_score.loss:.4f} valid_accuracy={valid_score.accuracy:.4f}", flush=True)
    test_score = head.evaluate(test)
    trust = trusting.measure(raw.evaluate(test), test_score, test, temperature, known)
    clock.lap("test")
    low, high = evaluation.interval(test_score.accuracy, len(test.targets))
    print(
        f"test_accuracy={test_score.accuracy:.4f} test_loss={test_score.loss:.4f} epochs={len(trained.history)}",
        flush=True,
    )
    print(
        f"95 % interval of the test accuracy, for {len(test.targets):,} images: "
        f"test_accuracy_low={low:.4f} test_accuracy_high={high:.4f}",
        flush=True,
    )
    examined = of_run.examine_run(dataset, hashes, trained, head, test, task.looks, settings.fine_tune)
    print(f"examined {examined}", flush=True)
    clock.lap("examine")

    metrics = {
        "test_accuracy": test_score.accuracy,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "test_loss": test_score.loss,
        "valid_accuracy": valid_score.accuracy,
        "valid_loss": valid_score.loss,
        **of_run.cross_validated(trained),
    }
    card = saving.model_card(name, backbone, dataset.classes, dataset.labels, metrics=metrics, data_sha256=data_sha256)
    card = replace(
        card,
        precision=trained.precision.precision,
        precision_reason=trained.precision.reason,
        precision_accuracy=trained.precision.accuracy,
        calibration=trust.calibration,
        known=trust.known,
    )
    places.model.mkdir(parents=True, exist_ok=True)
    graph.save(graph.add_head(trained.network, head.weight.numpy(), head.bias.numpy(), known), places.model)
    saving.save_weights(places.model, backbone, head.weight, head.bias, known)
    card = artifact.complete(places.model, card, serving)
    clock.lap("write")
    ended = outputs.Run(
        card,
        settings,
        dataset,
        findings,
        trained.history,
        test_score,
        clock.laps,
        instance,
        task.machine,
        task.autotune,
        trust,
        trials,
        examined,
        places.origin,
    )
    outputs.write(places.output, ended)
    print(f"{name} is trained: {clock}", flush=True)
    return card


def _serving_archive(place: Path) -> Path:
    """The archive of the serving code, checked before hours of training."""
    if place.is_dir():
        archives = sorted(place.glob("*.tar.gz"))
        if len(archives) != 1:
            raise ArtifactError(f"{place} must have one archive of serving code (.tar.gz); it has {len(archives)}.")
        place = archives[0]
    artifact.check_serving(place)
    return place


def _inspect(folders: Mapping[str, Path]) -> Dataset:
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
    # Only the length of the training may change between a run and its resumption.
    identity = {key: value for key, value in asdict(settings).items() if key not in ("epochs", "patience")}
    return Checkpoint(folder, identity | {"data_sha256": data_sha256})
