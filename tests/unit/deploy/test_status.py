"""`make status`: one screen, also after a failed apply, for a stack that is asleep, and without metrics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from deploy import sleeping, unfinished
from deploy.commands import status
from deploy.deployment import Deployment
from deploy.watching import advice, parts, screen, traffic
from deploy.watching.alarms import AlarmState
from deploy.watching.parts import BAD, GOOD, Part
from deploy.watching.traffic import ObservedTraffic

NOW = 1_700_000_000.0
HEALTHY = (Part("endpoint", "InService", "serves run-1", GOOD, 0.115), Part("function", "Active", "live", GOOD, 0.012))


def shown(deployment: Deployment) -> dict[str, str]:
    """The words of each row; of several of one name, the first."""
    found: dict[str, str] = {}
    for _, what, words in screen.rows(screen.look(deployment)):
        found.setdefault(what, words)
    return found


def test_resources_that_an_apply_did_not_make_are_missing_and_the_others_are_shown(account):
    found = shown(account.deployed(ec2_instance_id=None, endpoint_name=None))

    for part in ("endpoint", "function", "instance"):
        assert found[part] == "missing: the last apply did not finish; run it again: make apply"
    assert found["traffic"].startswith("no requests")
    assert found["cost now"] == "nothing that runs by the hour"
    assert found["next"].startswith("make apply")


def test_resources_that_somebody_deleted_are_missing(account):
    found = shown(account.deployed(endpoint_name="gone", endpoint_config_name="c", release="run-1"))
    assert found["endpoint"].startswith("missing")
    assert found["next"] == "make apply  (the endpoint is missing)"


def test_an_apply_that_failed_comes_first(account):
    unfinished.begin(account.env)
    assert shown(account.deployment)["next"] == "make apply  (the last apply or destroy runs, or did not finish)"


def test_a_stack_that_is_asleep_costs_nothing_and_names_the_way_to_wake_it(account):
    deployment = account.deployed(endpoint_name="e", endpoint_config_name="c", release="run-1")
    sleeping.write(deployment)
    found = shown(deployment)
    assert found["endpoint"].startswith("asleep: since ")
    assert found["endpoint"].endswith("run-1 stays")


@pytest.fixture
def served(account) -> Iterator[Deployment]:
    """GIVEN an endpoint of two instances whose metrics are in CloudWatch."""
    sagemaker = account.client("sagemaker")
    role, image = "arn:aws:iam::123456789012:role/r", "123456789012.dkr.ecr.us-east-1.amazonaws.com/r:1"
    sagemaker.create_model(ModelName="served", PrimaryContainer={"Image": image}, ExecutionRoleArn=role)
    variant = {"VariantName": "v", "ModelName": "served", "InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
    sagemaker.create_endpoint_config(EndpointConfigName="served", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="served", EndpointConfigName="served")
    yield account.deployed(endpoint_name="served", endpoint_config_name="served", endpoint_variant="v", release="run-1")
    sagemaker.delete_endpoint(EndpointName="served")


def test_instances_are_counted_and_priced(served: Deployment):
    part = parts.endpoint(served)
    assert part.details == "serves run-1; 2 of 2 instances (ml.m5.large)"
    assert (part.mark, part.hourly) == (GOOD, pytest.approx(0.23))


def test_the_traffic_is_that_of_the_endpoint_and_its_errors_are_counted(served: Deployment, account):
    dimensions = [{"Name": "EndpointName", "Value": "served"}, {"Name": "VariantName", "Value": "v"}]
    values = {"Invocations": 40, "Invocation5XXErrors": 3}
    data = [{"MetricName": name, "Dimensions": dimensions, "Value": value} for name, value in values.items()]
    account.client("cloudwatch").put_metric_data(Namespace="AWS/SageMaker", MetricData=data)

    found = traffic.read(served)

    assert found.total("endpoint_calls") == 40
    assert (found.failed, found.error_share) == (3, pytest.approx(3 / 40))
    assert "3 failed (7.5%)" in shown(served)["traffic"]


def test_what_aws_denies_is_not_known_and_the_rest_is_shown(account, monkeypatch: pytest.MonkeyPatch):
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetMetricData")

    def refuse(*_: object) -> ObservedTraffic:
        raise denied

    monkeypatch.setattr(traffic, "read", refuse)
    assert shown(account.deployment)["traffic"] == "not known: AccessDenied from GetMetricData"
    assert parts.known("function", lambda: refuse(account.deployment)).status == "not known"


def view(**values) -> screen.View:
    usual = {"title": "", "url": "", "release": "run-1", "parts": HEALTHY, "traffic": None, "alarms": ()}
    return screen.View(**(usual | {"advice": advice.Advice("make curl", "")} | values))


def test_traffic_latency_and_concurrency_are_in_words():
    series = {"invocations": 200, "throttles": 4, "failed": 2, "median_ms": 40, "slow_ms": 210, "model_us": 31_000}
    series |= {"concurrency": 7, "warm_use": 1.0, "spillover": 12}
    found = ObservedTraffic({name: [(NOW, value)] for name, value in series.items()})
    words = " | ".join(words for _, _, words in screen.rows(view(traffic=found)))
    assert "200 requests in the last 5 minutes, 2 failed (1.0%), 4 throttled" in words
    assert "half of the requests within 40 ms, 99 % within 210 ms; of the model alone 31 ms" in words
    assert "at most 7 calls at a time; 100% of the warm environments; 12 calls found no warm environment" in words
    assert "$0.127 an hour (endpoint $0.115, function $0.012), $3.05 a day" in words


def alarm(name: str, state: str = "ALARM") -> AlarmState:
    return AlarmState(f"pawprint-{name}", state, "Threshold Crossed", "Functions fail.")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "make curl"),
        ({"release": "bootstrap"}, "make data DATA=folder"),
        ({"parts": [*HEALTHY, Part("job", "Failed", "t-1 (3 s)", advice="make logs JOB=t-1")]}, "make logs JOB=t-1"),
        ({"parts": [*HEALTHY, Part("job", "Completed", "p-train-2 (3 s)")]}, "make promote"),
        ({"parts": [*HEALTHY, Part("job", "Completed", "p-train-2 (3 s)")], "release": "p-train-2-0a1b"}, "make curl"),
        ({"traffic": ObservedTraffic({"throttles": [(NOW, 3)]})}, "make load-test"),
        ({"traffic": ObservedTraffic({"failed": [(NOW, 3)]})}, "make logs WHAT=lambda"),
        ({"alarms": [alarm("model-latency")], "traffic": ObservedTraffic({"failed": [(NOW, 3)]})}, "make load-test"),
        ({"parts": [Part("function", "missing", "", BAD, advice="make apply")], "alarms": [alarm("x")]}, "make apply"),
        ({"unfinished": True, "release": "bootstrap"}, "make apply"),
    ],
)
def test_the_most_urgent_step_is_named(given: dict, expected: str):
    usual = {"parts": HEALTHY, "alarms": [], "traffic": None, "release": "run-1", "unfinished": False}
    assert advice.next_steps(**(usual | given)).command == expected


def test_an_alarm_that_is_on_is_shown_with_its_reason():
    found = list(
        screen.rows(view(alarms=(alarm("spillover"), alarm("other", "OK"), alarm("new", "INSUFFICIENT_DATA"))))
    )
    assert (BAD, "alarms", "1 on, 1 fine, 1 without data yet") in found
    assert (BAD, "", "pawprint-spillover: Functions fail. Threshold Crossed") in found


def test_rules_that_make_faults_are_a_line_with_the_way_out(account, monkeypatch):
    asked = {"chaos": ["throttle service=s3", "take-spot"]}
    monkeypatch.setattr(status.environment, "ask_local_aws", lambda _: asked)
    assert status.chaos_lines(account.env) == [
        "Chaos is on: throttle service=s3; take-spot. To end it: make chaos CLEAR=1"
    ]
    asked["chaos"] = []
    assert status.chaos_lines(account.env) == []
