"""The checks of the endpoint at the end of `make apply` and `make promote`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

import pytest
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from deploy.build import package
from deploy.commands import apply as command
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import promotion
from deploy.sagemaker.releases import Release, Releases

ROLE = "arn:aws:iam::123456789012:role/pawprint-endpoint"
ANSWER = {"predictions": [{"label": "beagle", "probability": 0.9}], "model": {}}


@pytest.fixture
def deployment(account) -> Iterator[Deployment]:
    """A stack whose endpoint is in service with the applied configuration."""
    sagemaker = account.client("sagemaker")
    container = {"Image": "serving:1", "ModelDataUrl": "s3://pawprint-test/model.tar.gz"}
    variant = {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="pawprint", EndpointConfigName="c")
    yield account.deployed(
        endpoint_name="pawprint",
        endpoint_config_name="c",
        release="bootstrap",
        function_url="http://abc.localhost/",
    )
    sagemaker.delete_endpoint(EndpointName="pawprint")
    sagemaker.delete_endpoint_config(EndpointConfigName="c")
    sagemaker.delete_model(ModelName="m")


@pytest.fixture
def answers(account, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The answers of InvokeEndpoint, in order. moto itself reads no image and always gives the same answer."""
    given: list[tuple[int, str]] = []

    def invoke(_response) -> tuple[int, dict, str]:
        status, body = given.pop(0)
        return status, {"x-amzn-ErrorType": "ModelError"} if status == 424 else {}, body

    monkeypatch.setattr(SageMakerRuntimeResponse, "use_raw_body", True)
    monkeypatch.setattr(SageMakerRuntimeResponse, "invoke_endpoint", invoke)
    return given


class Applied:
    """Terraform after a successful apply."""

    deployed: ClassVar[Deployment]

    def __init__(self, env):
        self.env = env
        self.released: list[str] = []

    def apply(self) -> int:
        return 0

    def apply_release(self, release: Releases) -> int:
        self.released.append(release.current)
        return 0

    def deployment(self) -> Deployment:
        return self.deployed

    require_deployment = deployment


def apply(account, monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> int:
    monkeypatch.setattr(Applied, "deployed", deployment, raising=False)
    monkeypatch.setattr(command, "Stack", Applied)
    monkeypatch.setattr(package, "build", dict)
    monkeypatch.setattr(command.examination, "require_healthy", lambda _subject: None)  # tested in test_doctor
    monkeypatch.setattr(command.environment, "current", lambda: account.env)
    monkeypatch.setattr(type(account.env), "require_access", lambda _env: None)
    return command.main()


def test_apply_prints_deployed_after_the_endpoint_has_answered(account, monkeypatch, deployment, answers, capsys):
    answers.append((200, json.dumps(ANSWER)))

    assert apply(account, monkeypatch, deployment) == 0

    assert answers == []
    assert "pawprint is deployed; the endpoint serves bootstrap" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer",
    [
        (424, json.dumps({"OriginalStatusCode": 503, "OriginalMessage": "Service Unavailable", "Message": "m"})),
        (200, "Service Unavailable"),
        (200, "{}"),
        (200, '{"predictions": []}'),
        (200, '{"predictions": 1}'),
        (200, "[]"),
    ],
)
def test_an_apply_whose_endpoint_does_not_answer_fails_and_names_the_log(
    account, monkeypatch, deployment, answers, capsys, answer
):
    answers.append(answer)

    with pytest.raises(Failure, match=r"bootstrap is in service but does not answer (.|\n)*make logs WHAT=endpoint"):
        apply(account, monkeypatch, deployment)

    assert "is deployed" not in capsys.readouterr().out


def test_a_promotion_whose_model_does_not_answer_rolls_back_and_names_the_log(
    account, monkeypatch, deployment, answers
):
    monkeypatch.setattr(Applied, "deployed", deployment, raising=False)
    monkeypatch.setattr(type(account.env), "require_own_local_aws", lambda _env: None)
    answers.append((200, "Service Unavailable"))
    old, new = (Releases(name, {name: Release(f"s3://pawprint-test/{name}")}) for name in ("old", "new"))
    terraform = Applied(account.env)

    with pytest.raises(Failure, match=r"new was not promoted(.|\n)*does not answer(.|\n)*make logs WHAT=endpoint"):
        promotion.switch(terraform, old, new)

    assert terraform.released == ["new", "old"]
