"""Tune in SageMaker: start a hyperparameter tuning job and follow its trials until it ends.

The objective is the accuracy on the validation split, never on the test split. The job is submitted through
`sagemaker.core.resources`, as training jobs are. Each trial is the training job that `make train` would start.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from classifier.settings import Settings

from deploy import console, datasets, options
from deploy.build.upload import upload
from deploy.console import Failure
from deploy.costs import expected
from deploy.deployment import Deployment
from deploy.sagemaker import jobs, training, trials

OBJECTIVE = "valid_accuracy"
MAX_NAME = 32  # SageMaker's, for tuning jobs
JOBS = 8
# A head on frozen features needs a much larger learning rate than a whole network.
LR_RANGE = {"head": ("0.0001", "0.03"), "network": ("0.000003", "0.0001")}
LR_GRID = {"head": ("0.0003", "0.001", "0.003", "0.01"), "network": ("0.000003", "0.00001", "0.00003")}
BATCH_SIZES = ("16", "32", "64", "128")
BATCH_GRID = ("32", "128")
DROPOUT = ("0.0", "0.6")
FEWEST_EPOCHS = 3  # the minimum that Hyperband gives a trial


@dataclass
class Space:
    """The search space: ranges by name (minimum, maximum, scale) and categories by name."""

    ranges: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def combinations(self) -> int:
        """The number of trials in a grid of the categories."""
        count = 1
        for values in self.categories.values():
            count *= len(values)
        return count


def search_space(arguments: argparse.Namespace) -> Space:
    """The learning rate on a log scale, the batch size and the dropout, unless the user gave a value; and the options
    in options.CHOICES that have several values. Raises Failure if the space is empty."""
    kind = "network" if arguments.fine_tune else "head"
    space = Space()
    if arguments.strategy == "Grid":  # a grid accepts categories only
        space.categories = {"lr": LR_GRID[kind], "batch-size": BATCH_GRID}
    else:
        space.ranges = {"lr": (*LR_RANGE[kind], "Logarithmic"), "dropout": (*DROPOUT, "Linear")}
        space.categories = {"batch-size": BATCH_SIZES}
    for name in options.CHOICES:
        values = (getattr(arguments, name) or "").split(",")
        if len(values) > 1:
            space.categories[name] = tuple(values)
    given = options.hyperparameters(arguments)
    space.ranges = {name: value for name, value in space.ranges.items() if name not in given}
    space.categories = {
        name: value for name, value in space.categories.items() if name not in given or name in options.CHOICES
    }
    if not space.ranges and not space.categories:
        raise Failure("LR, BATCH and DROPOUT all have a value, so there is nothing to tune. Leave one of them out.")
    return space


def number_of_jobs(arguments: argparse.Namespace, space: Space) -> int:
    """The number of trials. Raises Failure if it differs from the size of the grid."""
    if arguments.strategy != "Grid":
        return arguments.jobs or JOBS
    if arguments.jobs not in (None, space.combinations()):
        raise Failure(
            f"The grid has {space.combinations()} combinations. Leave JOBS out, or use STRATEGY=Random for "
            f"{arguments.jobs} trials."
        )
    return space.combinations()


def fixed_hyperparameters(arguments: argparse.Namespace) -> dict[str, str]:
    """The options that are the same for all trials."""
    searched = search_space(arguments).categories
    return {name: value for name, value in options.hyperparameters(arguments).items() if name not in searched}


def new_name(stack: str) -> str:
    """A name like those of other jobs. If it exceeds SageMaker's limit, its date is cut from the left."""
    prefix = f"{stack}-tune-"
    stamp = jobs.new_name(stack, "tune").removeprefix(prefix)
    return prefix + stamp[-(MAX_NAME - len(prefix)) :].lstrip("-")


def submit(deployment: Deployment, arguments: argparse.Namespace) -> str:
    """Upload new payloads and data, create the tuning job, and return its name."""
    space = search_space(arguments)
    count = number_of_jobs(arguments, space)
    payloads = upload(deployment)
    dataset = datasets.resolve(deployment, arguments.data)
    expected.announce(expected.of_tuning(deployment, dataset.name, count, arguments.parallel))
    console.step(f"Submitting the tuning job: {count} trials, {arguments.parallel} at a time, {arguments.strategy}")
    from sagemaker.core import resources, shapes

    name = new_name(deployment.name)
    definition = shapes.HyperParameterTrainingJobDefinition(
        algorithm_specification=shapes.HyperParameterAlgorithmSpecification(**training.algorithm(deployment)),
        static_hyper_parameters={**training.program(deployment, payloads, name), **fixed_hyperparameters(arguments)},
        **training.definition(deployment, payloads, dataset, arguments),
    )
    optional = {}
    if arguments.warm_start:
        optional["warm_start_config"] = warm_start(deployment, arguments.warm_start, definition)
    resources.HyperParameterTuningJob.create(
        hyper_parameter_tuning_job_name=name,
        hyper_parameter_tuning_job_config=configuration(arguments, space, count),
        training_job_definition=definition,
        **training.origin(deployment, dataset),
        **optional,
    )
    return name


def configuration(arguments: argparse.Namespace, space: Space, count: int):
    """The SDK's HyperParameterTuningJobConfig."""
    from sagemaker.core import shapes

    optional = {} if arguments.seed is None else {"random_seed": arguments.seed}
    if arguments.strategy == "Hyperband":
        # The program reports one value per epoch and one more for the best epoch. Hyperband may stop a job at its
        # maximum. A maximum that is larger by one leaves each trial the time to save its model.
        most = (arguments.epochs or Settings.epochs) + 2
        bounds = shapes.HyperbandStrategyConfig(min_resource=min(FEWEST_EPOCHS, most - 1), max_resource=most)
        optional["strategy_config"] = shapes.HyperParameterTuningJobStrategyConfig(hyperband_strategy_config=bounds)
    return shapes.HyperParameterTuningJobConfig(
        strategy=arguments.strategy,
        hyper_parameter_tuning_job_objective=shapes.HyperParameterTuningJobObjective(
            type="Maximize", metric_name=OBJECTIVE
        ),
        resource_limits=shapes.ResourceLimits(
            max_number_of_training_jobs=count, max_parallel_training_jobs=arguments.parallel
        ),
        parameter_ranges=shapes.ParameterRanges(
            continuous_parameter_ranges=[
                shapes.ContinuousParameterRange(name=name, min_value=least, max_value=most, scaling_type=scale)
                for name, (least, most, scale) in space.ranges.items()
            ],
            categorical_parameter_ranges=[
                shapes.CategoricalParameterRange(name=name, values=list(values))
                for name, values in space.categories.items()
            ],
        ),
        # Hyperband has its own rule for early stopping.
        training_job_early_stopping_type="Off" if arguments.strategy == "Hyperband" else "Auto",
        **optional,
    )


def warm_start(deployment: Deployment, parent: str, definition):
    """The SDK's warm start from the tuning job `parent`. Its type depends on whether image and data are the same."""
    from sagemaker.core import shapes

    before = trials.describe(deployment.client("sagemaker"), parent)
    if before is None:
        raise Failure(f"There is no tuning job {parent}. Set WARM_START to another one.")
    known = before["TrainingJobDefinition"]
    image = known["AlgorithmSpecification"]["TrainingImage"]
    channels = {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in known["InputDataConfig"]}
    own = {each.channel_name: each.data_source.s3_data_source.s3_uri for each in definition.input_data_config}
    same = (image, channels) == (definition.algorithm_specification.training_image, own)
    return shapes.HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[
            shapes.ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=parent)
        ],
        warm_start_type="IdenticalDataAndAlgorithm" if same else "TransferLearning",
    )
