"""The caller may do it, or gets AWS's refusal: users, sessions of roles, and services that act for a role."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from localaws.services.iam import actions, service_roles
from localaws.services.iam.grants import is_possible, may_meet
from localaws.services.iam.permissions import needed
from localaws.services.iam.sigv4 import Caller
from tests.unit.localaws.sagemaker_helpers import SageMaker

ACCOUNT = "arn:aws:{}:us-east-1:123456789012:{}"
EVERYBODY = {"AWS": "*", "Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


def trust(principal: dict[str, Any]) -> str:
    return policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal})


class Identity:
    """A user, or a role, of a local AWS, and clients with its keys."""

    def __init__(self, server, name: str, principal: dict[str, Any] | None = None):
        self.server = server
        self.name = name
        self.iam = server.client("iam")
        if principal is None:
            self.arn = self.iam.create_user(UserName=name)["User"]["Arn"]
            key = self.iam.create_access_key(UserName=name)["AccessKey"]
            self.keys = (key["AccessKeyId"], key["SecretAccessKey"], None)
        else:
            made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(principal))
            self.arn = made["Role"]["Arn"]

    def may(self, *statements: dict[str, Any]) -> Identity:
        """Have these statements as the only policy."""
        if ":user/" in self.arn:
            self.iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=policy(*statements))
        else:
            self.iam.put_role_policy(RoleName=self.name, PolicyName="own", PolicyDocument=policy(*statements))
        return self

    def session(self, **limits: Any) -> tuple[str, str, str]:
        sts = self.server.client("sts")
        given = sts.assume_role(RoleArn=self.arn, RoleSessionName="session", **limits)["Credentials"]
        return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]

    def refusal(self, service: str, operation: str, keys: tuple | None = None, **request: Any) -> tuple | None:
        """Code, status and message of what is said to a call, or None."""
        return refusal(self.server, keys or self.keys, service, operation, **request)


def refusal(server, keys: tuple, service: str, operation: str, **request: Any) -> tuple | None:
    client = boto3.session.Session().client(
        service,
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        aws_session_token=keys[2],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    try:
        getattr(client, operation)(**request)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return error.response["Error"]["Code"], status, error.response["Error"]["Message"]
    return None


@pytest.mark.parametrize("service", actions.RESOURCES)
def test_the_table_names_operations_and_members_of_the_service_models(service):
    model = get_service_model(service)
    for template, operations in actions.RESOURCES[service].items():
        members = {name for name, _, _ in re.findall(r"\{(\w+)(\[\])?(\?)?\}", template)} - {"region", "account"}
        for operation in operations.split():
            shape = model.operation_model(operation).input_shape
            known = set(shape.members) if shape else set()
            # An optional member of a shared template is left out where an operation lacks it.
            assert not members or members & known or service == "logs", (operation, template)


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        ("sagemaker", "ListTrainingJobs", {}, ["sagemaker:ListTrainingJobs *"]),
        (
            "sagemaker",
            "CreateEndpoint",
            {"EndpointName": "Live", "EndpointConfigName": "c", "Tags": [{"Key": "k", "Value": "v"}]},
            [
                "sagemaker:CreateEndpoint " + ACCOUNT.format("sagemaker", "endpoint-config/c"),
                "sagemaker:CreateEndpoint " + ACCOUNT.format("sagemaker", "endpoint/live"),
                "sagemaker:AddTags " + ACCOUNT.format("sagemaker", "endpoint/live"),
            ],
        ),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:f:live"},
            ["lambda:InvokeFunction " + ACCOUNT.format("lambda", "function:f:live")],
        ),
        (
            "lambda",
            "UpdateFunctionCode",
            {"FunctionName": "f", "S3Bucket": "b", "S3Key": "k"},
            ["lambda:UpdateFunctionCode " + ACCOUNT.format("lambda", "function:f"), "s3:GetObject arn:aws:s3:::b/k"],
        ),
        (
            "logs",
            "FilterLogEvents",
            {"logGroupName": "/g"},
            ["logs:FilterLogEvents " + ACCOUNT.format("logs", "log-group:/g:log-stream:*").removesuffix("*")],
        ),
        (
            "ssm",
            "SendCommand",
            {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-1"]},
            [
                "ssm:SendCommand arn:aws:ssm:us-east-1::document/AWS-RunShellScript",
                "ssm:SendCommand " + ACCOUNT.format("ec2", "instance/i-1"),
            ],
        ),
        ("ssm", "GetParameter", {"Name": "/a/b"}, ["ssm:GetParameter " + ACCOUNT.format("ssm", "parameter/a/b")]),
        ("ec2", "CreateTags", {"Resources": ["sg-1"], "Tags": [{"Key": "k", "Value": "v"}]},
            ["ec2:CreateTags " + ACCOUNT.format("ec2", "security-group/sg-1")]),
        ("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": "p", "RoleName": "r"},
            ["iam:AddRoleToInstanceProfile arn:aws:iam::123456789012:instance-profile/p",
             "iam:PassRole arn:aws:iam::123456789012:role/r"]),
        ("sts", "GetCallerIdentity", {}, []),
        ("athena", "ListWorkGroups", {}, ["athena:ListWorkGroups *"]),
    ],
)  # fmt: skip
def test_a_request_takes_the_permissions_of_the_service_authorization_reference(service, operation, params, expected):
    found = [f"{each.action} {each.resource}" for each in needed(service, operation, params, "us-east-1")]
    assert found == expected


@pytest.mark.parametrize(
    ("service", "operation", "request_", "code", "status", "action", "resource"),
    [
        ("sagemaker", "describe_endpoint", {"EndpointName": "e"}, "AccessDeniedException", 400,
            "sagemaker:DescribeEndpoint", ACCOUNT.format("sagemaker", "endpoint/e")),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, "AccessDeniedException", 403,
            "sagemaker:InvokeEndpoint", ACCOUNT.format("sagemaker", "endpoint/e")),
        ("lambda", "get_function", {"FunctionName": "f"}, "AccessDeniedException", 403,
            "lambda:GetFunction", ACCOUNT.format("lambda", "function:f")),
        ("ec2", "describe_instances", {}, "UnauthorizedOperation", 403, "ec2:DescribeInstances", "*"),
        ("iam", "get_role", {"RoleName": "none"}, "AccessDenied", 403,
            "iam:GetRole", "arn:aws:iam::123456789012:role/none"),
        ("s3", "get_object", {"Bucket": "b", "Key": "k"}, "AccessDenied", 403,
            "s3:GetObject", '"arn:aws:s3:::b/k"'),
        ("logs", "create_log_group", {"logGroupName": "/g"}, "AccessDeniedException", 400,
            "logs:CreateLogGroup", ACCOUNT.format("logs", "log-group:/g:log-stream:")),
    ],
)  # fmt: skip
def test_what_no_policy_allows_is_refused_in_the_words_of_the_service(
    nobody, service, operation, request_, code, status, action, resource
):
    said = nobody.refusal(service, operation, **request_)
    assert said is not None
    assert said[:2] == (code, status)
    assert said[2].removeprefix("You are not authorized to perform this operation. ") == (
        f"User: {nobody.arn} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


@pytest.fixture(scope="module")
def nobody(localaws) -> Identity:
    return Identity(localaws, "nobody")


@pytest.fixture(scope="module")
def user(localaws) -> Identity:
    return Identity(localaws, "somebody")


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("sagemaker", "list_endpoints", "UnrecognizedClientException", 400),
        ("lambda", "list_functions", "UnrecognizedClientException", 403),
        ("iam", "list_roles", "InvalidClientTokenId", 403),
        ("ec2", "describe_vpcs", "AuthFailure", 401),
        ("s3", "list_buckets", "InvalidAccessKeyId", 403),
    ],
)
def test_a_key_that_nobody_has_is_refused(localaws, service, operation, code, status):
    said = refusal(localaws, ("AKIANOBODYKNOWSTHIS0", "x", None), service, operation)
    assert said is not None
    assert said[:2] == (code, status)


def test_a_session_needs_its_token(localaws):
    keys = Identity(localaws, "with-token", EVERYBODY).may(allow("sagemaker:*")).session()
    assert refusal(localaws, keys, "sagemaker", "list_endpoints") is None
    said = refusal(localaws, (*keys[:2], "another"), "sagemaker", "list_endpoints")
    assert said is not None
    assert said[0] == "UnrecognizedClientException"


def test_a_session_ends():
    now = datetime.now(UTC)
    assert Caller("k", "s", "arn", "id", expires=now - timedelta(seconds=1)).expired
    assert not Caller("k", "s", "arn", "id", expires=now + timedelta(hours=1)).expired


def test_an_operation_of_lambda_that_is_about_no_function_is_decided_by_the_callers_policies(user):
    assert user.may(allow("lambda:GetAccountSettings")).refusal("lambda", "get_account_settings") is None
    refused = user.may(allow("lambda:GetFunction")).refusal("lambda", "get_account_settings")
    assert refused is not None and refused[0] == "AccessDeniedException"


def test_a_policy_of_aws_is_attached_and_counts(localaws, user):
    user.iam.attach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerReadOnly")
    assert user.refusal("sagemaker", "list_endpoints") is None
    assert user.refusal("sagemaker", "delete_endpoint", EndpointName="none")[0] == "AccessDeniedException"


def test_a_role_is_passed_only_with_permission_and_only_to_the_service_named(localaws, user):
    role = Identity(localaws, "passed", EVERYBODY)
    request = {"FunctionName": "f", "Role": role.arn, "Runtime": "python3.12", "Handler": "h.h",
               "Code": {"ZipFile": b"no zip"}}  # fmt: skip
    user.may(allow("lambda:CreateFunction"))
    assert "iam:PassRole on resource: " + role.arn in user.refusal("lambda", "create_function", **request)[2]
    to_another = {"Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}}
    user.may(allow("lambda:CreateFunction"), allow("iam:PassRole", **to_another))
    assert "iam:PassRole" in user.refusal("lambda", "create_function", **request)[2]
    user.may(allow("lambda:CreateFunction"), allow("iam:PassRole"))
    assert user.refusal("lambda", "create_function", **request)[0] != "AccessDeniedException"  # the archive is refused


def test_a_role_is_assumed_by_those_whom_it_trusts(localaws, user, nobody):
    role = Identity(localaws, "trusting", {"AWS": user.arn})
    request = {"RoleArn": role.arn, "RoleSessionName": "session"}
    assert user.refusal("sts", "assume_role", **request) is None
    nobody_may = Identity(localaws, "stranger").may(allow("sts:AssumeRole"))
    assert nobody_may.refusal("sts", "assume_role", **request)[0] == "AccessDenied"


def test_a_boundary_and_session_policies_limit_a_session(localaws):
    role = Identity(localaws, "bounded", EVERYBODY).may(allow("*"))

    def refused(**limits: Any) -> str | None:
        said = refusal(localaws, role.session(**limits), "sagemaker", "list_endpoints")
        return said and said[2].partition(" because ")[2]

    assert refused() is None
    assert refused(Policy=policy(allow("s3:*"))) == ("no session policy allows the sagemaker:ListEndpoints action")
    assert "no session policy" in (refused(PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"}]) or "")
    role.iam.put_role_permissions_boundary(
        RoleName="bounded", PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3FullAccess"
    )
    assert refused() == "no permissions boundary allows the sagemaker:ListEndpoints action"


def test_a_boundary_limits_a_user_and_the_temporary_keys_of_the_user(localaws, user):
    user.may(allow("*"))
    boundary = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    user.iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=boundary)
    assert user.iam.get_user(UserName=user.name)["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    client = boto3.client("sts", endpoint_url=localaws.url, region_name="us-east-1",
                          aws_access_key_id=user.keys[0], aws_secret_access_key=user.keys[1])  # fmt: skip
    given = client.get_session_token()["Credentials"]
    temporary = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    for keys in (user.keys, temporary):
        assert "no permissions boundary allows" in refusal(localaws, keys, "sagemaker", "list_endpoints")[2]
    user.iam.delete_user_permissions_boundary(UserName=user.name)
    assert refusal(localaws, temporary, "sagemaker", "list_endpoints") is None


def test_a_condition_key_that_is_not_known_lets_nobody_in(user):
    user.may(allow("ec2:DescribeVpcs", Condition={"StringEquals": {"aws:NoSuchKey": "x"}}))
    assert user.refusal("ec2", "describe_vpcs")[0] == "UnauthorizedOperation"


def test_a_simulation_decides_as_the_calls_are_decided(localaws):
    iam = localaws.client("iam")
    role = Identity(localaws, "simulated", EVERYBODY).may(
        allow("sagemaker:*"), {"Effect": "Deny", "Action": "sagemaker:Delete*", "Resource": "*"}
    )
    names = ["sagemaker:CreateModel", "sagemaker:DeleteModel", "ec2:RunInstances"]
    answer = iam.simulate_principal_policy(PolicySourceArn=role.arn, ActionNames=names)
    assert [each["EvalDecision"] for each in answer["EvaluationResults"]] == ["allowed", "explicitDeny", "implicitDeny"]
    asked = iam.simulate_custom_policy(
        PolicyInputList=[policy(allow("s3:GetObject", Condition={"StringEquals": {"s3:prefix": "a"}}))],
        ActionNames=["s3:GetObject"],
    )["EvaluationResults"][0]
    assert (asked["EvalDecision"], asked["MissingContextValues"]) == ("implicitDeny", ["s3:prefix"])


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (("s3:ListBucket", "s3:PutObject", "logs:*"), "s3:GetObject"),
        (("s3:ListBucket", "s3:GetObject", "logs:*"), "s3:PutObject"),
    ],
)
def test_a_job_fails_if_its_role_lacks_a_permission(localaws, wait_until, granted, missing):
    role = Identity(localaws, f"lacks-{missing[3:]}", EVERYBODY).may(allow(*granted))
    sagemaker = SageMaker(localaws, wait_until)
    job = sagemaker.finished(sagemaker.job("print(1)\n", RoleArn=role.arn))
    assert job["TrainingJobStatus"] == "Failed"
    assert f"assumed-role/{role.name}/SageMaker is not authorized to perform: {missing}" in job["FailureReason"]


def test_a_role_that_sagemaker_may_not_assume_is_refused(localaws, wait_until):
    role = Identity(localaws, "for-lambda", {"Service": "lambda.amazonaws.com"})
    with pytest.raises(ClientError, match=f"Could not assume role {role.arn}. Please ensure that the role exists"):
        SageMaker(localaws, wait_until).job("print(1)\n", RoleArn=role.arn)


def test_the_programs_of_a_job_are_sessions_of_its_role(localaws, wait_until):
    sagemaker = SageMaker(localaws, wait_until)
    code = "import boto3\nprint(boto3.client('sts').get_caller_identity()['Arn'])\n"
    name = sagemaker.job(code)
    assert sagemaker.finished(name)["TrainingJobStatus"] == "Completed"
    lines = sagemaker.log("/aws/sagemaker/TrainingJobs", name)
    assert "arn:aws:sts::123456789012:assumed-role/pawprint/SageMaker" in lines


def test_only_the_holder_of_a_token_gets_credentials():
    assert service_roles.credentials_of({"HTTP_AUTHORIZATION": "guessed"})[0] == 403


@pytest.mark.parametrize(
    ("action", "resource", "possible"),
    [
        ("sagemaker:CreateModel", ACCOUNT.format("sagemaker", "endpoint/x-*"), False),
        ("sagemaker:CreateEndpoint", ACCOUNT.format("sagemaker", "endpoint-config/x-*"), True),
        ("logs:PutLogEvents", ACCOUNT.format("logs", "log-group:/g"), False),
        ("logs:PutLogEvents", ACCOUNT.format("logs", "log-group:/g:*"), True),
        ("s3:GetObject", "arn:aws:s3:::b", False),
        ("s3:ListBucket", "arn:aws:s3:::b/*", False),
        ("athena:ListWorkGroups", "anything", True),
    ],
)
def test_a_grant_that_no_request_can_use_is_known(action, resource, possible):
    assert is_possible(action, resource) is possible


@pytest.mark.parametrize(
    ("one", "other", "meet"), [("a*", "*b", True), ("a*", "b*", False), ("a?c", "abc", True), ("", "*", True)]
)
def test_patterns_meet_if_a_text_has_both(one, other, meet):
    assert may_meet(one, other) is meet
    assert may_meet(other, one) is meet


@pytest.mark.parametrize(
    ("service", "operation", "params", "facts"),
    [
        (
            "kms",
            "CreateKey",
            {"Tags": [{"TagKey": "k", "TagValue": "v"}]},
            {"aws:RequestTag/k": "v", "aws:TagKeys": ["k"]},
        ),
        ("logs", "UntagLogGroup", {"logGroupName": "g", "tags": ["k"]}, {"aws:TagKeys": ["k"]}),
        ("logs", "TagLogGroup", {"logGroupName": "g", "tags": {"k": "v"}}, {"aws:RequestTag/k": "v"}),
        ("sns", "UntagResource", {"TagKeys": ["k"]}, {"aws:TagKeys": ["k"]}),
    ],
)
def test_the_tags_of_a_request_are_condition_keys_however_a_service_names_them(service, operation, params, facts):
    for permission in needed(service, operation, params, "us-east-1"):
        assert {name: permission.facts.get(name) for name in facts} == facts
