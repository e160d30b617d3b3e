"""What a tuning job is asked for: the request checked as AWS checks it, then read as a plan, a space and trials."""

from typing import Any

from localaws.services.sagemaker.records import InvalidRequest
from localaws.services.sagemaker.training.api import check
from localaws.services.sagemaker.tuning import search
from localaws.services.sagemaker.tuning import space as tuning_space
from localaws.services.sagemaker.tuning.search import GRID, HYPERBAND, Plan
from localaws.services.sagemaker.tuning.space import Space, SpaceError

IDENTICAL, TRANSFER = WARM_STARTS = ("IdenticalDataAndAlgorithm", "TransferLearning")
MAX_PARENTS = 5
TUNING_RESOURCES = "HyperParameterTuningResourceConfig"
OBJECTIVE = "_tuning_objective_metric"  # the hyperparameter that tells a container's toolkit what is tuned
# Where Hyperband looks for the most epochs when the request does not say.
EPOCH_NAMES = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
# What a training job takes from the definition as it is.
PASSED_ON = (
    *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig"),
    *("StoppingCondition", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"),
    *("EnableManagedSpotTraining", "RetryStrategy", "Environment"),
)
UNSUPPORTED = {
    "Autotune": "Autotune: give the ranges and the strategy yourself",
    "TrainingJobDefinitions": "several definitions in one tuning job: give one TrainingJobDefinition",
    "ParameterRanges.AutoParameters": "AutoParameters: give the ranges yourself",
    "Resources.InstanceConfigs": "a choice of instances: give one InstanceType",
    "Resources.AllocationStrategy": "a choice of instances: give one InstanceType",
    "Definition.TuningObjective": "an objective of the definition: give HyperParameterTuningJobObjective",
    "Definition.HyperParameterRanges": "ranges of the definition: give ParameterRanges",
    "Definition.CheckpointConfig": "checkpoints of a tuning job's trials: leave CheckpointConfig out",
}


def config_of(request: dict[str, Any]) -> dict[str, Any]:
    return request["HyperParameterTuningJobConfig"]


def static_of(request: dict[str, Any]) -> dict[str, str]:
    return request["TrainingJobDefinition"].get("StaticHyperParameters") or {}


def resources_of(definition: dict[str, Any]) -> dict[str, Any]:
    """The instances of a trial, whichever of its two members names them."""
    return definition.get("ResourceConfig") or definition.get(TUNING_RESOURCES) or {}


def objective_of(request: dict[str, Any]) -> dict[str, str]:
    """`Type` (Maximize or Minimize) and `MetricName`."""
    return config_of(request)["HyperParameterTuningJobObjective"]


def space_of(request: dict[str, Any]) -> Space:
    """The ranges to search. Raises ValidationException."""
    try:
        return tuning_space.read_space(config_of(request).get("ParameterRanges") or {})
    except SpaceError as error:
        raise InvalidRequest(str(error)) from None


def plan_of(request: dict[str, Any]) -> Plan:
    """How to search. Raises ValidationException for a plan that contradicts itself."""
    config = config_of(request)
    strategy = config["Strategy"]
    if strategy not in search.STRATEGIES:
        raise InvalidRequest(f"There is no strategy {strategy}; there are {', '.join(search.STRATEGIES)}.")
    early_stopping = config.get("TrainingJobEarlyStoppingType", "Off") == "Auto"
    if strategy == HYPERBAND and early_stopping:
        raise InvalidRequest("Hyperband stops training jobs by its own rule: set TrainingJobEarlyStoppingType to Off.")
    if strategy != HYPERBAND and (config.get("StrategyConfig") or {}).get("HyperbandStrategyConfig"):
        raise InvalidRequest(f"HyperbandStrategyConfig is for the strategy Hyperband, not for {strategy}.")
    return Plan(
        strategy=strategy,
        maximize=objective_of(request)["Type"] == "Maximize",
        trials=_number_of_trials(request),
        seed=config.get("RandomSeed"),
        early_stopping=early_stopping,
        resources=_hyperband_resources(request) if strategy == HYPERBAND else (1, 1),
    )


def _number_of_trials(request: dict[str, Any]) -> int:
    wanted = config_of(request)["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if config_of(request)["Strategy"] == GRID:
        try:
            size = tuning_space.grid_size(space_of(request))
        except SpaceError as error:
            raise InvalidRequest(str(error)) from None
        if wanted not in (None, size):
            raise InvalidRequest(
                f"The grid has {size} combinations, but MaxNumberOfTrainingJobs is {wanted}. Set it to {size}, or "
                "leave it out."
            )
        return size
    if wanted is None:
        raise InvalidRequest("MaxNumberOfTrainingJobs is required for every strategy but Grid.")
    return wanted


def _hyperband_resources(request: dict[str, Any]) -> tuple[int, int]:
    given = (config_of(request).get("StrategyConfig") or {}).get("HyperbandStrategyConfig") or {}
    static = static_of(request)
    inferred = next((static[name] for name in EPOCH_NAMES if static.get(name, "").isdecimal()), None)
    most = given.get("MaxResource") or inferred
    if most is None:
        raise InvalidRequest(
            "Hyperband needs MaxResource, or a static hyperparameter that says the number of epochs: "
            f"{', '.join(EPOCH_NAMES)}."
        )
    fewest = given.get("MinResource", 1)
    if not 1 <= fewest < int(most):
        raise InvalidRequest(f"Hyperband needs MinResource ({fewest}) from 1 to below MaxResource ({most}).")
    return fewest, int(most)


def trial_request(request: dict[str, Any], name: str, tuned: dict[str, str]) -> dict[str, Any]:
    """The CreateTrainingJob request of one trial."""
    definition = request["TrainingJobDefinition"]
    return {
        **{key: definition[key] for key in PASSED_ON if key in definition},
        "ResourceConfig": resources_of(definition),
        "TrainingJobName": name,
        "HyperParameters": {**static_of(request), **tuned, OBJECTIVE: objective_of(request)["MetricName"]},
        "Tags": request.get("Tags") or [],
    }


def check_request(request: dict[str, Any]) -> None:
    """Raise ValidationException for a tuning job that AWS refuses, or that cannot be run here."""
    config, definition = config_of(request), request.get("TrainingJobDefinition")
    ranges = config.get("ParameterRanges") or {}
    resources = resources_of(definition or {})
    where = {"Definition": definition or {}, "ParameterRanges": ranges, "Resources": resources}
    for path, words in UNSUPPORTED.items():
        place, _, field = path.rpartition(".")
        if (where[place] if place else request).get(field):
            raise InvalidRequest(f"The local AWS does not support {words}.")
    criteria = config.get("TuningJobCompletionCriteria") or {}
    if (criteria.get("ConvergenceDetected") or {}).get("CompleteOnConvergence") == "Enabled":
        raise InvalidRequest(
            "The local AWS does not detect convergence: use BestObjectiveNotImproving, or set it to Disabled."
        )
    if definition is None or not config.get("HyperParameterTuningJobObjective"):
        raise InvalidRequest("TrainingJobDefinition and HyperParameterTuningJobObjective are required.")
    if not resources:
        raise InvalidRequest("The TrainingJobDefinition needs a ResourceConfig.")
    if definition.get("ResourceConfig") and definition.get(TUNING_RESOURCES):
        raise InvalidRequest(f"The TrainingJobDefinition has a ResourceConfig and a {TUNING_RESOURCES}: give one.")

    metric = objective_of(request)["MetricName"]
    defined = definition["AlgorithmSpecification"].get("MetricDefinitions") or []
    if metric not in {each["Name"] for each in defined}:
        raise InvalidRequest(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
            f"definitions: there is none named {metric}."
        )
    space = space_of(request)
    if both := sorted(set(space) & set(static_of(request))):
        raise InvalidRequest(f"A hyperparameter is either static or has a range; both are given for {', '.join(both)}.")
    plan_of(request)
    check(trial_request(request, "trial", {}))


def check_warm_start(request: dict[str, Any], parents: list[Any]) -> None:
    """Raise ValidationException where the tuning jobs `parents` cannot be what this one starts from."""
    config = config_of(request)
    kind = request["WarmStartConfig"]["WarmStartType"]
    if kind not in WARM_STARTS:
        raise InvalidRequest(f"There is no warm start {kind}; there are {', '.join(WARM_STARTS)}.")
    if not 1 <= len(parents) <= MAX_PARENTS:
        raise InvalidRequest(f"A warm start has from 1 to {MAX_PARENTS} parent tuning jobs, not {len(parents)}.")
    if config["Strategy"] in (GRID, HYPERBAND):
        raise InvalidRequest(f"Warm start is for the strategies Bayesian and Random, not for {config['Strategy']}.")
    for parent in parents:
        if parent.ended is None:
            raise InvalidRequest(f"The parent tuning job {parent.name} has not ended: it is {parent.status}.")
        if objective_of(parent.request) != objective_of(request):
            raise InvalidRequest(f"The parent tuning job {parent.name} has another objective.")
        if _count(parent.request) != _count(request):
            raise InvalidRequest(
                f"The parent tuning job {parent.name} has {_count(parent.request)} hyperparameters, static and tuned, "
                f"and this one {_count(request)}: their number must stay the same."
            )
        if kind == IDENTICAL and _data_and_algorithm(parent.request) != _data_and_algorithm(request):
            raise InvalidRequest(
                f"{IDENTICAL} needs the training image and the input data of the parent tuning job {parent.name}. "
                f"For others there is {TRANSFER}."
            )


def _count(request: dict[str, Any]) -> int:
    return len(static_of(request)) + len(space_of(request))


def _data_and_algorithm(request: dict[str, Any]) -> tuple[str | None, Any]:
    definition = request["TrainingJobDefinition"]
    return definition["AlgorithmSpecification"].get("TrainingImage"), definition.get("InputDataConfig")
