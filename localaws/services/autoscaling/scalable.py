"""What Application Auto Scaling changes the capacity of: provisioned concurrency, and the instances of an endpoint."""

from dataclasses import replace

from moto.awslambda.models import lambda_backends
from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from localaws.context import ACCOUNT_ID
from localaws.services.sagemaker.endpoints.endpoint import HostedEndpoint
from localaws.services.sagemaker.records import table_of

# How an activity calls the capacity, by service namespace.
WHAT = {"lambda": "provisioned concurrency", "sagemaker": "desired instance count"}


def capacity(region: str, resource_id: str) -> int | None:
    """The capacity that was last asked for: `function:NAME:QUALIFIER` or `endpoint/NAME/variant/NAME`.

    None for a resource that is not there or has no such capacity; 0 for a qualifier without provisioned concurrency.
    """
    if resource_id.startswith("function:"):
        _, name, qualifier = resource_id.split(":")
        backend = lambda_backends[ACCOUNT_ID][region]
        return backend.concurrency.requested(name, qualifier) if backend.functions.has(name) else None
    endpoint, variant = _variant(region, resource_id)
    counts = (
        {each.name: each.count for each in endpoint.deployment.variants} if endpoint and endpoint.deployment else {}
    )
    return counts.get(variant)


def set_capacity(region: str, resource_id: str, wanted: int) -> str | None:
    """Change a capacity as its own API would; what that said against it, or None."""
    try:
        if resource_id.startswith("function:"):
            _, name, qualifier = resource_id.split(":")
            lambda_backends[ACCOUNT_ID][region].concurrency.put(name, qualifier, wanted)
            return None
        return _set_instances(*_variant(region, resource_id), wanted)
    except (ServiceException, HTTPException) as refusal:
        return str(getattr(refusal, "message", None) or refusal)


def _set_instances(endpoint: HostedEndpoint | None, variant: str, wanted: int) -> str | None:
    if endpoint is None or endpoint.status != "InService":
        return "The endpoint is not in service." if endpoint is None else f"The endpoint is {endpoint.status}."
    variants = endpoint.deployment.variants
    endpoint.scale(tuple(replace(each, count=wanted) if each.name == variant else each for each in variants))
    return None


def _variant(region: str, resource_id: str) -> tuple[HostedEndpoint | None, str]:
    _, name, _, variant = resource_id.split("/")
    return table_of("endpoint", region).get(name), variant
