"""Checks of the caller: credentials, account, region, plan of the account, and permissions by simulation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deploy.doctor.check import CheckResult, Subject, bad, good, unsure
from deploy.environment import TERRAFORM

SHOWN = 4  # actions that are named in the line; V=1 shows all
PASSED_TO = "sagemaker.amazonaws.com"
# One call of each service that the stack uses. Each takes no argument and is in the deployer's policy.
SERVICES = {
    "ec2": "describe_vpcs",
    "sagemaker": "list_training_jobs",
    "lambda": "get_account_settings",
    "logs": "describe_log_groups",
    "ssm": "describe_instance_information",
}
# The account has not signed up, the service is closed to it, or the region is not enabled.
CLOSED = {"OptInRequired", "SubscriptionRequiredException", "InvalidClientTokenId", "UnrecognizedClientException"}


def credentials(subject: Subject) -> CheckResult:
    """Who asks, and whether the settings allow the account."""
    subject.env.require_own_local_aws()
    who = subject.identity["Arn"].rpartition(":")[2]
    allowed = subject.settings.get("allowed_account_ids")
    if allowed and subject.account not in allowed:
        return bad(
            f"You are logged in to {subject.account_words} as {who}, and the settings allow {', '.join(allowed)}",
            f"log in to another account, or change allowed_account_ids in {subject.env.tfvars.name}",
        )
    return good(f"Credentials of {subject.account_words} as {who}", subject.identity["Arn"])


def region(subject: Subject) -> CheckResult:
    """The region, and the account of AWS's images there."""
    given = subject.settings.get("deep_learning_containers_account")
    images = given or image_accounts().get(subject.region)
    full = [subject.settings[part].get("image") or "" for part in ("training", "endpoint")]
    if not images and not all("/" in image for image in full):
        return bad(
            f"Region {subject.region}: the registry of AWS's Deep Learning Containers is not known",
            "set deep_learning_containers_account, or another region",
        )
    where = f"images from account {images}" if images else "images of your own"
    return good(f"Region {subject.region}, {where}")


def image_accounts() -> dict[str, str]:
    """Region -> account of the Deep Learning Containers, from the table in terraform/images.tf."""
    text = (TERRAFORM / "images.tf").read_text()
    block = re.search(r'for region in \[(.*?)\] : region => "(\d{12})"', text, re.DOTALL)
    found = dict.fromkeys(re.findall(r'"([a-z0-9-]+)"', block[1]), block[2]) if block else {}
    return found | dict(re.findall(r'^\s+([a-z]{2}-[a-z]+-\d)\s+= "(\d{12})"', text, re.MULTILINE))


def services(subject: Subject) -> CheckResult:
    """Whether each service answers this account: some are closed to new customers, some regions lack some."""
    from botocore.exceptions import ClientError, EndpointConnectionError

    closed, denied = [], []
    for service, operation in SERVICES.items():
        try:
            getattr(subject.client(service), operation)()
        except EndpointConnectionError as error:
            closed.append(f"{service}: {error}")
        except ClientError as error:
            code = error.response["Error"]["Code"]
            (closed if code in CLOSED else denied).append(f"{service}: {code}")
    if closed:
        return bad(
            f"Services that do not serve this account in {subject.region}: {'; '.join(closed)}",
            "sign up for them, enable the region, or choose another one",
        )
    if denied:
        return unsure(f"Services that could not be asked: {'; '.join(denied)}", "see the check of permissions")
    return good(f"All {len(SERVICES)} services answer in {subject.region}", ", ".join(SERVICES))


def plan(subject: Subject) -> CheckResult:
    """On the free plan, EC2 starts a few instance types only."""
    kind = subject.limits.plan
    wanted = subject.settings["ec2"]["instance_type"]
    if kind != "FREE":
        return good("The account is not on the free plan", f"freetier:GetAccountPlanState: {kind or 'no plan'}")
    if wanted in subject.limits.free_tier_types:
        return good(f"The account is on the free plan, which starts {wanted}")
    return bad(
        f"The account is on AWS's free plan, which does not start ec2.instance_type = {wanted}",
        f"set it to one of {', '.join(subject.limits.free_tier_types)}, or upgrade the account: "
        "aws freetier upgrade-account-plan --account-plan-type PAID --region us-east-1",
    )


# --- permissions ---


def permissions(subject: Subject) -> CheckResult:
    """Simulate every statement of the deployer's policy for the caller (iam:SimulatePrincipalPolicy)."""
    arn = subject.identity["Arn"]
    if arn.endswith(":root"):
        return good("The account's root may do everything", "use a user or a role with terraform/deployer-policy.json")
    from botocore.exceptions import ClientError

    try:
        denied = _denied(subject, _policy_source(subject, arn))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in ("AccessDenied", "AccessDeniedException"):
            raise
        return unsure(
            f"Your permissions could not be simulated ({error.response['Error'].get('Message', code)})",
            "allow iam:SimulatePrincipalPolicy, as terraform/deployer-policy.json does",
        )
    if not denied:
        return good(f"{arn.rpartition(':')[2]} has the permissions of terraform/deployer-policy.json")
    names = sorted({action for action, _ in denied})
    more = f" and {len(names) - SHOWN} more (V=1 lists them)" if len(names) > SHOWN else ""
    return bad(
        f"{arn.rpartition(':')[2]} may not {', '.join(names[:SHOWN])}{more}",
        "attach terraform/deployer-policy.json"
        + (f", with {subject.name} for pawprint" if subject.name != "pawprint" else ""),
        *(f"{action} on {resource}" for action, resource in denied),
    )


def _policy_source(subject: Subject, arn: str) -> str:
    """The principal to simulate. The ARN of a role's session lacks the role's path, so IAM is asked for it."""
    if ":assumed-role/" not in arn:
        return arn
    role = arn.partition(":assumed-role/")[2].partition("/")[0]
    return subject.client("iam").get_role(RoleName=role)["Role"]["Arn"]


def _denied(subject: Subject, source: str) -> list[tuple[str, str]]:
    """(action, resource) pairs of the deployer's policy that are not allowed."""
    iam = subject.client("iam", max_pool_connections=8)

    def simulate(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for page in iam.get_paginator("simulate_principal_policy").paginate(PolicySourceArn=source, **request):
            yield from page["EvaluationResults"]

    with ThreadPoolExecutor(8) as threads:
        results = threads.map(lambda request: list(simulate(request)), simulations(subject))
        return [
            (each["EvalActionName"], each["EvalResourceName"])
            for listed in results
            for each in listed
            if each["EvalDecision"] != "allowed"
        ]


def simulations(subject: Subject) -> Iterator[dict[str, Any]]:
    """One request per statement and resource: a request evaluates each action on each resource."""
    for statement in subject.deployer_policy():
        context = []
        if "iam:PassRole" in statement["Action"]:
            context = [
                {
                    "ContextKeyName": "iam:PassedToService",
                    "ContextKeyType": "string",
                    "ContextKeyValues": [PASSED_TO],
                }
            ]
        yield {
            "ActionNames": statement["Action"],
            "ResourceArns": sorted({concrete(subject, each) for each in statement["Resource"]}),
            "ContextEntries": context,
        }


def concrete(subject: Subject, pattern: str) -> str:
    """A resource that a pattern of the policy covers: `endpoint/pawprint-x` for `endpoint/pawprint*`."""
    if pattern == "*":
        return pattern
    parts = pattern.split(":", 5)
    parts[3] = subject.region if parts[3] == "*" else parts[3]
    parts[4] = subject.account if parts[4] == "*" else parts[4]
    parts[5] = parts[5].replace(f"{subject.name}*", f"{subject.name}-x").replace("*", "x")
    return ":".join(parts)


def service_linked_roles(subject: Subject) -> CheckResult:
    """AWS creates the roles of Application Auto Scaling with the first policy, if the caller may."""
    from botocore.exceptions import ClientError

    iam, arn = subject.client("iam"), subject.identity["Arn"]
    service = "sagemaker.application-autoscaling.amazonaws.com"
    creates = good("AWS creates the service-linked role of Application Auto Scaling if it is missing", service)
    if arn.endswith(":root"):
        return creates
    answer = iam.simulate_principal_policy(
        PolicySourceArn=_policy_source(subject, arn),
        ActionNames=["iam:CreateServiceLinkedRole"],
        ResourceArns=[f"arn:aws:iam::{subject.account}:role/aws-service-role/{service}/x"],
    )
    if answer["EvaluationResults"][0]["EvalDecision"] == "allowed":
        return creates
    try:
        iam.get_role(RoleName="AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return bad(
            f"The service-linked role of {service} is missing, and you may not create it",
            f"ask an administrator: aws iam create-service-linked-role --aws-service-name {service}",
        )
    return good("The service-linked role of Application Auto Scaling exists", service)
