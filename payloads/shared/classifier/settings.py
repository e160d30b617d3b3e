"""What a training run is asked for, as a value and as command line arguments. Standard library only."""

import argparse
from dataclasses import dataclass

DEFAULT_ARCHITECTURE = "efficientnet-lite0"
MOST_UNITS = 1024  # threads or workers: more is a slip of the finger
AUGMENTATIONS = ("none", "flip", "crop")
PRECISIONS = ("auto", "int8", "fp32")  # auto: int8 where validation shows that it costs no accuracy


@dataclass(frozen=True)
class Settings:
    """The defaults were chosen by the validation split of dog breeds, and hold for digits too."""

    architecture: str = DEFAULT_ARCHITECTURE
    fine_tune: bool = False  # train the backbone too, starting from the head that fits it frozen
    epochs: int = 30  # at most
    patience: int = 6  # epochs without a better validation loss before training stops
    batch_size: int = 64
    lr: float | None = None  # None: 0.001 for a head, 0.00001 for a whole network
    weight_decay: float = 0.01
    dropout: float = 0.3  # of the features, before the head
    augment: str | None = None  # the training images: one of AUGMENTATIONS; None: none for a head, crop for a network
    seed: int = 0
    precision: str = "auto"  # of the graph: one of PRECISIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The hyperparameters and the two numbers that say how much of the machine to use."""
    default = Settings()
    group = parser.add_argument_group("hyperparameters")
    group.add_argument(
        "--arch",
        default=default.architecture,
        help="%(default)s, or a classification network of torchvision",
    )
    group.add_argument(
        "--fine-tune",
        type=boolean,
        nargs="?",
        const=True,
        default=default.fine_tune,
        help="train all parameters, not only the head: slow on CPUs",
    )
    group.add_argument("--epochs", type=whole_number, default=default.epochs, help="at most (%(default)s)")
    group.add_argument(
        "--patience",
        type=whole_number,
        default=default.patience,
        help="epochs without a lower validation loss (%(default)s)",
    )
    group.add_argument("--batch-size", type=whole_number, default=default.batch_size, help="images (%(default)s)")
    group.add_argument(
        "--lr", type=positive_number, help="learning rate (0.001 for the head, 0.00001 with --fine-tune)"
    )
    group.add_argument("--weight-decay", type=float, default=default.weight_decay, help="(%(default)s)")
    group.add_argument("--dropout", type=fraction, default=default.dropout, help="before the head (%(default)s)")
    group.add_argument(
        "--augment",
        choices=AUGMENTATIONS,
        help="learn from mirrored images too, or from parts of them as well (none for the head, crop with --fine-tune)",
    )
    group.add_argument("--seed", type=int, default=default.seed, help="(%(default)s)")
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=default.precision,
        help="of the graph that serves; auto takes int8 where it loses no more than 0.5 points (%(default)s)",
    )
    group = parser.add_argument_group("machine")
    group.add_argument("--threads", type=units, help="threads that compute (default: all processors)")
    group.add_argument("--workers", type=units, help="threads that decode images (default: all processors)")
    group.add_argument(
        "--autotune",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help="find what is not given by trying, in seconds",
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
    )


def boolean(text: str) -> bool:
    """SageMaker passes every hyperparameter with a value: `--fine-tune True`."""
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def units(text: str) -> int:
    if whole_number(text) > MOST_UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST_UNITS}")
    return int(text)


def positive_number(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to below 1")
    return value
