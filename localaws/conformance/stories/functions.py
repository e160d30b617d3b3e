"""The story of Lambda: one function under a real runtime client."""

import io
import json
import zipfile

from localaws.conformance.checks import Checks

FUNCTION = "conformance"
ROLE = "arn:aws:iam::123456789012:role/conformance"
PERMISSION = {"StatementId": "one", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}

HANDLER = """
def handler(event, context):
    if not event:
        raise ValueError("an empty event")
    return event
"""


def package() -> bytes:
    """A function that answers with its event, or raises if the event asks for it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", HANDLER)
    return buffer.getvalue()


def lambda_(api: Checks) -> None:
    code = package()
    api.names = {"FunctionName": FUNCTION, "Role": ROLE, "Qualifier": "1"}
    new = {"Code": {"ZipFile": code}, "Handler": "handler.handler", "Runtime": "python3.13"}
    api.call("CreateFunction", **new)
    api.refused("CreateFunction", "ResourceConflictException", **new)
    api.refused("CreateFunction", "InvalidParameterValueException", **{**new, "FunctionName": "b", "Runtime": "cobol"})
    api.call("GetFunction")
    api.call("GetFunctionConfiguration")
    api.call("ListFunctions")
    api.call("GetAccountSettings")
    api.call("UpdateFunctionConfiguration", Timeout=30)
    api.call("UpdateFunctionCode", ZipFile=code)
    api.refused("UpdateFunctionCode", "InvalidParameterValueException", ZipFile=b"not a zip")
    api.call("Invoke", Payload=json.dumps({"a": 1}).encode())
    api.call("Invoke", Payload=b"{}", LogType="Tail")  # fails inside: an answer of 200 with FunctionError
    api.call("Invoke", Payload=b"{}", InvocationType="Event")
    api.refused("Invoke", "InvalidRequestContentException", Payload=b"{")
    _versions(api)
    _concurrency(api)
    _permissions(api)
    _urls(api)
    missing = "conformance-none"
    api.each_refused("ResourceNotFoundException", FunctionName=missing)
    for operation in ("UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion"):
        api.refused(operation, "PreconditionFailedException", RevisionId="0" * 8 + "-0000-0000-0000-" + "0" * 12)
    for operation in ("GetFunction", "GetFunctionConfiguration", "Invoke", "GetPolicy"):
        qualified = {"FunctionName": f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION}:1", "Qualifier": "2"}
        api.refused(operation, "InvalidParameterValueException", **qualified)
    api.call("DeleteFunction", Qualifier=None)


def _versions(api: Checks) -> None:
    api.call("PublishVersion")
    api.call("ListVersionsByFunction")
    api.call("CreateAlias", Name="live", FunctionVersion="1")
    api.refused("CreateAlias", "ResourceConflictException", Name="live", FunctionVersion="1")
    api.refused("CreateAlias", "ResourceNotFoundException", Name="other", FunctionVersion="9")
    routed = {"AdditionalVersionWeights": {"1": 0.5}}
    api.refused(
        "CreateAlias", "InvalidParameterValueException", Name="other", FunctionVersion="1", RoutingConfig=routed
    )
    api.call("GetAlias", Name="live")
    api.call("ListAliases")
    api.call("UpdateAlias", Name="live", Description="another")
    api.refused("UpdateAlias", "PreconditionFailedException", Name="live", RevisionId="none")
    api.refused("UpdateAlias", "InvalidParameterValueException", Name="live", FunctionVersion="1", RoutingConfig=routed)
    api.refused("DeleteFunction", "ResourceConflictException", Qualifier="1")  # an alias has it
    api.call("DeleteAlias", Name="live")


def _concurrency(api: Checks) -> None:
    api.call("PutFunctionConcurrency", ReservedConcurrentExecutions=2)
    api.refused("PutFunctionConcurrency", "InvalidParameterValueException", ReservedConcurrentExecutions=10_000)
    api.call("GetFunctionConcurrency")
    api.call("PutProvisionedConcurrencyConfig", ProvisionedConcurrentExecutions=1)
    too_many = {"ProvisionedConcurrentExecutions": 3}
    api.refused("PutProvisionedConcurrencyConfig", "InvalidParameterValueException", **too_many)
    api.until(
        lambda: api.call("GetProvisionedConcurrencyConfig").get("Status") != "IN_PROGRESS", "provisioned concurrency"
    )
    api.call("ListProvisionedConcurrencyConfigs")
    api.call("DeleteProvisionedConcurrencyConfig")
    api.refused("GetProvisionedConcurrencyConfig", "ProvisionedConcurrencyConfigNotFoundException")
    api.call("PutFunctionConcurrency", ReservedConcurrentExecutions=0)
    api.refused("Invoke", "TooManyRequestsException", Payload=b"{}", Qualifier=None)
    api.call("DeleteFunctionConcurrency")


def _permissions(api: Checks) -> None:
    api.call("AddPermission", **PERMISSION)
    api.refused("AddPermission", "ResourceConflictException", **PERMISSION)
    api.refused("AddPermission", "PreconditionFailedException", **{**PERMISSION, "StatementId": "two"}, RevisionId="x")
    api.call("GetPolicy")
    api.refused("RemovePermission", "PreconditionFailedException", StatementId="one", RevisionId="x")
    api.refused("RemovePermission", "ResourceNotFoundException", StatementId="none")
    api.call("RemovePermission", StatementId="one")
    api.refused("GetPolicy", "ResourceNotFoundException")


def _urls(api: Checks) -> None:
    api.call("CreateFunctionUrlConfig", AuthType="NONE")
    api.refused("CreateFunctionUrlConfig", "ResourceConflictException", AuthType="NONE")
    api.call("GetFunctionUrlConfig")
    api.call("ListFunctionUrlConfigs")
    api.call("UpdateFunctionUrlConfig", AuthType="AWS_IAM", Cors={"AllowOrigins": ["*"], "MaxAge": 5})
    api.call("DeleteFunctionUrlConfig")
    api.refused("DeleteFunctionUrlConfig", "ResourceNotFoundException")
    api.refused("GetFunctionUrlConfig", "ResourceNotFoundException")


SERVICE_SIDE = "the service's own failure: no request provokes it"
ELSEWHERE = [
    "RuntimeAliasDeletedException",
    "RuntimeVersionDeletedException",
    "CodeArtifactUserDeletedException",
    "CodeArtifactUserPendingException",
    "CodeArtifactUserFailedException",
    "ResourceNotReadyException",
    "ServiceQuotaExceededException",
    "SnapStartException",
    "SnapStartTimeoutException",
    "SnapStartNotReadyException",
    "SnapStartRegenerationFailureException",
    "EFSIOException",
    "EFSMountConnectivityException",
    "EFSMountTimeoutException",
    "EFSMountFailureException",
    "S3FilesMountConnectivityException",
    "S3FilesMountFailureException",
    "S3FilesMountTimeoutException",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSNotFoundException",
    "KMSInvalidStateException",
    "InvalidSecurityGroupIDException",
    "InvalidSubnetIDException",
    "SubnetIPAddressLimitReachedException",
    "ENILimitReachedException",
    "ENINotReadyException",
    "EC2AccessDeniedException",
    "RecursiveInvocationException",
    "ModeNotSupportedException",
    "DurableExecutionAlreadyStartedException",
    "NoPublishedVersionException",
    "SerializedRequestEntityTooLargeException",
    "InvalidRuntimeException",
    "InvalidZipFileException",
    "InvalidCodeSignatureException",
    "CodeVerificationFailedException",
    "CodeSigningConfigNotFoundException",
    "FunctionVersionsPerCapacityProviderLimitExceededException",
]
NOT_PROVOKED = {
    **dict.fromkeys(ELSEWHERE, "of a feature that is refused or only kept: layers, VPC, SnapStart, mounts"),
    **dict.fromkeys(("ServiceException", "EC2UnexpectedException", "EC2ThrottledException"), SERVICE_SIDE),
    "TooManyRequestsException": "the local AWS does not throttle its API, only invocations",
    "InvalidParameterValueException": "no request is known here that passes the model and that AWS answers so",
    "ResourceConflictException": "another update runs: an update takes no time here (docs/LOCALAWS.md, States)",
    "PublicPolicyException": "the account's block of public access for functions is refused",
    "PolicyLengthExceededException": "20 KB of permissions",
    "CodeStorageExceededException": "75 GB of packages",
    "RequestTooLargeException": "6 MB of payload: tests/unit/localaws/test_lambda.py",
    "UnsupportedMediaTypeException": "the type of a payload is not looked at",
    "AliasLimitExceededException": "10,000 aliases",
    "CreateFunction ResourceNotFoundException": "a layer that does not exist: layers are refused",
}
