"""A training run: from folders of photographs to a model artifact and a report. Every trainer calls `run`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from classifier import artifact, prices
from classifier.artifact import ArtifactError, ModelCard
from classifier.dataset.folders import DatasetError
from classifier.examination import of_run
from classifier.learning import distributed
from classifier.learning.distributed import DistributedError, World
from classifier.learning.features import DiskSpaceError
from classifier.learning.references import TooFewError
from classifier.learning.training import TrainingError
from classifier.machine.plan import Machine
from classifier.network import graph, saving
from classifier.network.graph import GraphError
from classifier.network.model import Backbone, ModelError, load_backbone
from classifier.preparation import Prepared, prepare
from classifier.prices import PriceError
from classifier.results import outputs
from classifier.results.measuring import CalibratedHead, measure
from classifier.results.outputs import TrainingInstances
from classifier.settings import Settings
from classifier.task import Task, Trained

# The exceptions of a run whose cause the caller can fix. Any other exception is a bug.
EXPECTED_ERRORS = (
    ArtifactError,
    DatasetError,
    DistributedError,
    GraphError,
    ModelError,
    PriceError,
    DiskSpaceError,
    TooFewError,
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
    given = prepare(places.splits, settings, machine, world, places.weights, places.checkpoints)
    settings, dataset = given.settings, given.dataset
    clock.lap("inspect")

    backbone = load_backbone(settings.architecture, places.weights, settings.resolution)
    task = Task(backbone, dataset, settings, machine, world, given.checkpoint, clock, memo=places.checkpoints)
    trained = task.learn()
    test = task.features(trained.network, dataset.splits["test"])
    if not world.is_writer:
        return None

    assert test is not None  # on the writer
    measured = measure(trained, test, clock, dataset.classes if settings.limits == "classes" else ())
    examined = of_run.examine_run(dataset, given.hashes, trained, measured.head, test, task.looks, settings.fine_tune)
    print(f"examined {examined}", flush=True)
    clock.lap("examine")

    card = artifact.complete(places.model, _written(name, places.model, backbone, given, trained, measured), serving)
    clock.lap("write")
    ended = outputs.Run(
        card,
        settings,
        dataset,
        given.findings,
        trained.history,
        measured.test,
        clock.laps,
        instance,
        task.machine,
        task.autotune,
        measured.trust,
        given.trials,
        examined,
        places.origin,
    )
    outputs.write(places.output, ended)
    print(f"{name} is trained: {clock}", flush=True)
    return card


def _written(
    name: str, folder: Path, backbone: Backbone, given: Prepared, trained: Trained, measured: CalibratedHead
) -> ModelCard:
    """Write the graph and the weights; the card of the model, without its files."""
    dataset, head, known = given.dataset, measured.head, measured.known
    card = saving.model_card(
        name, backbone, dataset.classes, dataset.labels, metrics=measured.metrics, data_sha256=given.data_sha256
    )
    card = replace(
        card,
        precision=trained.precision.precision,
        precision_reason=trained.precision.reason,
        precision_accuracy=trained.precision.accuracy,
        calibration=measured.trust.calibration,
        known=measured.trust.known,
        known_limits=measured.trust.known_limits,
    )
    folder.mkdir(parents=True, exist_ok=True)
    graph.save(graph.add_head(trained.network, head.weight.numpy(), head.bias.numpy(), known), folder)
    saving.save_weights(folder, backbone, head.weight, head.bias, known)
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
