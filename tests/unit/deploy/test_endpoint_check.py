"""The checks of the endpoint at the end of `make apply` and `make promote`."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import ClassVar

import pytest
from botocore.exceptions import ClientError
from moto.sagemaker.models import sagemaker_backends
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from deploy import own_model
from deploy.build import package
from deploy.commands import apply as command
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import endpoint_check, promotion, releases
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
        self.targets: list[str] = []

    def apply(self) -> int:
        return 0

    def apply_release(self, release: Releases, target: str) -> int:
        self.released.append(release.current)
        self.targets.append(target)
        return 0

    def deployment(self) -> Deployment:
        return self.deployed

    require_deployment = deployment


def apply(account, monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> int:
    monkeypatch.setattr(Applied, "deployed", deployment, raising=False)
    monkeypatch.setattr(command, "Stack", Applied)
    monkeypatch.setattr(package, "build", lambda _kind: {})
    monkeypatch.setattr(command.examination, "require_healthy", lambda _subject: None)  # tested in test_doctor
    monkeypatch.setattr(command.environment, "current", lambda: account.env)
    monkeypatch.setattr(type(account.env), "require_access", lambda _env: None)
    return command.main()


def test_apply_prints_deployed_after_the_endpoint_has_answered(account, monkeypatch, deployment, answers, capsys):
    answers.append((200, json.dumps(ANSWER)))

    assert apply(account, monkeypatch, deployment) == 0

    assert answers == []
    assert "pawprint is deployed; it serves bootstrap" in capsys.readouterr().out


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


def test_a_serverless_container_that_is_still_starting_is_waited_for(account, monkeypatch, deployment, answers):
    answers.append((200, json.dumps(ANSWER)))
    pauses: list[float] = []
    monkeypatch.setattr(endpoint_check.time, "sleep", pauses.append)
    real = Deployment.client

    class Starting:
        """Refuses the first request, as a variant does whose container is starting."""

        def invoke_endpoint(self, **arguments):
            if not pauses:
                raise ClientError({"Error": {"Code": "ModelNotReadyException", "Message": "m"}}, "InvokeEndpoint")
            return real(deployment, "sagemaker-runtime").invoke_endpoint(**arguments)

    def client(self, service, **config):
        return Starting() if service == "sagemaker-runtime" else real(self, service, **config)

    monkeypatch.setattr(Deployment, "client", client)

    assert apply(account, monkeypatch, deployment) == 0

    assert (len(pauses), answers) == (1, [])


def test_a_container_that_still_starts_is_waited_for(monkeypatch, deployment):
    endpoint = sagemaker_backends["123456789012"]["us-east-1"].endpoints["pawprint"]
    endpoint.endpoint_status = "Creating"
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        endpoint.endpoint_status = "InService"

    monkeypatch.setattr(endpoint_check.time, "sleep", sleep)
    endpoint_check.require_configuration(deployment)
    assert len(waited) == 1


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


# --- a function that has the model itself ---

NEW_URL = "s3://pawprint-test/new"


@pytest.fixture
def in_function(account, monkeypatch) -> Iterator[Deployment]:
    """A stack whose function loads NEW_URL through its alias."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "")
    account.client("iam").create_role(RoleName="f", AssumeRolePolicyDocument="{}")
    functions = account.client("lambda")
    functions.create_function(
        FunctionName="f",
        Runtime="python3.13",
        Role="arn:aws:iam::123456789012:role/f",
        Handler="handler.handler",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"MODEL_DATA_URL": NEW_URL}},
        Publish=True,
    )
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    deployed = account.deployed(
        endpoint_kind="in-function", function_name="f", function_alias="live", release="new", model_data_url=NEW_URL
    )
    monkeypatch.setattr(Applied, "deployed", deployed, raising=False)
    monkeypatch.setattr(type(account.env), "require_own_local_aws", lambda _env: None)
    yield deployed
    functions.delete_function(FunctionName="f")
    account.client("iam").delete_role(RoleName="f")


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The qualifiers of the versions that were asked. All of them answer."""
    qualifiers: list[str] = []
    monkeypatch.setattr(own_model, "ask_once", lambda _deployment, _release, qualifier: qualifiers.append(qualifier))
    return qualifiers


OLD, NEW = (Releases(name, {name: Release(f"s3://pawprint-test/{name}")}) for name in ("old", "new"))


def test_a_new_model_in_the_function_answers_before_the_alias_moves_to_it(account, in_function, asked):
    terraform = Applied(account.env)

    promotion.switch(terraform, OLD, NEW)

    assert terraform.targets == ["module.predictor.aws_lambda_function.predictor", "module.predictor"]
    assert asked == ["$LATEST", "live"]


def test_a_model_that_does_not_answer_never_gets_the_alias(account, in_function, monkeypatch):
    def fail(_deployment, release, qualifier):
        raise Failure(f"{release} does not answer as {qualifier}")

    monkeypatch.setattr(own_model, "ask_once", fail)
    monkeypatch.setattr(own_model, "require_configuration", lambda _deployment: None)
    terraform = Applied(account.env)

    with pytest.raises(Failure, match=r"new was not promoted(.|\n)*as \$LATEST"):
        promotion.switch(terraform, OLD, NEW)

    assert list(zip(terraform.released, terraform.targets, strict=True)) == [
        ("new", "module.predictor.aws_lambda_function.predictor"),
        ("old", "module.predictor"),
    ]


def test_the_alias_must_load_the_model_that_was_applied(account, in_function):
    own_model.require_configuration(in_function)
    assert releases.live(in_function).models["new"].model_data_url == NEW_URL

    other = Deployment(account.env, in_function.outputs | {"model_data_url": "s3://pawprint-test/other"})
    with pytest.raises(Failure, match=f"loads {NEW_URL}, not s3://pawprint-test/other"):
        own_model.require_configuration(other)


def test_what_belongs_to_an_endpoint_says_that_there_is_none(in_function):
    with pytest.raises(Failure, match="the function has the model itself"):
        _ = in_function.endpoint_log_group
