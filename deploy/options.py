"""The options of `make train`, `make tune` and `make train-ec2`, which are checked before anything is packaged or
sent."""

from __future__ import annotations

import argparse
from collections.abc import Container
from pathlib import Path

from classifier.settings import HYPERPARAMETERS, boolean, several, units, whole_number

from deploy import console, weights

# SageMaker's and SSM's own limits: MaxRuntimeInSeconds is at most 28 days, and a command runs for at most 48 hours.
MOST_MINUTES_SAGEMAKER = 28 * 24 * 60
MOST_MINUTES_SSM = 48 * 60
MOST_INSTANCES = 100  # of one training job; more is a typing error
MOST_TRIALS = 750  # of a tuning job (SageMaker's quotas, "Maximum number of training jobs per tuning job")
MOST_PARALLEL = 100  # the same quotas
STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")
CHOICES = ("arch", "augment")  # hyperparameters for which a tuning job accepts several values


def training() -> argparse.Namespace:
    """The options of `make train`."""
    parser = training_parser("Train in SageMaker.")
    arguments = parser.parse_args()
    check_training(parser, arguments)
    return arguments


def up() -> tuple[argparse.Namespace, list[str]]:
    """The options of `make up`, and the part for `make train`: all but the dataset, which is uploaded first."""
    parser = training_parser("Deploy, upload, train, promote and request a prediction.")
    parser.add_argument("--verbose", action="store_true", help="show all output of the steps")
    arguments = parser.parse_args()
    check_training(parser, arguments)
    given: list[str] = []
    for option, action in parser._option_string_actions.items():
        value = getattr(arguments, action.dest, None)
        if option in ("--verbose", "--data") or value == parser.get_default(action.dest) or action.dest == "help":
            continue
        given += [option] if value is True else [option, str(value)]
    return arguments, given


def training_parser(description: str) -> argparse.ArgumentParser:
    """The parser of the options of a training job in SageMaker."""
    parser = console.Parser(description=description)
    add_run(parser, MOST_MINUTES_SAGEMAKER)
    parser.add_argument(
        "--instances",
        type=whole_number(1, MOST_INSTANCES),
        default=1,
        help="instances that share the job (%(default)s)",
    )
    parser.add_argument("--spot", action="store_true", help="managed spot capacity, with checkpoints in S3")
    parser.add_argument("--run", metavar="JOB", help="a training job to follow; starts no job")
    parser.add_argument("--resume", metavar="JOB", help="start an interrupted spot job again from its checkpoints")
    return parser


def check_training(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Reject options that exclude one another, and unknown networks."""
    refuse_others(parser, arguments, "run")
    refuse_others(parser, arguments, "resume")
    require_networks(parser, arguments)
    weights.check(parser, arguments)


def tuning() -> argparse.Namespace:
    """The options of `make tune`."""
    parser = console.Parser(description="Tune hyperparameters in SageMaker.")
    parser.add_argument(
        "--jobs", type=whole_number(1, MOST_TRIALS), help="number of trials (8; for a grid, all its combinations)"
    )
    parser.add_argument(
        "--parallel",
        type=whole_number(1, MOST_PARALLEL),
        default=2,
        help="trials that run at once (%(default)s)",
    )
    parser.add_argument("--strategy", choices=STRATEGIES, default=STRATEGIES[0])
    parser.add_argument("--warm-start", metavar="JOB", help="an earlier tuning job to start from")
    parser.add_argument("--run", metavar="JOB", help="a tuning job to follow or to report on; starts no job")
    add_run(parser, MOST_MINUTES_SAGEMAKER, several_of=CHOICES)
    arguments = parser.parse_args()
    refuse_others(parser, arguments, "run")
    require_networks(parser, arguments)
    weights.check(parser, arguments)
    return arguments


def training_on_ec2() -> argparse.Namespace:
    """The options of `make train-ec2`."""
    parser = console.Parser(description="Train on the EC2 instance.")
    add_run(parser, MOST_MINUTES_SSM)
    parser.add_argument("--threads", type=units, help="compute threads; default: found by autotuning")
    parser.add_argument("--workers", type=units, help="image decoding threads; default: found by autotuning")
    parser.add_argument("--run", help="a run to watch, or to start again if it was interrupted")
    arguments = parser.parse_args()
    refuse_others(parser, arguments, "run")
    require_networks(parser, arguments)
    weights.check(parser, arguments)
    return arguments


def add_run(parser: argparse.ArgumentParser, most_minutes: int, several_of: Container[str] = ()) -> None:
    """Add the options of every kind of training: the dataset, the hyperparameters, the time limit.

    A hyperparameter that is not given stays None, because the training program has the defaults. Those in `several_of`
    accept several values, separated by commas.
    """
    parser.add_argument("--data", help="a dataset's name or a folder; default: the latest upload, or the sample")
    for each in HYPERPARAMETERS:
        option = f"--{each.variable.lower().replace('_', '-')}"  # named after its make variable
        if each.check is boolean:
            parser.add_argument(option, dest=each.key, action="store_true", help=each.help)
        else:
            check, text = each.check, each.help
            if each.name in several_of:
                check, text = several(each.check), f"{each.help}; several values separated by commas"
            parser.add_argument(option, dest=each.key, type=check, help=text)
    parser.add_argument(
        "--weights",
        type=Path,
        help="your own weights of the network ARCH: a state dict, .safetensors, .pth or .pt",
    )
    parser.add_argument(
        "--max-minutes", type=whole_number(1, most_minutes), default=120, help="time limit of one run (%(default)s)"
    )


def refuse_others(parser: argparse.ArgumentParser, arguments: argparse.Namespace, name: str) -> None:
    """Reject every other option if `name` is given, because an existing run has its own settings."""
    if not getattr(arguments, name):
        return
    others = [key for key, value in vars(arguments).items() if key != name and value != parser.get_default(key)]
    if others:
        given = ", ".join(variable(each) for each in others)
        parser.error(f"--{name} takes all settings from the run; leave out {given}")


def require_networks(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Reject an unknown network now. The job would fail minutes later and cost money until then."""
    if not arguments.arch:
        return
    from classifier.network.model import ModelError, require_architecture  # imports torch

    for name in arguments.arch.split(","):
        try:
            require_architecture(name)
        except ModelError as error:
            parser.error(f"--arch: {error}")


def variable(key: str) -> str:
    """The make variable of a parsed argument."""
    known = {each.key: each.variable for each in HYPERPARAMETERS}
    return known.get(key, key.upper())


def hyperparameters(arguments: argparse.Namespace) -> dict[str, str]:
    """The given hyperparameters by name. The training program has the defaults of the others."""
    given = {each.name: getattr(arguments, each.key, None) for each in HYPERPARAMETERS}
    return {name: str(value) for name, value in given.items() if value is not None and value is not False}
