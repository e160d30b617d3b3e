"""Settings that contradict each other are refused before a plan, with their arithmetic, unless they are accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from deploy import settings
from deploy.consistency import check, measured, rules
from deploy.consistency.measured import MeasuredInstance
from deploy.console import Failure
from deploy.environment import ROOT, TERRAFORM, rehearsal_variables
from deploy.terraform import Stack

ENVIRONMENTS = sorted((TERRAFORM / "environments").glob("*.tfvars"))
CONCURRENT = "SageMakerVariantConcurrentRequestsPerModelHighResolution"


def changed(**values: Any) -> dict[str, Any]:
    """The settings of ENV=aws, with these values: `endpoint__scaling__target=50`."""
    found = settings.effective(TERRAFORM / "environments" / "aws.tfvars")
    for path, value in values.items():
        *inner, last = path.split("__")
        place = found
        for name in inner:
            place = place[name]
        place[last] = value
    return found


def on(rate: float, call: float | None = None, kind: str = "ml.m5.large") -> MeasuredInstance:
    return MeasuredInstance(kind, rate, call, "2026-11-29")


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
@pytest.mark.parametrize("rehearsed", [False, True])
def test_each_shipped_environment_passes(file: Path, rehearsed: bool):
    check.require(settings.effective(file, rehearsal_variables() if rehearsed else {}), None, file)


@pytest.mark.parametrize(
    ("given", "found", "name", "arithmetic", "fix"),
    [
        # The student project: 100 calls at a time, 2 instances for 50 invocations a minute each.
        (
            changed(predictor__reserved=200, endpoint__scaling__target=50),
            None,
            "concurrency",
            "200 calls at a time x 0.6 s of an instance for each (implied by endpoint.scaling.target = 50 / 60 / 0.5) "
            "/ 2 instances = 60 s for the last answer, and the function gives up after 29.5 s",
            "predictor.reserved to at most 98, or endpoint.scaling.max_instances to at least 5",
        ),
        (
            changed(predictor__reserved=200),
            on(50),
            "concurrency",
            "2 instances x 64 images that each lets wait = 128, and they refuse the other 72 calls",
            "at most 128, or endpoint.scaling.max_instances to at least 4",
        ),
        (
            changed(predictor__timeout_seconds=5),
            on(2),
            "timeouts",
            "10 calls waiting x 0.5 s of an instance for each (measured on 2026-11-29) = 5 s",
            "predictor.timeout_seconds to at least 6",
        ),
        (
            changed(endpoint__kind="serverless", predictor__timeout_seconds=30),
            None,
            "timeouts",
            "gives up after 29.5 s, and a container of serverless inference may take 60 s",
            "predictor.timeout_seconds = null",
        ),
        (
            changed(),
            on(8.0),
            "scaling-target",
            "one instance answered 8.0 a second x 60 = 480 a minute",
            "endpoint.scaling.target to 240",
        ),
        (
            changed(endpoint__scaling__target=1500),
            on(50.0, call=0.5),
            "scaling-policy",
            "10 calls at a time / 0.5 s a call (measured on 2026-11-29) x 60 / 1 instance = 1200 a minute at most",
            "below 1200",
        ),
        (
            changed(endpoint__scaling__metric=CONCURRENT, endpoint__scaling__target=10),
            None,
            "scaling-policy",
            "10 calls / 1 instance = 10",
            "below 10",
        ),
        (
            changed(endpoint__scaling__metric=CONCURRENT, endpoint__scaling__target=80, predictor__reserved=None),
            None,
            "scaling-policy",
            "64 wait in an instance at most = 64",
            "below 64",
        ),
        (changed(endpoint__scaling__scale_in_cooldown=172_800), None, "scaling-policy", "= 2.0 days", "300"),
        (
            changed(
                predictor__scaling={"max_provisioned": 1, "scale_in_cooldown": 300, "scale_out_cooldown": 0},
            ),
            None,
            "scaling-policy",
            "1 - 1 = 0 environments",
            "larger max_provisioned",
        ),
        (changed(endpoint__deployment__bake_seconds=30), None, "rollback-alarm", "watched for 30 s", "at least 180"),
    ],
)  # fmt: skip
def test_a_contradiction_fails_with_its_arithmetic_and_passes_if_it_is_accepted(
    given: dict, found: MeasuredInstance | None, name: str, arithmetic: str, fix: str, capsys: pytest.CaptureFixture
):
    with pytest.raises(Failure) as refused:
        check.require(given, found, Path("aws.tfvars"))
    assert arithmetic in str(refused.value)
    assert fix in str(refused.value)
    assert f'"{name}"' in str(refused.value)

    check.require(given | {"accept": list(rules.NAMES)}, found, Path("aws.tfvars"))
    assert f"Accepted: {name}" in " ".join(capsys.readouterr().err.split())


def test_an_instance_of_another_type_has_not_measured_this_one():
    check.require(changed(), on(0.1, kind="ml.t2.medium"), Path("aws.tfvars"))


def test_more_calls_than_serverless_inference_answers_only_warn(capsys: pytest.CaptureFixture):
    check.require(changed(endpoint__kind="serverless"), None, Path("aws.tfvars"))
    assert "5 are answered with 429" in capsys.readouterr().err


def test_a_load_test_leaves_its_figures_for_the_next_plan(account):
    sagemaker = account.client("sagemaker")
    role, image = "arn:aws:iam::123456789012:role/r", "123456789012.dkr.ecr.us-east-1.amazonaws.com/r:1"
    sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": image}, ExecutionRoleArn=role)
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="measured", ProductionVariants=[variant])
    deployment = account.deployed(endpoint_config_name="measured")

    assert measured.read(deployment) is None
    measured.write(deployment, 12.5, 0.25)

    left = measured.read(deployment)
    assert left is not None
    assert (left.instance_type, left.rate, left.call) == ("ml.m5.large", 12.5, 0.25)


def test_plan_and_apply_check_before_terraform_plans(account, monkeypatch: pytest.MonkeyPatch):
    """And what makes the stack smaller is not refused: a destroy, or going to sleep."""
    stack = Stack(account.env)
    monkeypatch.setattr(stack, "deployment", lambda: account.deployment)
    monkeypatch.setattr(stack, "settings", lambda: changed(endpoint__deployment__bake_seconds=0))

    class Planned(Exception):
        pass

    def plan(*_: Any, **__: Any) -> int:
        raise Planned

    monkeypatch.setattr(stack._terraform, "run", plan)
    monkeypatch.setattr(stack._terraform, "run_briefly", plan)
    monkeypatch.setattr(stack, "init", lambda: None)
    for refused in (stack.plan, stack.apply):
        with pytest.raises(Failure, match="contradict"):
            refused()
    with pytest.raises(Planned):
        stack.destroy(lambda _: None)


def test_the_constants_are_those_of_the_payloads_and_of_the_variable():
    line = (ROOT / "payloads/inference/line.py").read_text()
    service = (ROOT / "payloads/lambda/predictor/service.py").read_text()
    variables = (TERRAFORM / "variables.tf").read_text()
    assert f"\nCAPACITY = {rules.LINE} " in line
    assert f"\nANSWER_SECONDS = {rules.ANSWER_SECONDS} " in service
    listed = re.search(r"contains\(\[(.*?)\], name\)", variables)
    assert listed is not None
    assert tuple(re.findall(r'"([\w-]+)"', listed[1])) == rules.NAMES
