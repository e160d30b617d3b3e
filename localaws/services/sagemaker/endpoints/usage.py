"""The numbers of AWS/SageMaker for endpoints, from the requests themselves.

Sources: "Metrics for monitoring Amazon SageMaker AI with Amazon CloudWatch" and "Edit a scaling policy" in the
SageMaker developer guide. A variant without traffic has metrics with the value zero, so that its fleet scales in. The
number of concurrent requests is a high-resolution metric. "Alarms and logs for tracking metrics from serverless
endpoints" lists all metrics of a serverless variant; of these, MemoryUtilization is not recorded here. The metrics of
invocations also have the dimension EndpointConfigName, so that an alarm can watch the new fleet alone ("Auto-Rollback
Configuration and Monitoring").
"""

from collections.abc import Iterable

from localaws import clock
from localaws.services.cloudwatch.metrics import Metric, minute_of, store
from localaws.services.sagemaker.endpoints.endpoint import HostedEndpoint
from localaws.services.sagemaker.endpoints.serverless import ServerlessFleet

NAMESPACE = "AWS/SageMaker"
CONCURRENT = "ConcurrentRequestsPerModel"
SERVERLESS_USE = "ServerlessConcurrentExecutionsUtilization"
ZERO_WITHOUT_TRAFFIC = ("Invocations", "InvocationsPerInstance")
UNITS = {
    "ModelLatency": "Microseconds",
    "OverheadLatency": "Microseconds",
    "ModelSetupTime": "Microseconds",
    "InvocationsPerInstance": "None",
    SERVERLESS_USE: "None",
    **dict.fromkeys(("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", CONCURRENT), "Count"),
}
MOST_MINUTES = 60  # that are filled at once, if the clock of the alarms was late


def asked(region: str, endpoint: str, variant: str, in_flight: int) -> None:
    """A request goes to an instance, which has so many in flight with it."""
    store.record(region, NAMESPACE, [_dimensions(endpoint, variant)], {CONCURRENT: in_flight}, UNITS, fine=True)


def answered(
    region: str, endpoint: str, variant: str, config: str, instances: int, status: int, model_s: float, total_s: float
) -> None:
    """A request has been answered: with what status (0: the container gave none), after how many seconds.

    `model_s` is what the container took of `total_s`, and `config` the endpoint configuration of its fleet.
    """
    share = {"InvocationsPerInstance": 1 / max(1, instances)}
    store.record(region, NAMESPACE, [_dimensions(endpoint, variant)], share, UNITS)
    _record_outcome(region, endpoint, variant, config, _outcome(status, model_s, total_s))


def asked_serverless(region: str, endpoint: str, variant: str, utilization: float) -> None:
    """A request goes to a container, and with it this share of MaxConcurrency is in use."""
    store.record(region, NAMESPACE, [_dimensions(endpoint, variant)], {SERVERLESS_USE: utilization}, UNITS)


def answered_serverless(
    region: str,
    endpoint: str,
    variant: str,
    config: str,
    status: int,
    model_s: float,
    total_s: float,
    setup_s: float,
) -> None:
    """A request has been answered by a serverless variant; `setup_s` of `total_s` were its cold start, 0 for none."""
    values = _outcome(status, model_s, total_s)
    if setup_s:
        values["ModelSetupTime"] = setup_s * 1e6
    _record_outcome(region, endpoint, variant, config, values)


def _record_outcome(region: str, endpoint: str, variant: str, config: str, values: dict[str, float]) -> None:
    of_variant = _dimensions(endpoint, variant)
    of_config = (("EndpointConfigName", config), *of_variant)
    store.record(region, NAMESPACE, [of_variant, of_config], values, UNITS)


def _outcome(status: int, model_s: float, total_s: float) -> dict[str, float]:
    return {
        "Invocations": 1,
        "Invocation4XXErrors": int(400 <= status < 500),
        "Invocation5XXErrors": int(status == 0 or status >= 500),
        "ModelLatency": model_s * 1e6,
        "OverheadLatency": (total_s - model_s) * 1e6,
    }


def measure(endpoints: Iterable[HostedEndpoint], since: float, now: float) -> None:
    """Record what the instances are doing, and a zero for each minute between `since` and `now` without a request."""
    width = clock.real(clock.MINUTE)
    ended = min(MOST_MINUTES, round((minute_of(now) - minute_of(since)) / width))
    for endpoint in endpoints:
        for name, fleet in endpoint.traffic.serving():
            if isinstance(fleet, ServerlessFleet):  # it needs no zeros: nothing scales it
                continue
            dimensions = _dimensions(endpoint.name, name)
            for in_flight in fleet.in_flight():
                store.record(
                    endpoint.region, NAMESPACE, [dimensions], {CONCURRENT: in_flight}, UNITS, at=now, fine=True
                )
            for metric in ZERO_WITHOUT_TRAFFIC:
                for ago in range(1, ended + 1):
                    minute = minute_of(now) - ago * width
                    store.fill(Metric(endpoint.region, NAMESPACE, metric, dimensions), minute, UNITS[metric])


def _dimensions(endpoint: str, variant: str) -> tuple[tuple[str, str], ...]:
    return (("EndpointName", endpoint), ("VariantName", variant))
