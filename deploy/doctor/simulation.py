"""Checks of permissions: IAM simulates the deployer's policy for the caller (iam:SimulatePrincipalPolicy)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deploy.doctor.check import CheckResult, Subject, bad, good, unsure

SHOWN = 4  # actions that are named in the line; V=1 shows all
PASSED_TO = "sagemaker.amazonaws.com"


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
    """The principal to simulate. The ARN of a role's session lacks the role's path, so IAM is asked for it.

    A caller who may not read its role gets the ARN of a role without a path.
    """
    from botocore.exceptions import ClientError

    if ":assumed-role/" not in arn:
        return arn
    role = arn.partition(":assumed-role/")[2].partition("/")[0]
    try:
        return subject.client("iam").get_role(RoleName=role)["Role"]["Arn"]
    except ClientError as error:
        if not error.response["Error"]["Code"].startswith("AccessDenied"):
            raise
        return f"{arn.partition(':sts:')[0]}:iam::{subject.account}:role/{role}"


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
