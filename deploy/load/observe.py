"""What AWS measured during a load test: instances each second, and the metrics of CloudWatch each minute."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.deployment import INSTANCES, SERVERLESS, Deployment

PERIOD = 60  # seconds: CloudWatch has these metrics for each minute
POLL_SECONDS = 2.0


def seconds_to_next_minute() -> float:
    """How long to wait until CloudWatch's values are those of what happens from then on."""
    return PERIOD - time.time() % PERIOD


Points = list[tuple[float, float]]  # seconds from the start, value

# Name in the report -> namespace, metric, statistic.
FUNCTION_METRICS = {
    "throttles": ("AWS/Lambda", "Throttles", "Sum"),
    "concurrency": ("AWS/Lambda", "ConcurrentExecutions", "Maximum"),
    "call_ms": ("AWS/Lambda", "Duration", "Average"),
    "provisioned_use": ("AWS/Lambda", "ProvisionedConcurrencyUtilization", "Maximum"),
    "spillover": ("AWS/Lambda", "ProvisionedConcurrencySpilloverInvocations", "Sum"),
}
ENDPOINT_METRICS = {
    "model_us": ("AWS/SageMaker", "ModelLatency", "Average"),
    "errors_5xx": ("AWS/SageMaker", "Invocation5XXErrors", "Sum"),
}
SERVERLESS_METRICS = {
    "container_starts": ("AWS/SageMaker", "ModelSetupTime", "SampleCount"),
    "serverless_use": ("AWS/SageMaker", "ServerlessConcurrentExecutionsUtilization", "Maximum"),
}


@dataclass
class Observed:
    """Series by name. `instances` is polled; `function_starts` are the environments that a request had to start."""

    series: dict[str, Points] = field(default_factory=dict)

    def mean(self, name: str) -> float | None:
        values = [value for _, value in self.series.get(name, [])]
        return sum(values) / len(values) if values else None

    def total(self, name: str) -> float:
        return sum(value for _, value in self.series.get(name, []))


class Observer:
    """Polls the number of instances from its creation until `finish`."""

    def __init__(self, deployment: Deployment):
        self._deployment = deployment
        self._began = time.time()
        self._instances: Points = []
        self.start_seconds: float | None = None  # from asking for more instances until they were there
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True, name="observer")
        self._thread.start()

    @property
    def instances(self) -> int:
        """The instances now, 0 for kinds without."""
        return int(self._instances[-1][1]) if self._instances else 0

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def finish(self) -> Observed:
        """Stop polling, and read CloudWatch and the function's log."""
        self.stop()
        observed = Observed({"instances": self._instances} if self._instances else {})
        for name, points in self._metrics().items():
            observed.series[name] = points
        observed.series["function_starts"] = self._function_starts()
        return observed

    def _poll(self) -> None:
        if self._deployment.endpoint_kind != INSTANCES:
            return
        sagemaker = self._deployment.client("sagemaker")
        asked_at: float | None = None
        while True:
            described = sagemaker.describe_endpoint(EndpointName=self._deployment.endpoint_name)
            (variant,) = described["ProductionVariants"]
            now, current, wanted = time.time(), variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]
            self._instances.append((now - self._began, current))
            if wanted > current and asked_at is None:
                asked_at = now
            if wanted <= current and asked_at is not None:
                self.start_seconds, asked_at = now - asked_at, None
            if self._done.wait(POLL_SECONDS):
                return

    def _metrics(self) -> dict[str, Points]:
        function = self._deployment.function_name
        alias = f"{function}:{self._deployment.function_alias}"
        of_function = [{"Name": "FunctionName", "Value": function}, {"Name": "Resource", "Value": alias}]
        wanted = {name: (*metric, of_function) for name, metric in FUNCTION_METRICS.items()}
        if self._deployment.has("endpoint_name"):
            of_endpoint = [
                {"Name": "EndpointName", "Value": self._deployment.endpoint_name},
                {"Name": "VariantName", "Value": self._deployment.outputs["endpoint_variant"]},
            ]
            more = ENDPOINT_METRICS | (SERVERLESS_METRICS if self._deployment.endpoint_kind == SERVERLESS else {})
            wanted |= {name: (*metric, of_endpoint) for name, metric in more.items()}
        return {name: self._read(*metric) for name, metric in wanted.items()}

    def _read(self, namespace: str, metric: str, statistic: str, dimensions: list[dict[str, str]]) -> Points:
        begin = datetime.fromtimestamp(self._began // PERIOD * PERIOD, UTC)
        answer = self._deployment.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=begin,
            EndTime=datetime.now(UTC) + timedelta(seconds=PERIOD),
            Period=PERIOD,
            Statistics=[statistic],
        )
        # The minute in which the test began is shown from its beginning on.
        times = [max(0.0, each["Timestamp"].timestamp() - self._began) for each in answer["Datapoints"]]
        points = zip(times, (each[statistic] for each in answer["Datapoints"]), strict=True)
        return sorted(points)

    def _function_starts(self) -> Points:
        """The requests that had to wait for the start of an environment, by the REPORT lines in the log."""
        logs = self._deployment.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._deployment.function_log_group,
            startTime=int(self._began * 1000),
            filterPattern='"Init Duration"',
        )
        events: list[dict[str, Any]] = [event for page in pages for event in page["events"]]
        starts = [
            each for each in events if each["message"].startswith("REPORT") and "Init Duration" in each["message"]
        ]
        return sorted((each["timestamp"] / 1000 - self._began, 1.0) for each in starts)
