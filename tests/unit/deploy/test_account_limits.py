"""A plan is compared with the limits of the account, and what cannot be applied is refused with the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy import account_limits
from deploy.account import AccountReader
from deploy.console import Failure

SETTINGS = Path("aws.tfvars")
CODES = {"ml.m5.large for endpoint usage": "L-614B09FD"}
STANDARD = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"


class FakeAccount:
    """One client for all services. Its answers are those of an account with these limits."""

    def __init__(self, plan: str = "PAID", concurrent: int = 1000, reserved: int = 0, **quotas: int):
        self.plan, self.concurrent, self.reserved = plan, concurrent, reserved
        self.quotas = {name.replace("__", ".").replace("_", " "): value for name, value in quotas.items()}
        self.page: dict[str, Any] = {}

    def __call__(self, service: str, region: str) -> FakeAccount:
        return self

    def get_paginator(self, operation: str) -> FakeAccount:
        return self

    def paginate(self, **arguments: Any) -> list[dict[str, Any]]:
        if "Filters" in arguments:
            return [{"InstanceTypes": [{"InstanceType": "t3.micro"}, {"InstanceType": "c7i-flex.large"}]}]
        service = arguments["ServiceCode"]
        listed = [
            {"QuotaName": name, "Value": float(value), "ServiceCode": service, "QuotaCode": CODES.get(name)}
            for name, value in self.quotas.items()
        ]
        return [{"Quotas": listed[:1]}, {"Quotas": listed[1:]}]

    def get_account_settings(self) -> dict:
        unreserved = self.concurrent - self.reserved
        limits = {"ConcurrentExecutions": self.concurrent, "UnreservedConcurrentExecutions": unreserved}
        return {"AccountLimit": limits}

    def get_account_plan_state(self) -> dict:
        return {"accountPlanType": self.plan}

    def describe_instance_types(self, **arguments: Any) -> dict:
        return {"InstanceTypes": [{"VCpuInfo": {"DefaultVCpus": 4}}]}


def change(kind: str, after: dict | None, before: dict | None = None) -> dict:
    actions = ["create"] if before is None else ["delete"] if after is None else ["update"]
    actions = ["no-op"] if after == before else actions
    return {"mode": "managed", "type": kind, "change": {"actions": actions, "before": before, "after": after}}


def config(name: str, count: int, new: bool = True) -> dict:
    variant = {"instance_type": "ml.m5.large", "initial_instance_count": count}
    values = {"name": name, "production_variants": [variant]}
    return change("aws_sagemaker_endpoint_configuration", values, None if new else values)


NOTEBOOK = change("aws_sagemaker_notebook_instance", {"instance_type": "ml.t3.medium"})
ENDPOINT = change("aws_sagemaker_endpoint", {"endpoint_config_name": "new"})
UPDATED = change("aws_sagemaker_endpoint", {"endpoint_config_name": "new"}, {"endpoint_config_name": "old"})
UNCHANGED = change("aws_sagemaker_endpoint", {"endpoint_config_name": "new"}, {"endpoint_config_name": "new"})
RESERVES_TEN = {"reserved_concurrent_executions": 10}
RESERVED = change("aws_lambda_function", RESERVES_TEN)
UNRESERVED = change("aws_lambda_function", {"reserved_concurrent_executions": -1})
PROVISIONED = change("aws_lambda_provisioned_concurrency_config", {"provisioned_concurrent_executions": 1})
INSTANCE = change("aws_instance", {"instance_type": "c7i.xlarge"})
TARGET = change("aws_appautoscaling_target", {"service_namespace": "sagemaker", "max_capacity": 2})


def check(account: FakeAccount, *changes: dict, **outputs: str) -> None:
    planned = {name: {"actions": ["create"], "after": value} for name, value in outputs.items()}
    plan = {"resource_changes": list(changes), "output_changes": planned}
    account_limits.require(plan, AccountReader(account, "us-east-1"), SETTINGS)


NO_ENDPOINT = FakeAccount(ml__m5__large_for_endpoint_usage=0)
ONE_BURSTABLE = FakeAccount(
    ml__m5__large_for_endpoint_usage=0,
    ml__t2__medium_for_endpoint_usage=2,
    ml__m6g__large_for_endpoint_usage=2,  # Graviton: the endpoint's module refuses it
)
TWO = FakeAccount(ml__m5__large_for_endpoint_usage=2)
NO_NOTEBOOK = FakeAccount(ml__t3__medium_for_notebook_instance_usage=0)
TEN = FakeAccount(concurrent=10)


@pytest.mark.parametrize(
    ("account", "changes", "words"),
    [
        (NO_ENDPOINT, [config("new", 1), ENDPOINT], ["endpoint.instance_type", "is 0", "needs 1"]),
        (NO_ENDPOINT, [config("new", 1), ENDPOINT], ["--quota-code L-614B09FD --desired-value 2"]),
        (TWO, [config("old", 2, new=False), config("new", 2), UPDATED], ["is 2", "needs 4", "--desired-value 4"]),
        (NO_NOTEBOOK, [NOTEBOOK], ["notebook.instance_type", "servicequotas/home/services/sagemaker"]),
        (TEN, [RESERVED, PROVISIONED], ["predictor.reserved = 10, predictor.provisioned = 1", "at least 10"]),
        (TEN, [RESERVED, PROVISIONED], ["predictor.reserved = null and predictor.provisioned = 0"]),
        (TEN, [UNRESERVED, PROVISIONED], ["predictor.provisioned = 1"]),
        (FakeAccount(concurrent=1000, reserved=895), [RESERVED], ["105 are unreserved", "at least 100"]),
        (FakeAccount(plan="FREE"), [INSTANCE], ["c7i.xlarge", "free plan", "c7i-flex.large, t3.micro"]),
        (FakeAccount(plan="FREE"), [INSTANCE], ["Set ec2.instance_type to c7i-flex.large, or upgrade"]),
        (ONE_BURSTABLE, [config("new", 1), ENDPOINT], ["to a type with a quota (ml.t2.medium), and for ml.t* also"]),
        (ONE_BURSTABLE, [config("new", 1), ENDPOINT], ["endpoint.scaling = { min_instances = 1, max_instances = 1 }"]),
        (FakeAccount(**{STANDARD: 2}), [INSTANCE], [STANDARD, "is 2", "c7i.xlarge needs 4"]),
    ],
)
def test_a_setting_over_a_limit_is_refused_with_the_way_out(account, changes, words):
    with pytest.raises(Failure) as refused:
        check(account, *changes)
    message = str(refused.value)
    assert "Nothing was changed" in message
    assert str(SETTINGS) in message
    assert [each for each in words if each not in message] == []


def test_all_that_a_new_account_refuses_is_in_one_message():
    quotas = {"ml__m5__large_for_endpoint_usage": 0, "ml__t3__medium_for_notebook_instance_usage": 2}
    account = FakeAccount(plan="FREE", concurrent=10, **quotas)
    with pytest.raises(Failure) as refused:
        check(account, NOTEBOOK, config("new", 1), ENDPOINT, RESERVED, PROVISIONED, INSTANCE)
    assert str(refused.value).count("\n  - ") == 3, "the endpoint, the function and the instance"


@pytest.mark.parametrize(
    ("account", "changes"),
    [
        (TWO, [config("new", 1), ENDPOINT]),
        (NO_ENDPOINT, [config("new", 1, new=False), UNCHANGED]),
        (FakeAccount(concurrent=1000), [RESERVED, PROVISIONED]),
        (TEN, [UNRESERVED]),
        (TEN, [change("aws_lambda_function", RESERVES_TEN, RESERVES_TEN)]),
        (FakeAccount(**{STANDARD: 4}), [INSTANCE]),
        (FakeAccount(), [NOTEBOOK, config("new", 1), ENDPOINT, INSTANCE]),
    ],
)
def test_a_plan_within_the_limits_passes(account, changes):
    check(account, *changes)


def test_what_only_a_later_step_reaches_is_a_warning(capsys):
    account = FakeAccount(ml__m5__large_for_endpoint_usage=1, ml__m5__xlarge_for_training_job_usage=0)
    check(account, config("new", 1), ENDPOINT, TARGET, training_instance_type="ml.m5.xlarge")
    said = capsys.readouterr().err
    assert "endpoint.scaling.max_instances is 2" in said
    assert "make train will be refused" in said


def test_limits_that_cannot_be_read_are_a_warning(capsys):
    class Closed(FakeAccount):
        def paginate(self, **arguments: Any) -> list[dict[str, Any]]:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListServiceQuotas")

    check(Closed(), NOTEBOOK)
    assert "limits are not compared" in capsys.readouterr().err
