"""Permissions that were granted and used in a rehearsal, and the policy of a user who deploys.

The local AWS records each permission that a principal used. From what the account's root used, `deployer_policy` makes
the least policy with which every target of the Makefile passes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deploy.environment import ACCOUNT, TERRAFORM, ask_local_aws

POLICY = TERRAFORM / "deployer-policy.json"
OPTIONS_POLICY = TERRAFORM / "deployer-options-policy.json"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
# Of a role's inline policies, without white space (IAM quotas). A managed policy takes 6,144: this one would be two.
MAX_POLICY_CHARACTERS = 10_240

# For each target, a permission that it alone uses: without it the policy would lack what the target needs.
STEPS = {
    "apply": "sagemaker:CreateEndpoint",
    "data": "s3:PutObject",
    "train": "sagemaker:CreateTrainingJob",
    "tune": "sagemaker:CreateHyperParameterTuningJob",
    "train-ec2": "ssm:SendCommand",
    "promote": "sagemaker:UpdateEndpoint",
    "notebook": "sagemaker:CreatePresignedNotebookInstanceUrl",
    "destroy": "sagemaker:DeleteEndpoint",
}
# What a user needs beyond the calls of one rehearsal: pairs of an action and a resource.
ALSO = (
    # The targets do this only in some states: an update of the function, a stopped instance, Ctrl-C.
    ("ec2:StartInstances", "instance/*"),
    # `make doctor` and the start of each apply.
    ("ec2:DescribeRegions", "*"),
    ("iam:SimulatePrincipalPolicy", "*"),  # of the caller, who may be a user or a role of any path
    ("sagemaker:ListEndpoints", "*"),
    ("sagemaker:ListNotebookInstances", "*"),
    # `make sleep`
    ("ec2:StopInstances", "instance/*"),
    ("sagemaker:StopNotebookInstance", "notebook-instance/{name}*"),
    ("freetier:GetAccountPlanState", "*"),  # this one and the next two: the check of the account's limits
    ("lambda:GetAccountSettings", "*"),
    ("servicequotas:ListServiceQuotas", "*"),
    *(
        (f"logs:{verb}", f"log-group:{group}/{{name}}*")  # `make logs` of the endpoint and of the function
        for verb in ("DescribeLogStreams", "GetLogEvents")
        for group in ("/aws/lambda", "/aws/sagemaker/Endpoints")
    ),
    # The first scaling policy of an account for functions: Application Auto Scaling makes a role of its own.
    ("iam:CreateServiceLinkedRole", "role/aws-service-role/lambda.application-autoscaling.amazonaws.com/*"),
    ("cloudwatch:GetMetricData", "*"),  # `make status`
    ("cloudwatch:GetMetricStatistics", "*"),  # this one and the next: `make load-test`
    ("logs:FilterLogEvents", "log-group:/aws/lambda/{name}*"),
    ("logs:FilterLogEvents", "log-group:/aws/sagemaker/Endpoints/{name}*"),  # `make logs REQUEST=`
    ("lambda:PublishVersion", "function:{name}*"),
    ("lambda:UpdateAlias", "function:{name}*"),
    ("lambda:UpdateFunctionCode", "function:{name}*"),
    ("lambda:UpdateFunctionConfiguration", "function:{name}*"),
    ("sagemaker:StartNotebookInstance", "notebook-instance/{name}*"),
    ("sagemaker:StopHyperParameterTuningJob", "hyper-parameter-tuning-job/{name}*"),
    ("sagemaker:StopTrainingJob", "training-job/{name}*"),
    ("sagemaker:ListTransformJobs", "*"),
    # Application Auto Scaling makes the alarms of target tracking (its user guide, identity-based policy examples).
    *(
        (f"cloudwatch:{verb}", "alarm:TargetTracking-*")
        for verb in ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms")
    ),
)
# What `network`, `kms_key_arn`, `permissions_boundary`, `ci`, `alarm_email`, `monthly_budget`, `registry`, API keys and
# batch jobs need in addition. A VPC endpoint and a rule have no name of the stack in their ARN. Together with the rest
# this would exceed MAX_POLICY_CHARACTERS.
OPTIONS = (
    *(
        (f"ec2:{verb}", "*")
        for verb in (
            *("AuthorizeSecurityGroupIngress", "CreateVpcEndpoint", "DeleteVpcEndpoints"),
            *("DescribeManagedPrefixLists", "DescribePrefixLists", "DescribeRouteTables", "DescribeVpcAttribute"),
            *("DescribeVpcEndpoints", "GetManagedPrefixListEntries", "ModifyVpcEndpoint"),
            "RevokeSecurityGroupIngress",
        )
    ),
    *((f"kms:{verb}", "key/*") for verb in ("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKey")),
    *((f"logs:{verb}", "log-group:*") for verb in ("AssociateKmsKey", "DisassociateKmsKey")),
    *(
        (f"sagemaker:{verb}", "model-package-group/{name}*")
        for verb in (
            *("CreateModelPackageGroup", "DescribeModelPackageGroup", "DeleteModelPackageGroup"),
            *("AddTags", "DeleteTags", "ListTags"),
        )
    ),
    *(
        (f"sagemaker:{verb}ModelPackage", "model-package/{name}*")
        for verb in ("Create", "Delete", "Describe", "Update")
    ),
    ("sagemaker:ListModelPackages", "*"),  # it takes no resource
    *((f"iam:{verb}RolePermissionsBoundary", "role/{name}*") for verb in ("Put", "Delete")),
    *(
        (f"ssm:{verb}", "parameter/{name}/*")
        for verb in ("AddTagsToResource", "DeleteParameter", "GetParameter", "PutParameter")
    ),
    *((f"sagemaker:{verb}TransformJob", "transform-job/{name}*") for verb in ("Create", "Describe", "Stop")),
    *(
        (f"logs:{verb}", "log-group:/aws/sagemaker/TransformJobs:*")
        for verb in ("DeleteLogStream", "DescribeLogStreams", "GetLogEvents")
    ),
    *(
        (f"iam:{verb}OpenIDConnectProvider", "oidc-provider/token.actions.githubusercontent.com")
        for verb in ("Create", "Delete", "Get", "Tag")
    ),
    *(
        (f"sns:{verb}", "{name}*")
        for verb in (
            *("CreateTopic", "DeleteTopic", "GetTopicAttributes", "ListTagsForResource", "SetTopicAttributes"),
            *("Subscribe", "TagResource"),
        )
    ),
    *((f"sns:{verb}", "*") for verb in ("GetSubscriptionAttributes", "Unsubscribe")),  # they name no resource
    *(
        (f"budgets:{verb}", "budget/{name}*")
        for verb in ("ListTagsForResource", "ModifyBudget", "TagResource", "ViewBudget")
    ),
    *(
        (f"events:{verb}", "rule/{name}*")
        for verb in (
            *("DeleteRule", "DescribeRule", "ListTagsForResource", "ListTargetsByRule", "PutRule", "PutTargets"),
            *("RemoveTargets", "TagResource"),
        )
    ),
)
PASSED_TO = ("ec2.amazonaws.com", "lambda.amazonaws.com", "sagemaker.amazonaws.com")

_EC2_ID = re.compile(r"\b(i|sg|sgr|vol|eni|vpc|subnet|ami|rtb|igw)-[0-9a-f]{8,}\b")


@dataclass(frozen=True)
class PrincipalReport:
    """A role or user: pairs of an action and a resource that its policies grant, and those that it used."""

    arn: str
    granted: tuple[dict[str, Any], ...]
    used: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        return self.arn.split(":", 5)[5]

    @property
    def used_grants(self) -> list[dict[str, Any]]:
        return [each for each in self.granted if each["used"]]

    @property
    def unused_grants(self) -> list[dict[str, Any]]:
        return [each for each in self.granted if not each["used"] and each["possible"]]

    @property
    def impossible_grants(self) -> list[dict[str, Any]]:
        """Pairs that no request can have, as a permission to create models on endpoints."""
        return [each for each in self.granted if not each["possible"]]

    @property
    def denials(self) -> list[dict[str, Any]]:
        return [each for each in self.used if each["denied"]]


def ask() -> list[PrincipalReport]:
    """What the running local AWS has recorded. Raises Failure."""
    answer = ask_local_aws("permissions")
    return [
        PrincipalReport(arn, tuple(each["granted"]), tuple(each["used"]))
        for arn, each in sorted(answer["principals"].items())
    ]


def missing_steps(used: Iterable[dict[str, Any]]) -> list[str]:
    """The targets that have not run since the local AWS was emptied."""
    actions = {each["action"] for each in used if each["allowed"]}
    return [target for target, action in STEPS.items() if action not in actions]


def deployer_policy(used: Iterable[dict[str, Any]], name: str) -> dict[str, Any]:
    """The least policy that covers what was used by a stack of this name, for any account and region."""
    resources: dict[str, set[str]] = defaultdict(set)
    for each in used:
        if each["allowed"]:
            resources[each["action"]].add(generalised(each["resource"], name))
    return _policy(_add(resources, ALSO, name))


def options_policy(name: str) -> dict[str, Any]:
    """The policy for the settings that a rehearsal of the ordinary stack does not use (OPTIONS)."""
    return _policy(_add(defaultdict(set), OPTIONS, name))


def _add(resources: dict[str, set[str]], more: Iterable[tuple[str, str]], name: str) -> dict[str, set[str]]:
    for action, resource in more:
        service = action.partition(":")[0]
        region = "" if service in ("iam", "budgets") else "*"  # IAM refuses a region in its own resources
        arn = f"arn:aws:{service}:{region}:*:{resource.format(name=name)}"
        resources[action].add(resource if resource == "*" else arn)
    return resources


def _policy(resources: dict[str, set[str]]) -> dict[str, Any]:
    together: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for action, arns in sorted(resources.items()):
        service = "iam:PassRole" if action == "iam:PassRole" else action.partition(":")[0]
        together[service, tuple(_without_covered(arns))].append(action)
    return {"Version": "2012-10-17", "Statement": list(_statements(together))}


def generalised(arn: str, name: str) -> str:
    """An ARN for any account and region; of names that begin with the stack's name, only the beginning counts."""
    if arn == "*":
        return arn
    parts = arn.split(":", 5)
    prefix, (region, account, resource) = parts[:3], parts[3:]
    # What follows the stack's name is a run, a version or a kind of resource. Of an object, only that it is one.
    before, found, after = resource.partition(name)
    if found:
        of_object = "/*" if parts[2] == "s3" and "/" in after else ""
        resource = f"{before}{name}*{of_object}"
    else:
        resource = re.sub(r"(log-group:[^:*]*):log-stream:.*", r"\1:*", _EC2_ID.sub("*", resource))
        resource = re.sub(r"^scalable-target/.*", "scalable-target/*", resource)
    account = "*" if account == ACCOUNT else account
    return ":".join([*prefix, "*" if region else "", account, resource])


def size(policy: dict[str, Any]) -> int:
    """The characters of a policy as IAM counts them."""
    return len(re.sub(r"\s", "", json.dumps(policy)))


def _without_covered(arns: set[str]) -> list[str]:
    """The resources without those that `*` covers anyhow."""
    return ["*"] if "*" in arns else sorted(arns)


def _statements(together: dict[tuple[str, tuple[str, ...]], list[str]]) -> Iterator[dict[str, Any]]:
    """Without a Sid for each, because they would take 800 of MAX_POLICY_CHARACTERS."""
    for (service, arns), actions in sorted(together.items()):
        statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": list(arns)}
        if service == "iam:PassRole":
            statement["Condition"] = {"StringEquals": {"iam:PassedToService": list(PASSED_TO)}}
        yield statement
