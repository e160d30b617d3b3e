"""Small models that are bad in four ways get a canary's share of a steady traffic, and are taken back by the alarms of
`terraform/modules/endpoint`. `tests/e2e/test_safe_updates.py` does the same with `make promote` and real models."""

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.traffic import Traffic
from tests.unit.localaws.sagemaker_helpers import MODEL, SageMaker

pytestmark = pytest.mark.soak

CANARY = 0.25  # of the requests
RATE = 20  # requests per second
GOOD = MODEL.format(answer="x").replace("def predict_fn(body, model):\n", "def predict_fn(body, model):\n    work()\n")
WORK = "\nimport time\n\ndef work():\n    {work}\n"
KINDS = {  # what the model does for a request, and what takes it back
    "errors": ("raise RuntimeError('nothing')", "errors"),
    "slow": ("time.sleep(0.09)", "slow"),
    "silent": ("time.sleep(0.03)", "did not pass the ping health check"),
    "leaking": ("kept.append(b'x' * (128 << 20)); time.sleep(0.03)", "errors"),
}
SMALLEST = "ml.c8g.medium"  # 2 GiB, so a leak ends soon


def code(kind: str) -> str:
    text = GOOD + "kept = []\n" + WORK.format(work=KINDS[kind][0] if kind in KINDS else "time.sleep(0.03)")
    return (
        text.replace("def model_fn(folder):\n", "def model_fn(folder):\n    time.sleep(3600)\n")
        if kind == "silent"
        else text
    )


@pytest.fixture
def sagemaker(own_server, wait_until, monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    """A local AWS whose minute lasts six seconds. A container has 40 seconds to become healthy."""
    monkeypatch.setenv("LOCALAWS_TIME_SCALE", "10")
    monkeypatch.setenv("LOCALAWS_HEALTHY_SECONDS", "40")
    own_server.start()
    yield SageMaker(own_server, wait_until)


def put_alarms(cloudwatch: Any, endpoint: str, new: str, old: str) -> None:
    """The alarms of terraform/modules/endpoint/alarms.tf, with its defaults."""

    def dimensions(config: str) -> list[dict[str, str]]:
        named = {"EndpointName": endpoint, "VariantName": "main", "EndpointConfigName": config}
        return [{"Name": name, "Value": value} for name, value in named.items()]

    def latency(name: str, config: str, statistic: str) -> dict[str, Any]:
        metric = {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Dimensions": dimensions(config)}
        return {"Id": name, "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 60, "Stat": statistic}}

    rule = {
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=dimensions(new),
        Statistic="Average",
        Period=60,
        Threshold=0.05,
        **rule,
    )
    ratio = {"Id": "ratio", "Expression": "IF(requests >= 20, new / old, 0)", "ReturnData": True}
    parts = [latency("new", new, "p90"), latency("old", old, "p90"), latency("requests", new, "SampleCount")]
    rule["EvaluationPeriods"] = 2
    cloudwatch.put_metric_alarm(AlarmName="slow", Metrics=[ratio, *parts], Threshold=2, **rule)


def test_bad_models_cost_no_more_than_the_canary_and_a_good_one_costs_nothing(sagemaker):
    live = sagemaker.config(code("live"), InstanceType=SMALLEST)
    name = "updated"
    sagemaker.api.create_endpoint(EndpointName=name, EndpointConfigName=live)
    assert sagemaker.settled(name)["EndpointStatus"] == "InService"
    size = {"Type": "CAPACITY_PERCENT", "Value": round(100 * CANARY)}
    policy = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 240}
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}, {"AlarmName": "slow"}]},
    }
    cloudwatch = sagemaker.server.client("cloudwatch")

    def quiet() -> bool:
        return all(alarm["StateValue"] == "OK" for alarm in cloudwatch.describe_alarms()["MetricAlarms"])

    for kind in [*KINDS, "good"]:
        target = sagemaker.config(code(kind), InstanceType=SMALLEST)
        put_alarms(cloudwatch, name, target, live)
        with Traffic(name, b"x", RATE, sagemaker.server.port, "us-east-1") as traffic:
            sagemaker.until(quiet, "the alarms watch the new fleet, which has no requests")
            began = time.monotonic()
            sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=target, DeploymentConfig=policy)
            described = sagemaker.settled(name)
            ended = time.monotonic()
        told = traffic.between(began, ended)
        failed = told.total() - told[""]
        report(kind, traffic, began, ended, failed, told.total())
        assert set(told) <= {"", "ModelError", "ServiceUnavailable"}, "every request has an answer"
        if kind == "good":
            assert (described["EndpointConfigName"], failed) == (target, 0)
        else:
            assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", live)
            assert KINDS[kind][1] in described["FailureReason"]
            assert failed <= CANARY * told.total() + 3 * math.sqrt(CANARY * told.total())


def report(kind: str, traffic: Traffic, began: float, ended: float, failed: int, total: int) -> None:
    """Print the figures, for docs/SAFE-UPDATES.md (`pytest -s`)."""
    bakes = next((since for since, stage in traffic.stages if stage == "Baking" and since >= began), None)
    taken = (
        f"{ended - bakes:.1f} s after the canary began" if bakes else f"{ended - began:.1f} s after the update began"
    )
    print(f"\nFIGURES {kind}: {failed} of {total} requests failed; over {taken}")
