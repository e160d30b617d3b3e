"""`make doctor`: each check says what it found, and a check that could not be made is never good."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from deploy import settings, unfinished
from deploy.account import AccountReader
from deploy.console import Failure
from deploy.doctor import caller, examination, limits, network, simulation, stack, strays
from deploy.doctor.check import Check, Mark, Subject, good
from deploy.environment import TERRAFORM, Environment
from deploy.terraform import Stack
from tests.unit.deploy.test_account_limits import FakeAccount

USER = "arn:aws:iam::123456789012:user/ann"


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Operation")


class Answers:
    """A client of every service: operations and paginators by name. Others raise AccessDenied."""

    exceptions = botocore.exceptions

    def __init__(self, **answers: Any):
        self.answers = answers

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            answer = self.answers.get(operation, refusal("AccessDenied"))
            if isinstance(answer, Exception):
                raise answer
            return answer(arguments) if callable(answer) else answer

        return call

    def get_paginator(self, operation: str) -> Any:
        pages = Answers()
        pages.answers["paginate"] = lambda arguments: [getattr(self, operation)(**arguments)]
        return pages


class FakeSubject(Subject):
    """An account that gives these answers, with the settings of terraform/environments/local.tfvars."""

    def __init__(self, home: Path, answers: Any = None, arn: str = USER, state: dict | None = None):
        env = Environment("local", home, rehearsed=False)  # nothing here asks a local AWS
        super().__init__(env, Stack(env))
        if state:
            (home / "terraform.tfstate").write_text(json.dumps(state))
        self.answers = answers or Answers()
        self.__dict__["identity"] = {"Account": "123456789012", "Arn": arn}
        self.__dict__["settings"] = settings.effective(TERRAFORM / "environments" / "local.tfvars")
        self.__dict__["limits"] = AccountReader(lambda *_: self.answers, "us-east-1")

    def client(self, service: str, region: str | None = None, **config: Any) -> Any:
        return self.answers


ASKS_AWS = [each for each in examination.CHECKS if each.on_aws and each.name != "credentials"]


@pytest.mark.parametrize("check", ASKS_AWS, ids=lambda check: check.name)
def test_a_check_that_aws_denies_is_not_good(check: Check, tmp_path: Path):
    found = examination.examine(check, FakeSubject(tmp_path))
    assert found.mark is Mark.UNSURE
    assert "could not" in found.what or "Not checked" in found.what


def test_without_credentials_nothing_that_asks_aws_is_good(tmp_path: Path):
    subject = FakeSubject(tmp_path)
    del subject.__dict__["identity"]
    subject.answers = Answers(get_caller_identity=NoCredentialsError())
    made = {check.name: found for check, found in examination.findings(subject)}
    assert {made[each.name].what.partition(", ")[2] for each in ASKS_AWS} == {"because AWS could not be asked"}
    marks = {name: found.mark for name, found in made.items()}
    assert marks.pop("credentials") is Mark.BAD
    assert {marks[each.name] for each in ASKS_AWS} == {Mark.UNSURE}
    assert marks["python"] is Mark.GOOD


def test_another_account_than_the_settings_allow_is_refused(tmp_path: Path):
    subject = FakeSubject(tmp_path)
    subject.__dict__["identity"] = {"Account": "999999999999", "Arn": USER}
    found = examination.examine(examination.CREDENTIALS, subject)
    assert found.mark is Mark.BAD
    assert "999999999999" in found.what and "123456789012" in found.what


# --- permissions ---


def simulated(denied: set[str]) -> Any:
    def answer(request: dict) -> dict:
        assert request["PolicySourceArn"] == USER
        assert not any("*" in arn for arn in request["ResourceArns"] if arn != "*")
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "implicitDeny" if action in denied else "allowed",
                }
                for action in request["ActionNames"]
                for resource in request["ResourceArns"]
            ]
        }

    return Answers(simulate_principal_policy=answer)


def test_a_missing_permission_is_named_with_its_resource(tmp_path: Path):
    found = simulation.permissions(FakeSubject(tmp_path, simulated({"sagemaker:CreateEndpoint"})))
    assert found.mark is Mark.BAD
    assert "sagemaker:CreateEndpoint" in found.what
    assert "sagemaker:CreateEndpoint on arn:aws:sagemaker:us-east-1:123456789012:endpoint/pawprint-x" in found.details


def test_a_caller_with_the_deployers_policy_is_good(tmp_path: Path):
    assert simulation.permissions(FakeSubject(tmp_path, simulated(set()))).mark is Mark.GOOD


def test_the_permission_to_pass_roles_is_simulated_with_its_condition(tmp_path: Path):
    requests = [each for each in simulation.simulations(FakeSubject(tmp_path)) if "iam:PassRole" in each["ActionNames"]]
    assert [each["ContextEntries"][0]["ContextKeyName"] for each in requests] == ["iam:PassedToService"]


def test_a_session_of_a_role_is_simulated_as_the_role_with_its_path(tmp_path: Path):
    arn = "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/Admin"
    subject = FakeSubject(tmp_path, Answers(get_role={"Role": {"Arn": arn}}))
    session = "arn:aws:sts::123456789012:assumed-role/Admin/ann"
    assert simulation._policy_source(subject, session) == arn
    subject.answers = Answers()  # the role may not be read
    assert simulation._policy_source(subject, session) == "arn:aws:iam::123456789012:role/Admin"


def test_every_region_of_the_table_has_the_account_of_its_images():
    accounts = caller.image_accounts()
    assert len(accounts) == 36
    assert accounts["eu-west-1"] == "763104351884"
    assert accounts["il-central-1"] == "780543022126"


# --- limits ---


@pytest.mark.parametrize(
    ("check", "account", "mark", "words"),
    [
        (limits.endpoint, FakeAccount(ml__m5__large_for_endpoint_usage=0), Mark.BAD, "is 0, and the stack needs 1"),
        (limits.endpoint, FakeAccount(ml__m5__large_for_endpoint_usage=1), Mark.UNSURE, "an update needs 2"),
        (limits.endpoint, FakeAccount(ml__m5__large_for_endpoint_usage=2), Mark.GOOD, "2 x ml.m5.large"),
        (limits.endpoint, FakeAccount(), Mark.UNSURE, "does not list"),
        (limits.notebook, FakeAccount(ml__t3__medium_for_notebook_instance_usage=0), Mark.BAD, "notebook.instance"),
        (limits.training, FakeAccount(ml__m5__xlarge_for_training_job_usage=0), Mark.UNSURE, "make train will be"),
        (limits.spot, FakeAccount(ml__m5__xlarge_for_spot_training_job_usage=0), Mark.UNSURE, "make train SPOT=1"),
        (limits.function, FakeAccount(concurrent=10), Mark.BAD, "predictor.reserved = 10"),
        (limits.function, FakeAccount(concurrent=1000), Mark.GOOD, "1000 of 1000"),
        (caller.plan, FakeAccount(plan="FREE"), Mark.BAD, "does not start ec2.instance_type = c7i.xlarge"),
        (caller.plan, FakeAccount(plan="PAID"), Mark.GOOD, "not on the free plan"),
    ],
)
def test_a_limit_is_compared_with_the_settings(check, account, mark, words, tmp_path: Path):
    found = check(FakeSubject(tmp_path, account))
    assert found.mark is mark
    assert words in found.what
    assert mark is Mark.GOOD or found.fix


def test_an_endpoint_without_instances_needs_no_quota(tmp_path: Path):
    subject = FakeSubject(tmp_path, FakeAccount(ml__m5__large_for_endpoint_usage=0))
    subject.settings["endpoint"]["kind"] = "serverless"
    assert limits.endpoint(subject).mark is Mark.GOOD


def test_a_type_that_the_endpoint_refuses_is_not_proposed(tmp_path: Path):
    quotas = {f"ml__{kind}__large_for_endpoint_usage": count for kind, count in (("m5", 0), ("m6g", 2), ("c5", 2))}
    found = limits.endpoint(FakeSubject(tmp_path, FakeAccount(**quotas)))
    assert "ml.c5.large" in found.fix
    assert "ml.m6g" not in found.fix


def test_a_region_without_a_default_vpc_is_refused_with_the_setting(tmp_path: Path):
    found = network.subnets(FakeSubject(tmp_path, Answers(describe_vpcs={"Vpcs": []})))
    assert found.mark is Mark.BAD
    assert "subnet" in found.fix


@pytest.mark.parametrize(
    ("vpc", "names", "words"),
    [("vpc-0a", True, "vpc-0a with 1 subnets"), ("vpc-0b", True, "is not in vpc-0a"), ("vpc-0a", False, "off")],
)
def test_a_given_network_needs_no_default_vpc(tmp_path: Path, vpc: str, names: bool, words: str):
    answers = Answers(
        describe_subnets={"Subnets": [{"SubnetId": "subnet-0a", "VpcId": vpc}]},
        describe_vpc_attribute={member: {"Value": names} for member in ("EnableDnsSupport", "EnableDnsHostnames")},
    )
    subject = FakeSubject(tmp_path, answers)
    given = {"vpc_id": "vpc-0a", "subnet_ids": ["subnet-0a"], "interface_endpoints": None}
    subject.__dict__["settings"] = {**subject.settings, "network": given}
    found = network.subnets(subject)
    assert words in found.what
    assert found.mark is Mark.GOOD or found.fix


# --- the stack ---


ROLE = {"Role": {"RoleName": "pawprint-endpoint", "Tags": []}}
MISSING = dict.fromkeys(
    (
        "head_bucket",
        "get_role",
        "get_instance_profile",
        "describe_endpoint",
        "describe_notebook_instance",
        "describe_notebook_instance_lifecycle_config",
        "get_function",
    ),
    refusal("ResourceNotFoundException"),
)
FREE = Answers(**MISSING, describe_log_groups={"logGroups": []})
TAKEN = Answers(
    **MISSING | {"get_role": lambda asked: ROLE if asked["RoleName"] == "pawprint-endpoint" else _missing()},
    describe_log_groups={"logGroups": []},
)
IN_STATE = {
    "lineage": "a",
    "serial": 1,
    "resources": [
        {
            "mode": "managed",
            "type": "aws_iam_role",
            "instances": [{"attributes": {"id": "pawprint-endpoint", "name": "pawprint-endpoint"}}],
        }
    ],
}


def _missing() -> dict:
    raise refusal("NoSuchEntity")


def test_a_name_that_is_taken_is_refused_unless_it_is_the_stacks_own(tmp_path: Path):
    assert stack.names(FakeSubject(tmp_path, FREE)).mark is Mark.GOOD
    found = stack.names(FakeSubject(tmp_path, TAKEN))
    assert found.mark is Mark.BAD
    assert "iam_role pawprint-endpoint" in found.what
    assert stack.names(FakeSubject(tmp_path, TAKEN, state=IN_STATE)).mark is Mark.GOOD


def test_what_an_interrupted_apply_left_is_taken_in_by_the_next(tmp_path: Path):
    subject = FakeSubject(tmp_path, TAKEN)
    unfinished.begin(subject.env)
    found = stack.names(subject)
    assert found.mark is Mark.UNSURE
    assert "make apply takes them in" in found.fix


def test_the_lock_of_a_killed_terraform_is_explained(tmp_path: Path):
    (tmp_path / stack.LOCK).write_text(json.dumps({"Operation": "OperationTypeApply", "Who": "ann@host"}))
    found = stack.state(FakeSubject(tmp_path))
    assert found.mark is Mark.UNSURE
    assert "ann@host" in found.what


def test_an_endpoint_outside_the_state_is_found(tmp_path: Path):
    def pages(request: dict) -> dict:
        return {"Endpoints": [{"EndpointName": "pawprint"}, {"EndpointName": "pawprint-dev"}]}

    nothing = {
        "list_training_jobs": {"TrainingJobSummaries": []},
        "list_transform_jobs": {"TransformJobSummaries": []},
        "list_notebook_instances": {"NotebookInstances": []},
        "describe_instances": {"Reservations": []},
    }
    found = strays.outside_the_state(FakeSubject(tmp_path, Answers(list_endpoints=pages, **nothing)))
    assert found.mark is Mark.UNSURE
    assert "endpoint pawprint in us-east-1" in found.what
    assert "pawprint-dev" not in found.what, "it is another stack's"
    assert "delete-endpoint --endpoint-name pawprint " in found.fix


def test_a_region_that_cannot_be_asked_is_named_and_the_others_are_asked(tmp_path: Path):
    subject = FakeSubject(tmp_path)
    regions = {"Regions": [{"RegionName": name} for name in ("us-east-1", "eu-west-1", "me-south-1")]}
    answers = {
        "us-east-1": Answers(describe_regions=regions),
        "eu-west-1": Answers(list_endpoints={"Endpoints": []}),
        "me-south-1": Answers(),
    }
    subject.client = lambda service, region="us-east-1", **_: answers[region]
    found = strays.other_regions(subject)
    assert found.mark is Mark.UNSURE
    assert "me-south-1" in found.what and "eu-west-1" not in found.what
    answers["eu-west-1"] = Answers(list_endpoints={"Endpoints": [{"EndpointName": "pawprint"}]})
    assert "--region eu-west-1" in strays.other_regions(subject).fix


# --- before an apply ---


def test_an_apply_stops_on_what_is_bad_and_prints_nothing_good(tmp_path: Path, monkeypatch, capsys):
    refused = Check("state", lambda _: (_ for _ in ()).throw(Failure("The state is older.\ncopy it here")))
    monkeypatch.setattr(examination, "CHECKS", (Check("a", lambda _: good("fine")), refused))
    with pytest.raises(Failure, match="Nothing was changed"):
        examination.require_healthy(FakeSubject(tmp_path))
    said = capsys.readouterr().out
    assert "The state is older." in said and "→ copy it here" in said
    assert "fine" not in said


def test_an_apply_makes_the_quick_checks_only(tmp_path: Path, monkeypatch):
    slow = dataclasses.replace(Check("slow", lambda _: pytest.fail("made")), quick=False)
    monkeypatch.setattr(examination, "CHECKS", (slow, Check("a", lambda _: good("fine"))))
    examination.require_healthy(FakeSubject(tmp_path))


def test_a_state_from_another_checkout_is_refused_unless_the_user_confirms_the_name(tmp_path: Path, monkeypatch):
    note = {"lineage": "other", "serial": 3, "applied": "yesterday"}
    subject = FakeSubject(tmp_path, Answers(get_object=lambda _: {"Body": io.BytesIO(json.dumps(note).encode())}))
    check = Check("state", stack.state)
    assert examination.examine(check, subject).mark is Mark.BAD
    monkeypatch.setenv("CONFIRM", "pawprint")
    assert examination.examine(check, subject).mark is Mark.GOOD
