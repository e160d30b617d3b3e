"""The limits of an account through its APIs, and refused requests, on a server with an established account."""

import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from localaws.context import REPOSITORY
from tests.unit.localaws.lambda_helpers import Function, refusal
from tests.unit.localaws.sagemaker_helpers import MODEL, SageMaker, unique

CONCURRENT = {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384"}


def test_quotas_are_listed_in_pages_and_found_by_their_code(localaws):
    quotas = localaws.client("service-quotas")
    assert {each["ServiceCode"] for each in quotas.list_services()["Services"]} == {"ec2", "lambda", "sagemaker"}
    pages = list(quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker"))
    listed = {each["QuotaName"]: each for page in pages for each in page["Quotas"]}
    assert len(pages) > 1
    endpoint = listed["ml.m5.large for endpoint usage"]
    assert (endpoint["Value"], endpoint["QuotaCode"], endpoint["Adjustable"]) == (20, "L-614B09FD", True)
    assert quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-614B09FD")["Quota"] == endpoint
    default = quotas.get_aws_default_service_quota(ServiceCode="sagemaker", QuotaCode="L-614B09FD")["Quota"]
    assert default["Value"] == 0
    assert quotas.get_service_quota(**CONCURRENT)["Quota"]["Value"] == 1000
    for code in ("L-00000000", "Concurrent executions"):
        with pytest.raises(ClientError, match=r"NoSuchResourceException|ValidationException"):
            quotas.get_service_quota(ServiceCode="lambda", QuotaCode=code)
    with pytest.raises(ClientError, match="does not support service-quotas RequestServiceQuotaIncrease"):
        quotas.request_service_quota_increase(**CONCURRENT, DesiredValue=2000)


def test_an_established_account_is_on_no_free_plan(localaws):
    state = localaws.client("freetier").get_account_plan_state()
    assert (state["accountId"], state["accountPlanType"]) == ("123456789012", "PAID")


def test_the_account_keeps_100_executions_unreserved(localaws):
    function = Function(localaws, unique("quota")).live()
    before = function.client.get_account_settings()
    unreserved = before["AccountLimit"]["UnreservedConcurrentExecutions"]
    assert before["AccountLimit"]["ConcurrentExecutions"] == 1000
    words = "decreases account's UnreservedConcurrentExecution below its minimum value of [100]."
    assert refusal(function.call, "put_function_concurrency", ReservedConcurrentExecutions=unreserved - 99) == (
        "InvalidParameterValueException",
        f"Specified ReservedConcurrentExecutions for function {words}",
    )
    assert refusal(function.provision, unreserved - 99) == (
        "InvalidParameterValueException",
        f"Specified ConcurrentExecutions for function {words}",
    )
    function.call("put_function_concurrency", ReservedConcurrentExecutions=5)
    after = function.client.get_account_settings()
    assert after["AccountLimit"]["UnreservedConcurrentExecutions"] == unreserved - 5
    assert after["AccountUsage"]["FunctionCount"] >= 1
    function.client.delete_function(FunctionName=function.name)


def test_sagemaker_refuses_more_instances_than_the_account_has(localaws, wait_until):
    sagemaker = SageMaker(localaws, wait_until)
    config = sagemaker.config(MODEL.format(answer="x"), count=21, InstanceType="ml.m5.large")
    limit = "The account-level service limit 'ml.m5.large for {}' is 20 Instances"
    with pytest.raises(ClientError, match=limit.format("endpoint usage")) as refused:
        sagemaker.api.create_endpoint(EndpointName=config, EndpointConfigName=config)
    assert refused.value.response["Error"]["Code"] == "ResourceLimitExceeded"
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.api.describe_endpoint(EndpointName=config)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"LOCALAWS_ACCOUNT": "old"}, "LOCALAWS_ACCOUNT is 'old': it must be new or established."),
        ({"LOCALAWS_QUOTAS": "lambda/L-1=2"}, "the local AWS has no quota 'lambda/L-1'"),
    ],
)
def test_a_server_does_not_start_with_limits_that_it_does_not_know(tmp_path, own_server, variables, words):
    argv = [sys.executable, "-m", "localaws", "serve"]
    environment = {**own_server.environment(), **variables}
    ended = subprocess.run(argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 1
    assert words in ended.stderr
