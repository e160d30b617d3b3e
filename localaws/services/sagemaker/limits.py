"""The account's limits on SageMaker's instances: what is in use is counted, and a request that needs more is refused.

Source of the words: aws-samples/sagemaker-custom-project-templates #51 and many later issues, which have the last
sentences as they are here. A tuning job needs all trials that may run at a time (a request delta of 4 for 4 parallel
trials of one instance).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.exceptions import ServiceException

from localaws import account_limits as limits
from localaws.account_limits import account_limits
from localaws.services.sagemaker.records import table_of

WAY_OUT = (
    "Please use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is not available, "
    "contact AWS support to request an increase for this quota."
)
IN_USE = ("InProgress", "Stopping")
AT_REST = ("Stopped", "Failed")


class ResourceLimitExceeded(ServiceException):
    code = "ResourceLimitExceeded"


def require(name: str, used: int, wanted: int, unit: str = "Instances") -> None:
    """Raise ResourceLimitExceeded if `wanted` more of a quota are too many."""
    limit = account_limits().value("sagemaker", name)
    if wanted > 0 and used + wanted > limit:
        raise ResourceLimitExceeded(
            f"The account-level service limit '{name}' is {limit} {unit}, with current utilization of {used} {unit} "
            f"and a request delta of {wanted} {unit}. {WAY_OUT}"
        )


def require_each(use: str, total: str, used: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    """Raise ResourceLimitExceeded if the instances, counted by type, are too many for one type or in total."""
    for instance_type, count in wanted.items():
        name = limits.instances(instance_type, use)
        if limits.find("sagemaker", name):  # a type that SageMaker does not have is refused elsewhere
            require(name, used.get(instance_type, 0), count)
    require(total, sum(used.values()), sum(wanted.values()))


# --- endpoints ---


def of_variants(variants: Iterable[Any]) -> Counter[str]:
    """The instances that variants ask for, by type. Serverless variants have none."""
    counted: Counter[str] = Counter()
    for variant in variants:
        if not variant.serverless:
            counted[variant.instance_type] += variant.count
    return counted


def endpoint_instances(region: str) -> Counter[str]:
    """The instances of all endpoints, by type. An endpoint that is updated has those of both of its fleets."""
    counted: Counter[str] = Counter()
    for endpoint in list(table_of("endpoint", region).values()):
        for deployment in (endpoint.deployment, endpoint.pending):
            if deployment is not None and endpoint.status not in ("Failed", "Deleting"):
                counted += of_variants(deployment.variants)
    return counted


def require_endpoint(region: str, wanted: Mapping[str, int]) -> None:
    """Raise ResourceLimitExceeded if an endpoint needs more instances than the account may have."""
    require_each(limits.ENDPOINT, limits.ALL_ENDPOINTS, endpoint_instances(region), wanted)


# --- training ---


def require_training(region: str, definition: dict[str, Any], jobs: int = 1) -> None:
    """Raise ResourceLimitExceeded if so many jobs at a time with this definition need too many instances."""
    resources = definition["ResourceConfig"]
    count = resources.get("InstanceCount", 1)
    spot = bool(definition.get("EnableManagedSpotTraining"))
    use = limits.SPOT_TRAINING if spot else limits.TRAINING
    total = limits.ALL_SPOT_TRAINING if spot else limits.ALL_TRAINING
    require(limits.ONE_TRAINING, 0, count)
    require_each(use, total, _training_instances(region, spot), {resources.get("InstanceType", ""): count * jobs})


def require_tuning(region: str, definition: dict[str, Any], parallel: int) -> None:
    """Raise ResourceLimitExceeded if a tuning job's parallel trials are too many, or need too many instances."""
    require(limits.PARALLEL_TRIALS, 0, parallel, "Jobs")
    require_training(region, definition, parallel)


def _training_instances(region: str, spot: bool) -> Counter[str]:
    counted: Counter[str] = Counter()
    for job in list(table_of("training-job", region).values()):
        resources = job.request["ResourceConfig"]
        if job.status in IN_USE and bool(job.request.get("EnableManagedSpotTraining")) == spot:
            counted[resources.get("InstanceType", "")] += resources.get("InstanceCount", 1)
    return counted


# --- transform jobs ---


def require_transform(region: str, request: dict[str, Any]) -> None:
    """Raise ResourceLimitExceeded if a transform job needs more instances than the account may have."""
    resources, used = request["TransformResources"], Counter[str]()
    for job in list(table_of("transform-job", region).values()):
        if job.status in IN_USE:
            used[job.variant.instance_type] += job.variant.count
    wanted = {resources["InstanceType"]: resources["InstanceCount"]}
    require_each(limits.TRANSFORM, limits.ALL_TRANSFORM, used, wanted)


# --- notebooks ---


def require_notebook(region: str, instance_type: str) -> None:
    """Raise ResourceLimitExceeded if one more notebook instance of a type cannot run."""
    running = [each for each in list(table_of("notebook-instance", region).values()) if each.status not in AT_REST]
    used = sum(each.request["InstanceType"] == instance_type for each in running)
    require(limits.instances(instance_type, limits.NOTEBOOK), used, 1)
