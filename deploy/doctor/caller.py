"""Checks of the caller: credentials, account, region, services and plan of the account."""

from __future__ import annotations

import re

from deploy.doctor.check import CheckResult, Subject, bad, good, unsure
from deploy.environment import TERRAFORM

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
