"""What Application Auto Scaling changes the capacity of: provisioned concurrency, and the instances of an endpoint."""

from dataclasses import dataclass, replace

from moto.awslambda.models import lambda_backends
from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from localaws.context import ACCOUNT_ID
from localaws.services.sagemaker.endpoints.endpoint import HostedEndpoint
from localaws.services.sagemaker.records import table_of


@dataclass(frozen=True)
class ResourceState:
    """A resource now: the capacity that was asked for last, and what has become of that.

    `settled`: the capacity is there, or could not be, for which `failure` has the reason. `scalable`: another capacity
    may be asked for.
    """

    capacity: int
    settled: bool
    scalable: bool
    failure: str | None = None


def look(region: str, resource_id: str) -> ResourceState | None:
    """The resource `function:NAME:QUALIFIER` or `endpoint/NAME/variant/NAME`.

    None for one that does not exist; the capacity 0 for a qualifier without provisioned concurrency.
    """
    if resource_id.startswith("function:"):
        return _provisioned(region, *resource_id.split(":")[1:])
    endpoint, variant = _variant(region, resource_id)
    count = endpoint.desired_count(variant) if endpoint else None
    if count is None:
        return None
    settled = endpoint.status == "InService"
    return ResourceState(count, settled, settled, endpoint.failure_reason if settled else None)


def burstable(region: str, resource_id: str) -> str | None:
    """The type of an endpoint's instances if SageMaker does not scale it, else None.

    Source: SageMaker guide, "Configure model auto scaling with the console", and aws/aws-cdk #22886: all ml.t types.
    """
    if not resource_id.startswith("endpoint/"):
        return None
    endpoint, name = _variant(region, resource_id)
    variants = endpoint.deployment.variants if endpoint else ()
    return next(
        (each.instance_type for each in variants if each.name == name and each.instance_type[:4] == "ml.t"), None
    )


def set_capacity(region: str, resource_id: str, wanted: int) -> str | None:
    """Change a capacity as its own API would; what that said against it, or None."""
    try:
        if resource_id.startswith("function:"):
            _, name, qualifier = resource_id.split(":")
            concurrency = lambda_backends[ACCOUNT_ID][region].concurrency
            if wanted:
                concurrency.put(name, qualifier, wanted)
            else:
                concurrency.delete(name, qualifier)
            return None
        return _set_instances(*_variant(region, resource_id), wanted)
    except (ServiceException, HTTPException) as refusal:
        return str(getattr(refusal, "message", None) or refusal)


def _provisioned(region: str, name: str, qualifier: str) -> ResourceState | None:
    backend = lambda_backends[ACCOUNT_ID][region]
    if not backend.functions.exists(name):
        return None
    requested = backend.concurrency.requested(name, qualifier)
    if not requested:
        return ResourceState(0, settled=True, scalable=True)
    described = backend.concurrency.describe(name, qualifier)
    settled = described["Status"] != "IN_PROGRESS"
    return ResourceState(requested, settled, scalable=True, failure=described.get("StatusReason"))


def _set_instances(endpoint: HostedEndpoint | None, variant: str, wanted: int) -> str | None:
    if endpoint is None or endpoint.status != "InService":
        return "The endpoint is not in service." if endpoint is None else f"The endpoint is {endpoint.status}."
    variants = endpoint.deployment.variants
    endpoint.scale(tuple(replace(each, count=wanted) if each.name == variant else each for each in variants))
    return None


def _variant(region: str, resource_id: str) -> tuple[HostedEndpoint | None, str]:
    _, name, _, variant = resource_id.split("/")
    return table_of("endpoint", region).get(name), variant
