"""The stories of IAM, STS, Service Quotas and the free tier: they read, and start nothing."""

import json

from localaws.conformance.checks import Checks

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": "123456789012", "Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]},
        }
    ],
}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
SERVICE_SIDE = "the service's own failure: no request provokes it"


def make_role(api: Checks, name: str) -> str:
    """A role that services and the account may assume, and that may do everything; its ARN. `api` is that of IAM."""
    trust = json.dumps(TRUST)
    api.connection.send("iam", "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": trust})
    allowed = {"RoleName": name, "PolicyName": "everything", "PolicyDocument": json.dumps(EVERYTHING)}
    api.connection.send("iam", "PutRolePolicy", allowed)
    return f"arn:aws:iam::123456789012:role/{name}"


def iam(api: Checks) -> None:
    role = make_role(api, "conformance")
    api.names = {"PolicySourceArn": role, "ActionNames": ["s3:GetObject"], "PolicyInputList": [json.dumps(EVERYTHING)]}
    api.call("SimulatePrincipalPolicy")
    api.call("SimulateCustomPolicy")
    api.refused("SimulatePrincipalPolicy", "NoSuchEntity", PolicySourceArn=f"{role}-none")
    api.refused("SimulateCustomPolicy", "InvalidInput", PolicyInputList=["{"])
    api.refused("SimulatePrincipalPolicy", "InvalidInput", PolicyInputList=["{"])


IAM_NOT_PROVOKED = {"PolicyEvaluation": SERVICE_SIDE}


def sts(api: Checks) -> None:
    role = make_role(api, "conformance")
    api.names = {"RoleArn": role, "RoleSessionName": "session"}
    api.call("GetCallerIdentity")
    api.call("AssumeRole")
    api.call("GetSessionToken")
    api.refused("AssumeRole", "AccessDenied", RoleArn=f"{role}-none")
    api.refused("AssumeRole", "MalformedPolicyDocument", Policy="{")


STS_NOT_PROVOKED = {
    "PackedPolicyTooLarge": "AWS packs policies in a way that is not documented",
    "RegionDisabledException": "all regions are enabled",
    "ExpiredTokenException": "of federated users, who do not exist",
}


def quotas(api: Checks) -> None:
    api.names = {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384"}
    listing = ("ListServices", "ListServiceQuotas", "ListAWSDefaultServiceQuotas")
    for operation in listing:
        api.call(operation, MaxResults=1)
        api.refused(operation, "InvalidPaginationTokenException", NextToken="none")
    for operation in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
        api.call(operation)
        api.refused(operation, "NoSuchResourceException", QuotaCode="L-00000000")
    for operation in ("ListServiceQuotas", "ListAWSDefaultServiceQuotas"):
        api.refused(operation, "NoSuchResourceException", ServiceCode="no-such-service")


QUOTAS_NOT_PROVOKED = {
    "ServiceException": SERVICE_SIDE,
    "TooManyRequestsException": "the local AWS does not throttle its API",
    "AccessDeniedException": "of every service: tests/unit/localaws/test_authorization.py",
    "IllegalArgumentException": "no request is known that passes the model and that AWS answers so",
}


def freetier(api: Checks) -> None:
    api.call("GetAccountPlanState")


FREETIER_NOT_PROVOKED = {
    "InternalServerException": SERVICE_SIDE,
    "ValidationException": "the request has no member",
    "AccessDeniedException": "of every service: tests/unit/localaws/test_authorization.py",
    "ResourceNotFoundException": "an account without a plan",
    "ThrottlingException": "the local AWS does not throttle its API",
}
