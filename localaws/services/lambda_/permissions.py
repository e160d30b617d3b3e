"""Resource policies of Lambda functions: one per function, version and alias, with statements as AWS writes them.

A function URL asks `may_pass` whether a caller, or the public, is let through. `AWS::Lambda::Permission` of a
CloudFormation stack adds its statement and takes it away again: with AWS provider 5 that is how Terraform says
InvokedViaFunctionUrl.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moto.awslambda.exceptions import (
    GenericResourcNotFound,
    InvalidParameterValueException,
    LambdaClientError,
    UnknownPolicyException,
)
from moto.awslambda.utils import get_backend
from moto.core.common_models import CloudFormationModel

from localaws.context import ACCOUNT_ID
from localaws.services.iam import authorization, identities
from localaws.services.iam.conditions import RequestContext
from localaws.services.iam.evaluation import Policies, evaluate
from localaws.services.iam.policies import AccessRequest, PolicyDocument
from localaws.services.iam.sigv4 import Caller
from localaws.services.lambda_.function import changed, check_revision
from localaws.services.lambda_.names import LATEST
from localaws.services.lambda_.versions import LocalStorage

# [LS] test_permission_exceptions; AWS knows the names of its services, here any of that form will do.
_PRINCIPAL = re.compile(
    r"\*|\d{12}|arn:aws[a-z-]*:(iam|sts)::\d{12}:.+|[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?"
)
URL_ACTION = "lambda:InvokeFunctionUrl"
INVOKE_ACTION = "lambda:InvokeFunction"
# The function URL has these keys, or is known to lack them. AddPermission writes the last one.
KNOWN_KEYS = identities.KNOWN_KEYS | {
    "lambda:FunctionUrlAuthType",
    "lambda:InvokedViaFunctionUrl",
    "lambda:EventSourceToken",
}


class StatementExists(LambdaClientError):
    code = 409

    def __init__(self, sid: str):
        super().__init__(
            "ResourceConflictException",
            f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the "
            "existing statement.",
        )


class StatementNotFound(LambdaClientError):
    code = 404

    def __init__(self, sid: str):
        super().__init__("ResourceNotFoundException", f"Statement {sid} is not found in resource policy.")


class PolicyOfNoFunction(LambdaClientError):
    code = 404

    def __init__(self, arn: str):
        super().__init__("ResourceNotFoundException", f"No policy found for: {arn}")


class ResourcePolicy:
    """The statements of one function, version or alias."""

    def __init__(self) -> None:
        self.statements: dict[str, dict[str, Any]] = {}

    def add(self, statement: dict[str, Any]) -> None:
        if statement["Sid"] in self.statements:
            raise StatementExists(statement["Sid"])
        self.statements[statement["Sid"]] = statement

    def remove(self, sid: str) -> None:
        if sid not in self.statements:
            raise StatementNotFound(sid)
        del self.statements[sid]

    def document(self) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Id": "default", "Statement": list(self.statements.values())}


def make_statement(resource: str, request: dict[str, Any]) -> dict[str, Any]:
    """The statement that an AddPermission request stands for. Raises InvalidParameterValueException.

    `request` has AddPermission's members: StatementId, Action, Principal and what narrows them.
    """
    if not _PRINCIPAL.fullmatch(request["Principal"]):
        raise InvalidParameterValueException(
            "The provided principal was invalid. Please check the principal and try again."
        )
    action, auth_type = request["Action"], request.get("FunctionUrlAuthType")
    if auth_type and action != URL_ACTION:
        raise InvalidParameterValueException(f"FunctionUrlAuthType is only supported for {URL_ACTION} action.")
    via_url = request.get("InvokedViaFunctionUrl")
    if via_url is not None and action != INVOKE_ACTION:
        raise InvalidParameterValueException(f"InvokedViaFunctionUrl is only supported for {INVOKE_ACTION} action.")
    equal = {
        "lambda:FunctionUrlAuthType": auth_type,
        "lambda:EventSourceToken": request.get("EventSourceToken"),
        "AWS:SourceAccount": request.get("SourceAccount"),
        "aws:PrincipalOrgID": request.get("PrincipalOrgID"),
    }
    condition: dict[str, dict[str, str]] = {}
    if equal := {key: value for key, value in equal.items() if value}:
        condition["StringEquals"] = equal
    if via_url is not None:
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": str(via_url).lower()}
    if source := request.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": source}
    statement = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(request["Principal"]),
        "Action": action,
        "Resource": resource,
    }
    return {**statement, "Condition": condition} if condition else statement


def may_pass(resource: str, policy: ResourcePolicy, caller: Caller | None, facts: Mapping[str, str]) -> bool:
    """Whether a function URL lets a request through: since October 2025 it takes both permissions.

    `caller` is whose signature was verified, None for the public. The account itself may do anything; anybody else
    needs the permissions from the resource policy, from policies of their own, or one from each. `facts` are the
    condition keys of the request, apart from those of the caller.
    """
    own = identities.policies_of(caller) if caller else Policies()
    policies = replace(own, resource=PolicyDocument.parse(policy.document()))
    values = {**identities.facts_of(caller), "lambda:InvokedViaFunctionUrl": "true", **facts}
    context = RequestContext(values, KNOWN_KEYS)
    requester = identities.requester(caller)
    requests = (
        AccessRequest(requester, action, resource, context, ACCOUNT_ID) for action in (URL_ACTION, INVOKE_ACTION)
    )
    decisions = [evaluate(request, policies) for request in requests]
    for decision in decisions if caller else ():
        authorization.record(decision)
    return all(decision.allowed for decision in decisions)


def _principal(principal: str) -> str | dict[str, str]:
    if principal == "*":
        return principal
    if principal.endswith(".amazonaws.com"):
        return {"Service": principal}
    return {"AWS": principal if principal.startswith("arn:") else f"arn:aws:iam::{principal}:root"}


class Permissions:
    """The resource policies of one region's functions."""

    def __init__(self, functions: LocalStorage):
        self._functions = functions
        self._policies: dict[tuple[str, str], ResourcePolicy] = {}  # by function and qualifier ("": none)

    def of(self, function_name: str, qualifier: str | None) -> tuple[str, ResourcePolicy]:
        """The ARN that a qualifier names, and its policy. Raises if there is no such function or qualifier."""
        name, qualifier = self._functions.split(function_name, qualifier)
        self._functions.target(name, qualifier)
        return self._functions.arn(name, qualifier), self._policies.setdefault(
            (name, qualifier or ""), ResourcePolicy()
        )

    def add(self, function_name: str, qualifier: str | None, request: dict[str, Any]) -> dict[str, Any]:
        name, qualifier = self._functions.split(function_name, qualifier)
        if qualifier == LATEST:
            raise InvalidParameterValueException("We currently do not support adding policies for $LATEST.")
        arn, policy = self.of(name, qualifier)
        target = self._functions.target(name, qualifier)
        check_revision(target, request.get("RevisionId"), "GetPolicy")
        statement = make_statement(arn, request)
        policy.add(statement)
        changed(target)
        return statement

    def remove(self, function_name: str, sid: str, revision: str | None = None, qualifier: str | None = None) -> None:
        name, qualifier = self._functions.split(function_name, qualifier)
        if not self._functions.exists(name):
            raise PolicyOfNoFunction(self._functions.arn(name))
        target, policy = self._functions.target(name, qualifier), self._policies.get((name, qualifier or ""))
        if policy is None or not policy.statements:
            raise UnknownPolicyException
        check_revision(target, revision)
        policy.remove(sid)
        changed(target)

    def describe(self, function_name: str, qualifier: str | None = None) -> dict[str, str]:
        name, qualifier = self._functions.split(function_name, qualifier)
        policy = self._policies.get((name, qualifier or ""))
        if policy is None or not policy.statements or not self._functions.exists(name, qualifier):
            raise GenericResourcNotFound
        revision = self._functions.target(name, qualifier).revision_id
        return {"Policy": json.dumps(policy.document()), "RevisionId": revision}

    def forget(self, name: str, qualifier: str | None) -> None:
        """Drop a qualifier's policy, or all policies of a function."""
        for key in [key for key in self._policies if key[0] == name and qualifier in (None, key[1])]:
            del self._policies[key]


class FunctionPermission(CloudFormationModel):
    """`AWS::Lambda::Permission`; being defined after moto's own class of that type, it takes its place."""

    def __init__(self, function_name: str, sid: str):
        self.function_name = function_name  # as the template has it: a name or an ARN, with or without a qualifier
        self.sid = sid

    @property
    def physical_resource_id(self) -> str:
        return self.sid

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Lambda::Permission"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Id"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> "FunctionPermission":
        properties = cloudformation_json["Properties"]
        # A template may say a boolean as text.
        via_url = properties.get("InvokedViaFunctionUrl")
        request = {**properties, "StatementId": resource_name}
        if via_url is not None:
            request["InvokedViaFunctionUrl"] = str(via_url).lower() == "true"
        get_backend(account_id, region_name).permissions.add(properties["FunctionName"], None, request)
        return cls(properties["FunctionName"], resource_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: "FunctionPermission",
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> "FunctionPermission":
        original_resource.delete(account_id, region_name)
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    def delete(self, account_id: str, region_name: str) -> None:
        """A statement that is gone already, with its function or without, does not hold up the stack."""
        try:
            get_backend(account_id, region_name).permissions.remove(self.function_name, self.sid)
        except LambdaClientError as error:
            if error.error_type != "ResourceNotFoundException":
                raise
