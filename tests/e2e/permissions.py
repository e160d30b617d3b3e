"""One permission removed from a principal at a time: is it needed, and does AWS's error name it?

This is a replay, not a second run of the steps. For each action that the rehearsal recorded as used by a principal, the
principal's policies are stored without this action, and a real request for the action on a recorded resource is sent
over HTTP, signed with keys of the principal. The policies, the sessions and the gate are those of the running stack.
The request is made from the service model, so its other members are not those of the step.
"""

from __future__ import annotations

import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.credentials import Credentials
from moto.core.utils import get_service_model

from localaws.conformance.generate import value_for
from localaws.conformance.refusals import read_refusal
from localaws.conformance.wire import Wire, protocols
from localaws.context import ACCOUNT_ID
from localaws.operations import REFUSED, SERVICES, level
from localaws.services.iam.actions import ACTIONS, PASSED_ROLES, PREFIXES, RESOURCES
from localaws.services.iam.grants import may_meet
from localaws.services.s3.requests import action_of
from localaws.validation import compiled

# No operations of the local AWS: what the agent on an instance does is in the server's own process, and a function URL
# is not an API (tests/unit/localaws/test_function_url.py).
OF_THE_AGENT = ("ssmmessages:", "ec2messages:", "ssm:UpdateInstanceInformation", "ssm:ListInstanceAssociations")
NOT_OPERATIONS = (*OF_THE_AGENT, "lambda:InvokeFunctionUrl")
VERSION = "versionId=null"  # a query that is about a version of an object
EC2_IDS = {"instance": "i", "security-group": "sg", "volume": "vol", "network-interface": "eni", "subnet": "subnet"}
EC2_IDS |= {"security-group-rule": "sgr", "vpc": "vpc", "image": "ami"}
_MEMBER = re.compile(r"\{([\w.]+)(\[\])?(\?)?\}")


PrincipalPolicies = tuple[dict[str, dict], dict[str, dict]]  # inline by name, managed by ARN


@dataclass(frozen=True)
class Probe:
    """A request for an action."""

    service: str
    operation: str
    params: dict[str, Any]


@dataclass
class Sweep:
    """What a sweep tried, what it could not try, and where the answer was not the right denial."""

    tried: list[tuple[str, str]] = field(default_factory=list)
    not_tried: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def sweep(client: Any, port: int, arn: str, used: list[dict[str, Any]], control: bool = False) -> Sweep:
    """Remove each used action from a role or a user in turn. `client` makes clients of the account's root.

    With `control` each request is also sent with all permissions, and must not be denied. It then changes things.
    """
    found, resources = Sweep(), defaultdict(list)
    for each in used:
        if each["allowed"]:
            resources[each["action"]].append(each["resource"])
    connection, iam = Wire(f"http://127.0.0.1:{port}", keys_of(client, arn)), client("iam")
    policies = policies_of(iam, arn)
    for action, recorded in sorted(resources.items()):
        probe = probe_for(iam, action, recorded)
        if probe is None:
            found.not_tried.append((arn, action))
            continue
        operation = get_service_model(probe.service).operation_model(probe.operation)
        if control:
            answer = connection.send(probe.service, probe.operation, probe.params)
            denied = f"is not authorized to perform: {action} " in answer.body.decode(errors="replace")
            if denied or answer.status >= 500:
                found.faults.append(f"{arn} with {action}: {probe} was answered {answer.status} {answer.body!r}")
        with without(iam, arn, action, policies):
            answer = connection.send(probe.service, probe.operation, probe.params)
            refusal = read_refusal(operation, protocols(probe.service)[0], answer)
        found.tried.append((arn, action))
        if not names(refusal.message, action, recorded):
            found.faults.append(f"{arn} without {action}: {probe} was answered {answer.status} {refusal}")
    connection.close()
    return found


def names(message: str, action: str, recorded: list[str]) -> bool:
    """Whether a denial names the action, and one of the resources that it was used with."""
    if f"is not authorized to perform: {action} on resource: " not in message:
        return False
    named = message.split("on resource: ", 1)[1].split(" ")[0].strip('"')
    return any(may_meet(named, each) for each in recorded)


def keys_of(client: Any, arn: str) -> Credentials:
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind == "user":
        key = client("iam").create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    key = client("sts").assume_role(RoleArn=arn, RoleSessionName="sweep")["Credentials"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])


# --- the policies without an action ---


@contextmanager
def without(iam: Any, arn: str, action: str, policies: PrincipalPolicies | None = None) -> Iterator[None]:
    """Store the principal's inline and managed policies without an action, and afterwards as they were."""
    word, holder = _holder(arn)
    call = {each: getattr(iam, f"{each.format(word.lower())}") for each in ("put_{}_policy", "delete_{}_policy")}
    found = policies or policies_of(iam, arn)
    inline, managed = ({name: each for name, each in part.items() if reduced(each, action) != each} for part in found)
    try:
        for policy, document in inline.items():
            call["put_{}_policy"](**holder, PolicyName=policy, PolicyDocument=json.dumps(reduced(document, action)))
        for number, (policy, document) in enumerate(managed.items()):
            getattr(iam, f"detach_{word.lower()}_policy")(**holder, PolicyArn=policy)
            text = json.dumps(reduced(document, action))
            call["put_{}_policy"](**holder, PolicyName=f"sweep-{number}", PolicyDocument=text)
        yield
    finally:
        for policy, document in inline.items():
            call["put_{}_policy"](**holder, PolicyName=policy, PolicyDocument=json.dumps(document))
        for number, policy in enumerate(managed):
            getattr(iam, f"attach_{word.lower()}_policy")(**holder, PolicyArn=policy)
            call["delete_{}_policy"](**holder, PolicyName=f"sweep-{number}")


def policies_of(iam: Any, arn: str) -> PrincipalPolicies:
    """The documents of a principal's inline policies by name, and of its managed ones by ARN."""
    kind, holder = _holder(arn)
    word = kind.lower()
    listed = getattr(iam, f"list_{word}_policies")(**holder)["PolicyNames"]
    read = getattr(iam, f"get_{word}_policy")
    inline = {policy: read(**holder, PolicyName=policy)["PolicyDocument"] for policy in listed}
    managed = {}
    for each in getattr(iam, f"list_attached_{word}_policies")(**holder)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=each["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=each["PolicyArn"], VersionId=version)
        managed[each["PolicyArn"]] = found["PolicyVersion"]["Document"]
    return inline, managed


def _holder(arn: str) -> tuple[str, dict[str, str]]:
    kind, _, name = arn.split(":", 5)[5].partition("/")
    name = name.rpartition("/")[2]
    return ("User", {"UserName": name}) if kind == "user" else ("Role", {"RoleName": name})


def reduced(document: dict[str, Any], action: str) -> dict[str, Any]:
    """A policy whose statements do not allow an action, neither by its name nor by a pattern."""
    statements = []
    for each in document["Statement"]:
        actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
        left = [name for name in actions if not _covers(name, action)]
        if each["Effect"] != "Allow" or left == actions:
            statements.append(each)
        elif left:
            statements.append({**each, "Action": left})
    nothing = {"Effect": "Deny", "Action": "none:None", "Resource": "*"}  # a policy has one statement or more
    return {**document, "Statement": statements or [nothing]}


def _covers(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern.lower()).replace(r"\*", ".*"), action.lower()) is not None


# --- a request for an action ---


def probe_for(iam: Any, action: str, resources: list[str]) -> Probe | None:
    """A request that takes this action on these resources; None if no operation of the local AWS takes it."""
    if action.startswith(NOT_OPERATIONS):
        return None
    named = [concrete(each) for each in resources]
    if action == "iam:PassRole":
        return _passing(iam, named[0])
    for service, operation in _operations().get(action, ()):
        if action.startswith("s3:"):
            probe = _of_s3(operation, named[0])
            versioned = action_of(operation, "") != action
            return replace(probe, params={**probe.params, "VersionId": "null"}) if versioned else probe
        templates = [each for each, listed in RESOURCES.get(service, {}).items() if operation in listed.split()]
        found = [_members(service, template, each) for each in named for template in templates]
        params = {name: value for each in reversed(found) if each is not None for name, value in each.items()}
        if not templates or any(each is not None for each in found):
            return Probe(service, operation, {**_minimal(service, operation), **params})
    return None


def concrete(resource: str) -> str:
    """A resource that a pattern covers: recorded ones are grouped, those of a policy hold for any account."""
    if resource == "*":
        return resource
    head, _, name = resource.rpartition("/")
    kind = head.rpartition(":")[2]
    if ":ec2:" in resource and name == "*" and kind in EC2_IDS:
        resource = f"{head}/{EC2_IDS[kind]}-0123456789abcdef0"
    parts = resource.split(":", 5)
    parts[3], parts[4] = parts[3].replace("*", "us-east-1"), parts[4].replace("*", ACCOUNT_ID)
    return ":".join([*parts[:5], parts[5].replace("*", "-any")])


@functools.cache
def _operations() -> dict[str, list[tuple[str, str]]]:
    """The operations that take an action, by the action. The answer to a HEAD has no words, so those are left out."""
    found = defaultdict(list)
    for service in SERVICES:
        for operation in get_service_model(service).operation_names:
            own = ACTIONS.get((service, operation)) or f"{PREFIXES.get(service, service)}:{operation}"
            action = action_of(operation, "") if service == "s3" else own
            if level(service, operation) != REFUSED and not operation.startswith("Head"):
                found[action].append((service, operation))
                if service == "s3" and (of_version := action_of(operation, VERSION)) != action:
                    found[of_version].append((service, operation))
    return found


def _minimal(service: str, operation: str) -> dict[str, Any]:
    member = compiled(get_service_model(service).operation_model(operation))
    return {} if member is None or not member.required else value_for(member)


def _of_s3(operation: str, resource: str) -> Probe:
    params = _minimal("s3", operation)
    bucket, _, key = resource.rpartition(":")[2].partition("/")
    if "Bucket" in params:
        params["Bucket"] = bucket
    if "Key" in params:
        params["Key"] = key
    if "CopySource" in params:
        params["CopySource"] = f"{bucket}/{params['Key']}"
    return Probe("s3", operation, params)


def _members(service: str, template: str, resource: str) -> dict[str, Any] | None:
    """The members of a request with which a template gives a resource; None if it gives none such."""
    if resource == "*":
        return {}  # the values of a minimal request will do
    if service == "lambda" and "{FunctionName}" in template:
        named = re.search(r":function:([^:]+)(?::(.+))?$", resource)
        if named is None:
            return None
        return {"FunctionName": named[1], **({"Qualifier": named[2]} if named[2] else {})}
    whole = (
        template if template.startswith(("arn:", "{")) else f"arn:aws:{PREFIXES.get(service, service)}:%:%:{template}"
    )
    parts, members, at = [], [], 0
    for match in _MEMBER.finditer(whole):
        parts += [re.escape(whole[at : match.start()]), "(.+)"]
        members.append(match)
        at = match.end()
    text = "".join([*parts, re.escape(whole[at:])]).replace("%", "[^:]*").replace(r"\*", "[^:]*")
    found = re.fullmatch(text, resource)
    if found is None and ":log-group:" in resource:  # a group is named as one of its streams, or as all of them
        group = resource.partition(":log-stream:")[0].removesuffix(":-any")
        found = re.fullmatch(text, f"{group}:log-stream:") or re.fullmatch(text, f"{group}:log-stream:any")
    if found is None:
        return None
    values = {match[1]: value for match, value in zip(members, found.groups(), strict=True)}
    listed = {match[1] for match in members if match[2]}
    own = {name: value for name, value in values.items() if name not in ("region", "account")}
    return {name: [value] if name in listed else value for name, value in own.items()}


def _passing(iam: Any, role: str) -> Probe:
    """A request that hands the role to the service that it trusts."""
    name = role.rpartition("/")[2]
    document = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    trusted = json.dumps(document)
    wanted = {"lambda": "CreateFunction", "sagemaker": "CreateModel", "iam": "AddRoleToInstanceProfile"}
    service, operation = next(
        pair for pair, (_, each) in PASSED_ROLES.items() if each in trusted and wanted.get(pair[0]) == pair[1]
    )
    params = _minimal(service, operation)
    names = {
        "CreateFunction": {"FunctionName": "pawprint-probe", "Role": role},
        "CreateModel": {"ModelName": "pawprint-probe", "ExecutionRoleArn": role},
        "AddRoleToInstanceProfile": {"RoleName": name, "InstanceProfileName": name},
    }
    return Probe(service, operation, {**params, **names[operation]})
