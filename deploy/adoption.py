"""Take what an interrupted apply left in AWS into the Terraform state.

If Terraform is killed after it sent a request and before it wrote its state, AWS has a resource that the state lacks.
The next apply would fail ("already exists"), and a destroy would leave the resource behind. So after an apply that did
not finish, each resource that the plan creates is looked up by its name. One that exists and has this stack's tags is
imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

Client = Callable[[str], Any]  # service -> boto3 client of the stack's region

# The codes of an answer that there is no such resource. SageMaker answers ValidationException, CloudFormation
# ValidationError.
MISSING = {
    "404",
    "NoSuchBucket",
    "NoSuchEntity",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "ValidationException",
    "ValidationError",
    "InvalidGroup.NotFound",
}


@dataclass(frozen=True)
class ExistingResource:
    """A resource in AWS: the identifier that `terraform import` takes, and its tags; None if its name is proof."""

    import_id: str
    tags: dict[str, str] | None


def found(plan: dict[str, Any], client: Client, only: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(address, import identifier) of each resource that the plan creates although this stack has it in AWS. `only`
    restricts it to some resource types."""
    for resource in plan.get("resource_changes", []):
        change = resource["change"]
        kind = resource["type"]
        if change["actions"] != ["create"] or kind not in FINDERS or (only and kind not in only):
            continue
        try:
            existing = FINDERS[kind](client, change["after"])
        except KeyError:
            continue  # the plan does not know the name yet, because another resource must be created first
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                continue
            raise
        wanted = change["after"].get("tags_all") or {}
        if existing and (existing.tags is None or wanted.items() <= existing.tags.items()):
            yield resource["address"], existing.import_id


def _bucket(client: Client, after: dict[str, Any]) -> ExistingResource:
    """The name has the account's number. A bucket gets its tags after its creation, so it may not have them yet."""
    client("s3").head_bucket(Bucket=after["bucket"])
    return ExistingResource(after["bucket"], None)


def _role(client: Client, after: dict[str, Any]) -> ExistingResource:
    return ExistingResource(
        after["name"], _tags(client("iam").get_role(RoleName=after["name"])["Role"].get("Tags", []))
    )


def _instance_profile(client: Client, after: dict[str, Any]) -> ExistingResource:
    profile = client("iam").get_instance_profile(InstanceProfileName=after["name"])["InstanceProfile"]
    return ExistingResource(after["name"], _tags(profile.get("Tags", [])))


def _log_group(client: Client, after: dict[str, Any]) -> ExistingResource | None:
    """A group without tags was made by SageMaker or Lambda with the first line, under the name of this stack's part."""
    logs = client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix=after["name"])["logGroups"]:
        if group["logGroupName"] == after["name"]:
            tags = logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]
            return ExistingResource(after["name"], tags or None)
    return None


def _sagemaker(kind: str, name: str, attribute: str = "name") -> Callable[[Client, dict[str, Any]], ExistingResource]:
    """A finder for a kind of SageMaker resource, whose import identifier is its name."""

    def find(client: Client, after: dict[str, Any]) -> ExistingResource:
        sagemaker = client("sagemaker")
        described = getattr(sagemaker, f"describe_{kind}")(**{f"{name}Name": after[attribute]})
        arn = described[f"{name}Arn"]
        return ExistingResource(after[attribute], _tags(sagemaker.list_tags(ResourceArn=arn)["Tags"]))

    return find


def _lifecycle_configuration(client: Client, after: dict[str, Any]) -> ExistingResource:
    """It has no tags in this stack. Its name begins with the stack's."""
    client("sagemaker").describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=after["name"])
    return ExistingResource(after["name"], None)


def _function(client: Client, after: dict[str, Any]) -> ExistingResource:
    described = client("lambda").get_function(FunctionName=after["function_name"])
    return ExistingResource(after["function_name"], described.get("Tags", {}))


def _alias(client: Client, after: dict[str, Any]) -> ExistingResource:
    client("lambda").get_alias(FunctionName=after["function_name"], Name=after["name"])
    return ExistingResource(f"{after['function_name']}/{after['name']}", None)


def _function_url(client: Client, after: dict[str, Any]) -> ExistingResource:
    client("lambda").get_function_url_config(FunctionName=after["function_name"], Qualifier=after["qualifier"])
    return ExistingResource(f"{after['function_name']}/{after['qualifier']}", None)


def _instance(client: Client, after: dict[str, Any]) -> ExistingResource | None:
    states = ["pending", "running", "stopping", "stopped"]
    answer = client("ec2").describe_instances(Filters=[*_by_tags(after), _filter("instance-state-name", states)])
    return next((_tagged(each, "InstanceId") for all_ in answer["Reservations"] for each in all_["Instances"]), None)


def _security_group(client: Client, after: dict[str, Any]) -> ExistingResource | None:
    answer = client("ec2").describe_security_groups(Filters=_by_tags(after))
    return next((_tagged(each, "GroupId") for each in answer["SecurityGroups"]), None)


def _rule(egress: bool) -> Callable[[Client, dict[str, Any]], ExistingResource | None]:
    """A finder for rules of a security group, by their tags and what they allow."""

    def find(client: Client, after: dict[str, Any]) -> ExistingResource | None:
        group = _filter("group-id", [after["security_group_id"]])
        for rule in client("ec2").describe_security_group_rules(Filters=[group])["SecurityGroupRules"]:
            same = {
                "IsEgress": egress,
                "IpProtocol": after["ip_protocol"],
                "CidrIpv4": after.get("cidr_ipv4"),
                "PrefixListId": after.get("prefix_list_id"),
            }
            if all(rule.get(name) == value for name, value in same.items()) and (
                after.get("from_port") in (None, rule.get("FromPort"))
            ):
                # The rule of a group of this stack, which has the tags.
                return ExistingResource(rule["SecurityGroupRuleId"], None)
        return None

    return find


def _permission(client: Client, after: dict[str, Any]) -> ExistingResource | None:
    """A statement of the alias's policy, by its identifier."""
    name, qualifier = after["function_name"], after["qualifier"]
    policy = json.loads(client("lambda").get_policy(FunctionName=name, Qualifier=qualifier)["Policy"])
    if any(statement["Sid"] == after["statement_id"] for statement in policy["Statement"]):
        return ExistingResource(f"{name}:{qualifier}/{after['statement_id']}", None)
    return None


def _cloudformation_stack(client: Client, after: dict[str, Any]) -> ExistingResource | None:
    """Also a stack of CloudFormation that is still being created: Terraform waits for it."""
    described = client("cloudformation").describe_stacks(StackName=after["name"])["Stacks"]
    live = (each for each in described if each["StackStatus"] != "DELETE_COMPLETE")
    return next((ExistingResource(after["name"], _tags(each.get("Tags", []))) for each in live), None)


FINDERS: dict[str, Callable[[Client, dict[str, Any]], ExistingResource | None]] = {
    "aws_s3_bucket": _bucket,
    "aws_iam_role": _role,
    "aws_iam_instance_profile": _instance_profile,
    "aws_cloudwatch_log_group": _log_group,
    "aws_sagemaker_model": _sagemaker("model", "Model"),
    "aws_sagemaker_endpoint_configuration": _sagemaker("endpoint_config", "EndpointConfig"),
    "aws_sagemaker_endpoint": _sagemaker("endpoint", "Endpoint"),
    "aws_sagemaker_model_package_group": _sagemaker(
        "model_package_group", "ModelPackageGroup", "model_package_group_name"
    ),
    "aws_sagemaker_notebook_instance": _sagemaker("notebook_instance", "NotebookInstance"),
    "aws_sagemaker_notebook_instance_lifecycle_configuration": _lifecycle_configuration,
    "aws_lambda_function": _function,
    "aws_lambda_alias": _alias,
    "aws_lambda_function_url": _function_url,
    "aws_instance": _instance,
    "aws_security_group": _security_group,
    "aws_vpc_security_group_egress_rule": _rule(egress=True),
    "aws_vpc_security_group_ingress_rule": _rule(egress=False),
    "aws_lambda_permission": _permission,
    "aws_cloudformation_stack": _cloudformation_stack,
}
# What a service may have made before the stack exists: a group of logs, of an earlier stack of this name.
MADE_BY_SERVICES = ("aws_cloudwatch_log_group",)


def _by_tags(after: dict[str, Any]) -> list[dict[str, Any]]:
    return [_filter(f"tag:{name}", [value]) for name, value in after["tags_all"].items()]


def _filter(name: str, values: list[str]) -> dict[str, Any]:
    return {"Name": name, "Values": values}


def _tagged(described: dict[str, Any], identifier: str) -> ExistingResource:
    return ExistingResource(described[identifier], _tags(described.get("Tags", [])))


def _tags(listed: list[dict[str, str]]) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in listed}
