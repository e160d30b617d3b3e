"""SimulatePrincipalPolicy and SimulateCustomPolicy: the decisions of the engine, without carrying anything out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localaws.context import ACCOUNT_ID
from localaws.services.iam.conditions import RequestContext
from localaws.services.iam.evaluation import AccessDecision, Kind, Policies, evaluate
from localaws.services.iam.identities import KNOWN_KEYS
from localaws.services.iam.policies import AccessRequest, PolicyDocument
from localaws.services.iam.principals import Requester

SIMULATED_USER = f"arn:aws:iam::{ACCOUNT_ID}:user/simulated"


def simulate(policies: Policies, caller: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """EvaluationResults: each action on each resource, `*` if none is given. Raises PolicyError.

    `request` has the members that both operations share.
    """
    policies = _with_inputs(policies, request)
    entries = request.get("ContextEntries") or []
    given = {each["ContextKeyName"]: each.get("ContextKeyValues") or [] for each in entries}
    # A key that the caller leaves out is one that the request lacks; what policies want of it is reported as missing.
    context = RequestContext({"aws:PrincipalArn": caller, **given}, KNOWN_KEYS | _keys_of(policies))
    results = []
    for action in request["ActionNames"]:
        for resource in request.get("ResourceArns") or ["*"]:
            access = AccessRequest(_requester(caller), action, resource, context, ACCOUNT_ID)
            decision = evaluate(access, policies)
            missing = sorted(key for key in _keys_of(policies, access) if not context.get(key))
            results.append(_result(decision, missing, policies))
    return results


def _with_inputs(policies: Policies, request: Mapping[str, Any]) -> Policies:
    inputs = tuple(PolicyDocument.parse(each) for each in request.get("PolicyInputList") or [])
    policies = replace(policies, identity=(*policies.identity, *inputs))
    if boundaries := request.get("PermissionsBoundaryPolicyInputList"):
        policies = replace(policies, boundary=PolicyDocument.parse(boundaries[0]))
    if resource := request.get("ResourcePolicy"):
        policies = replace(policies, resource=PolicyDocument.parse(resource))
    return policies


def _requester(arn: str) -> Requester:
    """The caller in a simulation: a role counts as one of its sessions."""
    name = arn.rpartition("/")[2]
    return Requester(f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/simulated" if ":role/" in arn else arn)


def _keys_of(policies: Policies, request: AccessRequest | None = None) -> frozenset[str]:
    """The condition keys of the statements, or of those that are about an action and a resource."""
    statements = [each for _, documents in policies.by_kind() for document in documents for each in document.statements]
    if request is not None:
        statements = [each for each in statements if replace(each, conditions=()).about(request) is True]
    return frozenset(condition.key for each in statements for condition in each.conditions)


def _result(decision: AccessDecision, missing: list[str], policies: Policies) -> dict[str, Any]:
    said = "allowed" if decision.allowed else "explicitDeny" if decision.explicit else "implicitDeny"
    matched = []
    if decision.statement is not None:
        kind = {Kind.RESOURCE: "resource", Kind.BOUNDARY: "none"}.get(decision.kind or Kind.IDENTITY, "user")
        matched = [{"SourcePolicyId": decision.statement.sid or "PolicyInputList.1", "SourcePolicyType": kind}]
    result = {
        "EvalActionName": decision.request.action,
        "EvalResourceName": decision.request.resource,
        "EvalDecision": said,
        "MatchedStatements": matched,
        "MissingContextValues": missing,
    }
    if policies.boundary is not None:
        result["PermissionsBoundaryDecisionDetail"] = {
            "AllowedByPermissionsBoundary": decision.kind is not Kind.BOUNDARY
        }
    return result
