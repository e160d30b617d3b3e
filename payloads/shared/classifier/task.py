"""Train on a backbone and labelled photographs. The result is a graph and a head that fits its features.

Frozen: the graph is quantised first, if that loses no accuracy. The head learns from the features of the served graph.
With few images, the head is regularised (`learning.regularised`).
Fine-tuned: backbone and head learn together in float32. The result is quantised if the same head loses no accuracy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from classifier.dataset.folders import Dataset, Split
from classifier.examination import oddness
from classifier.images import augmentation
from classifier.images.augmentation import Decoder
from classifier.images.decoding import decode
from classifier.learning import regularised
from classifier.learning.distributed import World
from classifier.learning.features import Features, allocate, extract, folds, stacked
from classifier.learning.head import Head, train_head, weights_of
from classifier.learning.references import PHOTOGRAPHS
from classifier.learning.regularised import Validated
from classifier.learning.training import Checkpoint, Epoch
from classifier.machine.plan import Machine, fitted
from classifier.network import graph, quantize
from classifier.network.model import Backbone
from classifier.network.quantize import Decision, Judged
from classifier.network.runtime import ov
from classifier.network.saving import Clock
from classifier.settings import Settings

FEW = 20  # training images per class, in the mean: up to here a head needs no validation images (docs/DATA.md)


@dataclass(frozen=True)
class Trained:
    """The result of training. On processes other than the writer, `head` and `valid` may be None."""

    network: ov.Model  # the graph of the backbone for the head
    head: Head | None
    history: list[Epoch]
    precision: Decision
    valid: Features | None
    train: Features | None  # of the training split, or of a part of it, without augmentation
    frozen: Mapping[str, Features] = field(default_factory=dict)  # of train and valid, from the frozen backbone
    validated: Validated | None = None  # the cross-validation of heads on the frozen features of train


@dataclass
class Task:
    """The inputs of both kinds of training. With `machine.autotune`, autotuning sets the machine and writes its records
    to `autotune`. `memo` is the folder that keeps the records for a resumption. The writer collects the `looks` of each
    split's images."""

    backbone: Backbone
    dataset: Dataset
    settings: Settings
    machine: Machine
    world: World
    checkpoint: Checkpoint | None
    clock: Clock
    memo: Path | None = None
    autotune: list[dict] = field(default_factory=list)
    looks: dict[str, np.ndarray] = field(default_factory=dict)

    def learn(self) -> Trained:
        """All processes of the world call this together. Fine-tuning changes the backbone in place."""
        return self._fine_tuned() if self.settings.fine_tune else self._frozen()

    def features(self, network: ov.Model, split: Split, decoder: Decoder = decode) -> Features | None:
        """The features of a split on the writer, None on the others. Each process computes its share."""
        part = replace(split, samples=self.world.share(split.samples))
        # Once for each split of the dataset: not for its augmented views, nor for a part of it.
        wanted = decoder is decode and split.name in self.dataset.splits and split.name not in self.looks
        looks = allocate(len(part), oddness.WIDTH) if wanted else None
        machine = self.machine
        own = extract(network, part, threads=machine.threads, workers=machine.workers, decoder=decoder, looks=looks)
        values = self.world.gather(own.values, len(split), allocate)
        if looks is not None:
            gathered = self.world.gather(looks, len(split), allocate)
            self.looks[split.name] = looks if gathered is None else gathered
        return None if values is None else Features(values, split.targets)

    def _augmented_features(self, network: ov.Model, split: Split) -> Features | None:
        parts = [self.features(network, split, view) for view in augmentation.views(self.settings.augment or "none")]
        return stacked([part for part in parts if part is not None]) if self.world.is_writer else None

    def _frozen(self) -> Trained:
        train, valid = (self.dataset.splits[name] for name in ("train", "valid"))

        def judge(network: ov.Model) -> Judged:
            held_out = self.features(network, valid)
            return (self._cross_validated(held_out) if held_out else None), held_out

        print(f"converting {self.backbone.architecture} to a graph", flush=True)
        fp32 = graph.convert(self.backbone)
        for_folds = quantize.FOLDS * len(self.dataset.classes)  # images of each class in each fold
        network, precision, valid_features = self._choose(fp32, judge, max(for_folds, quantize.MIN_VALID))
        self.clock.lap("prepare")
        self._try_machine({precision.precision: network, quantize.FP32: fp32})
        train_features = self._augmented_features(network, train)
        if not precision.accuracy:
            valid_features = self.features(network, valid)
        self.clock.lap("features")
        if not self.world.is_writer:  # an epoch takes milliseconds, less than sharing would
            return Trained(network, None, [], precision, valid_features, None)
        assert train_features is not None and valid_features is not None
        plain = Features(train_features.values[: len(train)], train.targets)  # the first of the views
        frozen = {"train": plain, "valid": valid_features}
        classes = len(self.dataset.classes)
        if self._is_regularised():
            head, validated = regularised.fit_head(train_features, plain, classes, self._class_weights())
            print(f"regularised head: strength {validated.strength:g} by cross-validation", flush=True)
            self.clock.lap("train")
            return Trained(network, head, [], precision, valid_features, plain, frozen, validated)
        head, history = train_head(train_features, valid_features, classes, self.settings, self.checkpoint)
        self.clock.lap("train")
        return Trained(network, head, history, precision, valid_features, plain, frozen, self._validated(plain))

    def _is_regularised(self) -> bool:
        asked = self.settings.head
        if asked == "auto":
            few = len(self.dataset.splits["train"]) <= FEW * len(self.dataset.classes)
            return few and self.settings.lr is None
        return asked == "regularised"

    def _class_weights(self) -> torch.Tensor | None:
        return weights_of(self.settings, self.dataset.splits["train"].targets, len(self.dataset.classes))

    def _validated(self, train: Features) -> Validated:
        """Probabilities of heads that were not trained on the image, for the examination of the photographs."""
        found = regularised.validate(train, len(self.dataset.classes), self._class_weights())
        self.clock.lap("examine")
        return found

    def _fine_tuned(self) -> Trained:
        from classifier.learning.fine_tuning import fine_tune  # torchvision takes a second to import

        print(f"converting {self.backbone.architecture} to a graph", flush=True)
        before = graph.convert(self.backbone)
        self.clock.lap("prepare")
        self._try_machine({quantize.FP32: before})
        train, valid = (self.features(before, self.dataset.splits[name]) for name in ("train", "valid"))
        self.clock.lap("features")
        start = None
        if self.world.is_writer:
            assert train is not None and valid is not None
            start = self._quick_head(train, valid)
            reached = start.evaluate(valid).accuracy
            print(
                f"the head on the frozen backbone has a validation accuracy of {reached:.4f}; training all parameters",
                flush=True,
            )
        start = self.world.broadcast_as(Head, start)
        layout = {"memory_format": self.machine.memory_format, "precision": self.machine.precision}
        workers = self.machine.workers
        head, history = fine_tune(
            self.backbone, start, self.dataset, self.settings, self.checkpoint, workers, self.world, **layout
        )
        self.clock.lap("train")

        def judge(network: ov.Model) -> Judged:
            held_out = self.features(network, self.dataset.splits["valid"])
            return (head.evaluate(held_out).accuracy if held_out else None), held_out

        network, precision, features = self._choose(graph.convert(self.backbone), judge, quantize.MIN_VALID)
        if not precision.accuracy:
            features = self.features(network, self.dataset.splits["valid"])
        seen = self.features(network, quantize.part(self.dataset.splits["train"], PHOTOGRAPHS))
        self.clock.lap("quantise")
        if not self.world.is_writer:
            return Trained(network, head, history, precision, features, seen)
        assert train is not None and valid is not None
        # The features of the trained backbone know the training images. Those of the frozen one do not.
        return Trained(
            network, head, history, precision, features, seen, {"train": train, "valid": valid}, self._validated(train)
        )

    def _try_machine(self, graphs: Mapping[str, ov.Model]) -> None:
        if self.machine.autotune and self.world.size == 1:
            self.machine, self.autotune = fitted(
                self.machine, graphs, self.backbone, self.dataset, self.settings, self.memo
            )
            if self.machine.threads:
                torch.set_num_threads(self.machine.threads)
            self.clock.lap("autotune")

    def _choose(
        self, network: ov.Model, judge: Callable[[ov.Model], Judged], needed: int
    ) -> tuple[ov.Model, Decision, Features | None]:
        train, valid = (self.dataset.splits[name] for name in ("train", "valid"))
        asked, workers = self.settings.precision, self.machine.workers
        return quantize.choose(network, train, valid, asked, judge, needed, workers, self.world)

    def _cross_validated(self, features: Features) -> float:
        """The accuracy of quick heads on folds of a split. Each head is trained on the other folds."""
        right = [
            self._quick_head(rest, held_out).evaluate(held_out).predicted.numpy() == held_out.targets
            for rest, held_out in folds(features, quantize.FOLDS, quantize.COMPARING)
        ]
        return float(np.concatenate(right).mean())

    def _quick_head(self, train: Features, valid: Features) -> Head:
        """The head for frozen features with the default settings, trained without output."""
        settings = replace(self.settings, fine_tune=False, lr=None, epochs=Settings.epochs)
        head, _ = train_head(train, valid, len(self.dataset.classes), settings, announce=lambda line: None)
        return head
