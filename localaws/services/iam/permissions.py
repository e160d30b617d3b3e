"""A request to any service but S3 in the terms of policies: actions, resources, condition keys. See `actions`."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.iam.models import iam_backends

from localaws.context import ACCOUNT_ID
from localaws.services.iam import identities
from localaws.services.iam.actions import (
    ACTIONS,
    DEPENDENTS,
    FREE,
    PASSED_ROLES,
    PREFIXES,
    RESOURCES,
    TAGGING,
    TAGGING_OF_IAM,
)

KNOWN_KEYS = identities.KNOWN_KEYS | {
    *("aws:RequestTag/*", "aws:TagKeys", "iam:PassedToService", "iam:AWSServiceName", "iam:PolicyARN"),
    *("iam:PermissionsBoundary", "cloudwatch:namespace", "ec2:CreateAction", "lambda:FunctionArn", "sts:ExternalId"),
    *("sts:RoleSessionName", "lambda:InvokedViaFunctionUrl", "lambda:FunctionUrlAuthType", "lambda:EventSourceToken"),
    *("sagemaker:InstanceTypes", "sagemaker:TaggingAction", "ec2:InstanceType", "lambda:Principal"),
}

_MEMBER = re.compile(r"\{([\w.]+)(\[\])?(\?)?\}")
_FUNCTION = re.compile(r"(?:arn:[^:]+:lambda:[^:]+:)?(?:\d{12}:)?(?:function:)?([\w-]+)(?::([\w$-]+))?")
# EC2's identifiers begin with the kind of their resource.
_EC2_KINDS = {"i": "instance", "sg": "security-group", "vol": "volume", "eni": "network-interface", "vpc": "vpc"}
_EC2_KINDS |= {"sgr": "security-group-rule", "subnet": "subnet", "rtb": "route-table", "igw": "internet-gateway"}


@dataclass(frozen=True)
class Permission:
    """One action on one resource, with the condition keys that are about both. All of a request's must be allowed."""

    action: str
    resource: str
    facts: Mapping[str, str | list[str]] = field(default_factory=dict)


def needed(service: str, operation: str, params: Mapping[str, Any], region: str) -> list[Permission]:
    """The permissions that a request takes; none for what anybody may do."""
    if (service, operation) in FREE:
        return []
    facts = _facts(service, operation, params)
    action = ACTIONS.get((service, operation)) or f"{PREFIXES.get(service, service)}:{operation}"
    resources = resources_of(service, operation, params, region)
    found = [Permission(action, each, facts) for each in resources]
    if _tags(params):
        found += _tagging(service, operation, resources, facts, params, region)
    for also, template, member in DEPENDENTS.get((service, operation), ()):
        for value in _values(params, member):
            linked = {"iam:AWSServiceName": f"{value}.application-autoscaling.amazonaws.com"}
            given = {**params, "region": region, "account": ACCOUNT_ID}
            resource = next(_filled(service, template, given, region))
            found.append(Permission(also, resource, linked if also.startswith("iam:") else {}))
    for role in passed_roles(service, operation, params):
        found.append(Permission("iam:PassRole", role, {"iam:PassedToService": PASSED_ROLES[service, operation][1]}))
    return found


def resources_of(service: str, operation: str, params: Mapping[str, Any], region: str) -> list[str]:
    """The ARNs of the resources that an operation is about; `*` if it has none."""
    known = {"region": region, "account": ACCOUNT_ID}
    known = {"registryId": ACCOUNT_ID, **params, **known}  # a repository is in the caller's registry by default
    found: list[str] = []
    for template in _templates(service, operation):
        found += _filled(service, template, known, region)
    return found or ["*"]


def passed_roles(service: str, operation: str, params: Mapping[str, Any]) -> list[str]:
    """The ARNs of the roles that a request hands to a service."""
    if (service, operation) not in PASSED_ROLES:
        return []
    member = PASSED_ROLES[service, operation][0]
    if member == "IamInstanceProfile":
        return _roles_of_profile(params.get(member) or {})
    values = _values(params, member)
    if operation == "CreateHyperParameterTuningJob":
        values += [each["RoleArn"] for each in params.get("TrainingJobDefinitions") or [] if "RoleArn" in each]
    return [each if each.startswith("arn:") else _iam_arn("role", each) for each in values]


@functools.cache
def _templates(service: str, operation: str) -> tuple[str, ...]:
    tables = RESOURCES.get(service, {})
    return tuple(template for template, operations in tables.items() if operation in operations.split())


def _filled(service: str, template: str, params: Mapping[str, Any], region: str) -> Iterator[str]:
    """The ARNs that a template makes of a request."""
    if service == "lambda" and "{FunctionName}" in template:
        name, qualifier = _function(params)
        qualified = f":{qualifier}" if qualifier and "{Qualifier}" in template else ""
        yield f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}{qualified}"
        return
    choices = [template]
    for match in _MEMBER.finditer(template):
        values = _values(params, match[1]) or ([] if match[3] else ["*"])
        choices = [each.replace(match[0], value) for each in choices for value in values]
    for each in choices:
        yield each if each.startswith("arn:") else _arn(service, each, region)


def _arn(service: str, rest: str, region: str) -> str:
    """The ARN of a resource that its service names by `rest`."""
    kind, _, name = rest.partition("/")
    if service == "iam":
        return _iam_arn(kind, name)
    if service == "ec2" and kind == "*":
        kind = _EC2_KINDS.get(name.partition("-")[0], "*")
        rest = f"{kind}/{name}"
    if service == "ssm" and kind == "document" and name.startswith("AWS-"):
        return f"arn:aws:ssm:{region}::{rest}"
    if service == "ssm" and kind == "parameter":
        rest = f"{kind}/{name.lstrip('/')}"
    if service == "cloudwatch" and kind == "dashboard":  # dashboards belong to no region
        region = ""
    if service.startswith("sagemaker"):  # its ARNs have names in small letters
        rest = f"{kind}/{name.lower()}"
    # An identifier that is an ARN already, after a prefix of the template: a key, a function, an alarm.
    if "arn:" in rest:
        return rest[rest.index("arn:") :]
    return rest if rest == "*" else f"arn:aws:{PREFIXES.get(service, service)}:{region}:{ACCOUNT_ID}:{rest}"


def _iam_arn(kind: str, name: str) -> str:
    """The ARN of a role, user or other identity by its name: with its path, if there is one of that name."""
    iam = iam_backends[ACCOUNT_ID]["aws"]
    tables = {"role": iam.roles, "instance-profile": iam.instance_profiles, "user": iam.users, "group": iam.groups}
    for each in list(tables.get(kind, {}).values()):
        if each.name == name:
            return str(each.arn)
    return f"arn:aws:iam::{ACCOUNT_ID}:{kind}/{name}"


def _roles_of_profile(named: Mapping[str, str]) -> list[str]:
    for profile in list(iam_backends[ACCOUNT_ID]["aws"].instance_profiles.values()):
        if profile.name == named.get("Name") or profile.arn == named.get("Arn"):
            return [role.arn for role in profile.roles]
    return []


def _function(params: Mapping[str, Any]) -> tuple[str, str]:
    """The name and the qualifier of a function that is named in any of the ways that Lambda takes."""
    match = _FUNCTION.fullmatch(str(params.get("FunctionName") or "*"))
    name, qualifier = (match[1], match[2]) if match else (str(params.get("FunctionName") or "*"), None)
    return name, params.get("Qualifier") or qualifier or ""


def _values(params: Any, path: str) -> list[str]:
    """The values of a member, each a text; none if the request lacks it."""
    found: Any = params
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if found is None:
        return []
    return [str(each) for each in found] if isinstance(found, list) else [str(found)]


def _tags(params: Mapping[str, Any]) -> dict[str, str]:
    """The tags that a request gives to what it creates."""
    tags = params.get("Tags") or params.get("tags") or []
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    tags = [*tags, *(tag for each in params.get("TagSpecifications") or [] for tag in each.get("Tags") or [])]
    return {
        _first(tag, "Key", "key", "TagKey"): _first(tag, "Value", "value", "TagValue")
        for tag in tags
        if isinstance(tag, Mapping)
    }


def _first(tag: Mapping[str, Any], *names: str) -> str:
    """The value of the first of these members that a tag has. KMS names them in another way than the other services."""
    return next((str(tag[name]) for name in names if name in tag), "")


def _tagging(
    service: str,
    operation: str,
    resources: list[str],
    facts: Mapping[str, str | list[str]],
    params: Mapping[str, Any],
    region: str,
) -> list[Permission]:
    """The permission to tag what an operation creates; none for operations that do nothing but tag."""
    if not operation.startswith(("Create", "Run", "Put", "Register", "Authorize", "Copy")) or operation == "CreateTags":
        return []
    if service == "ec2":
        kinds = {each.get("ResourceType", "*") for each in params.get("TagSpecifications") or []}
        resources = [f"arn:aws:ec2:{region}:{ACCOUNT_ID}:{kind}/*" for kind in sorted(kinds)]
        facts = {**facts, "ec2:CreateAction": operation}
    action = TAGGING_OF_IAM.get(operation.removeprefix("Create")) if service == "iam" else TAGGING.get(service)
    if service == "logs":
        resources = [each.removesuffix(":log-stream:") for each in resources]
    if service == "sagemaker" and operation == "CreateEndpoint":
        resources = [each for each in resources if ":endpoint/" in each]
    return [Permission(action, each, facts) for each in resources] if action else []


def _facts(service: str, operation: str, params: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """The condition keys that the request's own members have."""
    facts: dict[str, str | list[str]] = {}
    if tags := _tags(params):
        facts = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        facts["aws:TagKeys"] = list(tags)
    elif keys := params.get("TagKeys") or params.get("tagKeys") or params.get("tags"):  # UntagLogGroup has tags
        facts["aws:TagKeys"] = [str(each) for each in keys]
    given = {
        ("cloudwatch", "PutMetricData"): {"cloudwatch:namespace": "Namespace"},
        ("sts", "AssumeRole"): {"sts:ExternalId": "ExternalId", "sts:RoleSessionName": "RoleSessionName"},
        ("iam", "CreateServiceLinkedRole"): {"iam:AWSServiceName": "AWSServiceName"},
        ("ec2", "RunInstances"): {"ec2:InstanceType": "InstanceType"},
        ("lambda", "AddPermission"): {"lambda:Principal": "Principal"},
    }.get((service, operation), {})
    if service == "iam" and "PolicyArn" in params:
        given = {**given, "iam:PolicyARN": "PolicyArn"}
    return facts | {key: str(params[member]) for key, member in given.items() if params.get(member) is not None}
