"""The numbers of AWS/SageMaker for endpoints, from the requests themselves.

Source: "Metrics for monitoring Amazon SageMaker AI with Amazon CloudWatch" in the SageMaker developer guide.
"""

from localaws.services.cloudwatch.metrics import store

NAMESPACE = "AWS/SageMaker"
UNITS = {
    "ModelLatency": "Microseconds",
    "OverheadLatency": "Microseconds",
    "InvocationsPerInstance": "None",
    **dict.fromkeys(
        ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "ConcurrentRequestsPerModel"), "Count"
    ),
}


def asked(region: str, endpoint: str, variant: str, in_flight: int) -> None:
    """A request goes to an instance, which has so many in flight with it."""
    store.record(region, NAMESPACE, _dimensions(endpoint, variant), {"ConcurrentRequestsPerModel": in_flight}, UNITS)


def answered(
    region: str, endpoint: str, variant: str, instances: int, status: int, model_s: float, total_s: float
) -> None:
    """A request has been answered: with what status (0: the container gave none), after how many seconds.

    `model_s` is what the container took of `total_s`.
    """
    values = {
        "Invocations": 1,
        "InvocationsPerInstance": 1 / max(1, instances),
        "Invocation4XXErrors": int(400 <= status < 500),
        "Invocation5XXErrors": int(status == 0 or status >= 500),
        "ModelLatency": model_s * 1e6,
        "OverheadLatency": (total_s - model_s) * 1e6,
    }
    store.record(region, NAMESPACE, _dimensions(endpoint, variant), values, UNITS)


def _dimensions(endpoint: str, variant: str) -> list[tuple[tuple[str, str], ...]]:
    return [(("EndpointName", endpoint), ("VariantName", variant))]
