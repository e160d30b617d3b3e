"""Callers as IAM and STS know them: their names in policies, their own policies, and the condition keys about them."""

import functools
from datetime import UTC, datetime
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import ManagedPolicy, Role, iam_backends

from localaws.context import ACCOUNT_ID
from localaws.services.iam.evaluation import Policies
from localaws.services.iam.policies import PolicyDocument
from localaws.services.iam.principals import Requester
from localaws.services.iam.sigv4 import Caller

# The keys whose value, or absence, is certain here. A request never comes through a VPC, through another service or
# from an organization, and nobody signs in with a second factor.
KNOWN_KEYS = frozenset(
    {
        *("aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalType", "aws:PrincipalTag/*", "aws:userid"),
        *("aws:username", "aws:PrincipalIsAWSService", "aws:PrincipalServiceName", "aws:PrincipalServiceNamesList"),
        *("aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:ResourceOrgID", "aws:ResourceOrgPaths"),
        *("aws:ResourceAccount", "aws:CurrentTime", "aws:EpochTime", "aws:RequestedRegion", "aws:SecureTransport"),
        *("aws:SourceIp", "aws:VpcSourceIp", "aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn"),
        *("aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:SourceIdentity"),
        *("aws:UserAgent", "aws:Referer", "aws:ViaAWSService", "aws:CalledVia", "aws:CalledViaFirst"),
        *("aws:CalledViaLast", "aws:FederatedProvider", "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge"),
    }
)


def requester(caller: Caller | None) -> Requester:
    """A caller as policies name it; None is anybody."""
    return Requester(caller.arn if caller else None)


def policies_of(caller: Caller) -> Policies:
    """A caller's own policies: a user's with those of its groups; a role's; its boundary, and those of the session."""
    iam = iam_backends[ACCOUNT_ID]["aws"]
    who = requester(caller)
    if who.account != ACCOUNT_ID or who.is_root:
        return Policies()
    if who.is_role_session:
        role = _role(caller)
        holders = [role] if role else []
    elif ":user/" in caller.arn:
        name = caller.arn.rpartition("/")[2]
        holders = [iam.get_user(name), *iam.get_groups_for_user(name)]
    else:
        return Policies()
    return Policies(
        identity=tuple(document for holder in holders for document in _documents(holder)),
        boundary=_boundary(holders[0]) if holders else None,
        session=_session_policies(caller),
    )


def policies_of_arn(arn: str) -> Policies:
    """The own policies of a role, user or group of this account. Raises KeyError if there is none of this name."""
    iam = iam_backends[ACCOUNT_ID]["aws"]
    for table in (iam.roles, iam.users, iam.groups):
        for holder in list(table.values()):
            if holder.arn == arn:
                groups = iam.get_groups_for_user(holder.name) if ":user/" in arn else []
                documents = (document for each in (holder, *groups) for document in _documents(each))
                return Policies(identity=tuple(documents), boundary=_boundary(holder))
    raise KeyError(arn)


def trust_of(role_arn: str) -> PolicyDocument | None:
    """Who may assume a role; None if there is no such role."""
    found = (role for role in list(iam_backends[ACCOUNT_ID]["aws"].roles.values()) if role.arn == role_arn)
    role = next(found, None)
    return parsed(role.assume_role_policy_document) if role else None


@functools.lru_cache(maxsize=2048)
def parsed(document: str) -> PolicyDocument:
    """The policy that a text holds, parsed once for each text. Raises PolicyError."""
    return PolicyDocument.parse(document)


def _documents(holder: Any) -> list[PolicyDocument]:
    texts = [*holder.policies.values(), *(_managed(policy) for policy in holder.managed_policies.values())]
    return [parsed(each) for each in texts]


def _boundary(holder: Any) -> PolicyDocument | None:
    arn = getattr(holder, "permissions_boundary_arn", None)
    return parsed(_managed(iam_backends[ACCOUNT_ID]["aws"].get_policy(arn))) if arn else None


def _session_policies(caller: Caller) -> tuple[PolicyDocument, ...] | None:
    managed = [iam_backends[ACCOUNT_ID]["aws"].get_policy(arn) for arn in caller.session_policy_arns]
    texts = [*([caller.session_policy] if caller.session_policy else []), *map(_managed, managed)]
    return tuple(parsed(each) for each in texts) or None


def facts_of(caller: Caller | None) -> dict[str, str]:
    """The condition keys of every request by a caller, with the time."""
    now = datetime.now(UTC)
    facts = {
        "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(int(now.timestamp())),
        "aws:PrincipalIsAWSService": "false",
        "aws:ResourceAccount": ACCOUNT_ID,
        "aws:ViaAWSService": "false",
    }
    if caller is None:
        return {**facts, "aws:PrincipalType": "Anonymous", "aws:userid": "anonymous"}
    who = requester(caller)
    iam = iam_backends[ACCOUNT_ID]["aws"]
    facts |= {"aws:PrincipalArn": caller.arn, "aws:PrincipalAccount": who.account or "", "aws:userid": caller.user_id}
    if who.is_root:
        return {**facts, "aws:PrincipalType": "Account"}
    if who.is_role_session:
        facts |= {"aws:PrincipalType": "AssumedRole", "aws:MultiFactorAuthPresent": "false"}
        if (role := _role(caller)) is None:
            return facts
        return {**facts, "aws:PrincipalArn": role.arn, **_tags(iam.list_role_tags(role.name, None)[0])}
    name = caller.arn.rpartition("/")[2]
    return {**facts, "aws:PrincipalType": "User", "aws:username": name, **_tags(iam.list_user_tags(name))}


def _role(caller: Caller) -> Role | None:
    """The role of a session; None if the role is deleted."""
    try:
        return iam_backends[ACCOUNT_ID]["aws"].get_role(caller.arn.split("/")[1])
    except NotFoundException:
        return None


def _tags(tags: list[dict[str, str]]) -> dict[str, str]:
    return {f"aws:PrincipalTag/{tag['Key']}": tag["Value"] for tag in tags}


def _managed(policy: ManagedPolicy) -> str:
    """The document of a managed policy's default version."""
    return next(each.document for each in policy.versions if each.version_id == policy.default_version_id)
