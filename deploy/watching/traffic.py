"""The traffic of the last minutes, as CloudWatch has it: one request for all metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from deploy.deployment import SERVERLESS, Deployment

PERIOD = 60  # seconds: CloudWatch has these metrics for each minute
MINUTES = 5  # that are summed up

Series = list[tuple[float, float]]  # seconds since 1970, value; the oldest first

# Name -> namespace, metric, statistic. Sources: "Types of metrics for Lambda functions" in the Lambda developer guide,
# "Metrics for monitoring Amazon SageMaker AI with Amazon CloudWatch" in the SageMaker developer guide.
FUNCTION = {
    "invocations": ("AWS/Lambda", "Invocations", "Sum"),
    "crashes": ("AWS/Lambda", "Errors", "Sum"),
    "throttles": ("AWS/Lambda", "Throttles", "Sum"),
    "concurrency": ("AWS/Lambda", "ConcurrentExecutions", "Maximum"),
    "median_ms": ("AWS/Lambda", "Duration", "p50"),
    "slow_ms": ("AWS/Lambda", "Duration", "p99"),
    "warm_use": ("AWS/Lambda", "ProvisionedConcurrencyUtilization", "Maximum"),
    "spillover": ("AWS/Lambda", "ProvisionedConcurrencySpilloverInvocations", "Sum"),
}
ENDPOINT = {
    "endpoint_calls": ("AWS/SageMaker", "Invocations", "Sum"),
    "endpoint_5xx": ("AWS/SageMaker", "Invocation5XXErrors", "Sum"),
    "model_us": ("AWS/SageMaker", "ModelLatency", "p99"),
}
SERVERLESS_USE = {"serverless_use": ("AWS/SageMaker", "ServerlessConcurrentExecutionsUtilization", "Maximum")}
FAILED = ("FailedRequests", "Sum")  # of the metric filter in terraform/modules/monitoring; its namespace is an output


@dataclass(frozen=True)
class ObservedTraffic:
    """Series by name. A name without values is missing: there were no calls, or the metric does not exist."""

    series: dict[str, Series] = field(default_factory=dict)

    def total(self, name: str) -> float:
        return sum(value for _, value in self.series.get(name, []))

    def highest(self, name: str) -> float | None:
        return max((value for _, value in self.series.get(name, [])), default=None)

    def since(self, begin: float) -> ObservedTraffic:
        """The part of it that began at `begin` (seconds since 1970) or later."""
        parts = {name: [each for each in series if each[0] >= begin] for name, series in self.series.items()}
        return ObservedTraffic({name: series for name, series in parts.items() if series})

    @property
    def failed(self) -> float:
        """Requests that were answered with 5xx, or that crashed the function. The endpoint's 5xx are among them, but
        not those of callers that do not use the function."""
        return max(self.total("failed") + self.total("crashes"), self.total("endpoint_5xx"))

    @property
    def error_share(self) -> float:
        calls = max(self.total("invocations"), self.total("endpoint_calls"), self.failed)
        return self.failed / calls if calls else 0.0


def read(deployment: Deployment, minutes: int = MINUTES) -> ObservedTraffic:
    """The traffic of the last `minutes` full minutes and of the current one. Raises ClientError."""
    wanted = _queries(deployment)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    answer = deployment.client("cloudwatch").get_metric_data(
        MetricDataQueries=wanted,
        StartTime=now - timedelta(minutes=minutes),
        EndTime=now + timedelta(minutes=1),
        ScanBy="TimestampAscending",
    )
    return ObservedTraffic(
        {
            each["Id"]: [(at.timestamp(), value) for at, value in zip(each["Timestamps"], each["Values"], strict=True)]
            for each in answer["MetricDataResults"]
            if each["Values"]
        }
    )


def _queries(deployment: Deployment) -> list[dict]:
    queries = []
    if deployment.has("function_name", "function_alias"):
        name = deployment.function_name
        of_function = {"FunctionName": name, "Resource": f"{name}:{deployment.function_alias}"}
        queries += [_query(each, *metric, of_function) for each, metric in FUNCTION.items()]
    if deployment.has("endpoint_name", "endpoint_variant"):
        of_endpoint = {"EndpointName": deployment.endpoint_name, "VariantName": deployment.outputs["endpoint_variant"]}
        more = SERVERLESS_USE if deployment.endpoint_kind == SERVERLESS else {}
        queries += [_query(each, *metric, of_endpoint) for each, metric in (ENDPOINT | more).items()]
    if deployment.has("metrics_namespace"):
        queries.append(_query("failed", deployment.outputs["metrics_namespace"], *FAILED, {}))
    return queries


def _query(name: str, namespace: str, metric: str, statistic: str, dimensions: dict[str, str]) -> dict:
    listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    watched = {"Namespace": namespace, "MetricName": metric, "Dimensions": listed}
    return {"Id": name, "MetricStat": {"Metric": watched, "Period": PERIOD, "Stat": statistic}}
