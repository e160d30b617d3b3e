"""What a plan would destroy, and the confirmation that it needs.

Terraform replaces a resource if a setting cannot be changed in place. That is harmless for most resources. It is not
for those that contain data or that users depend on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from deploy import bucket, console
from deploy.console import Failure

Client = Callable[[str], Any]  # service -> boto3 client of the stack's region


def of_bucket(client: Client, before: dict[str, Any]) -> str:
    found = bucket.contents(client("s3"), before["bucket"])
    return f"the bucket {before['bucket']}" + (f" with {found}" if found else "")


# Resource type -> what is lost with it, in words.
KINDS: dict[str, Callable[[Client, dict[str, Any]], str]] = {
    "aws_s3_bucket": of_bucket,
    "aws_sagemaker_notebook_instance": lambda _, before: (
        f"the notebook instance {before['name']} with every file on its volume ({before['volume_size']} GB)"
    ),
    "aws_sagemaker_endpoint": lambda _, before: (
        f"the endpoint {before['name']}: the URL answers with errors until a new endpoint is in service"
    ),
    "aws_lambda_function_url": lambda _, before: f"the address {before['function_url']}: clients need the new one",
    "aws_cloudwatch_log_group": lambda _, before: f"the log group {before['name']} with its lines",
}


def of_plan(plan: dict[str, Any], client: Client, unfinished: bool = False) -> list[str]:
    """What the plan (`terraform show -json`) destroys of the kinds above, one sentence part each.

    `unfinished` says that the last apply was interrupted. Terraform then replaces what it was creating ("tainted").
    Nobody has used it, so it is not a loss. A bucket is counted all the same.
    """
    return list(_of_plan(plan, client, unfinished))


def _of_plan(plan: dict[str, Any], client: Client, unfinished: bool) -> Iterator[str]:
    for resource in plan.get("resource_changes", []):
        change, kind = resource["change"], resource["type"]
        if "delete" in change["actions"] and kind in KINDS and not _is_expected(plan, resource, unfinished):
            yield KINDS[kind](client, change["before"])


def _is_expected(plan: dict[str, Any], resource: dict[str, Any], unfinished: bool) -> bool:
    if resource["type"] == "aws_sagemaker_endpoint" and plan.get("variables", {}).get("asleep", {}).get("value"):
        return True  # the user asked for it, and `make wake` creates it again
    if resource["type"] == "aws_sagemaker_endpoint" and _changes_kind(plan):
        return True
    tainted = resource.get("action_reason") == "replace_because_tainted"
    return unfinished and tainted and resource["type"] != "aws_s3_bucket"


def _changes_kind(plan: dict[str, Any]) -> bool:
    """Whether the plan changes endpoint.kind. The function leaves the old endpoint before it is deleted.

    A stack of an older version has no such output, and its kind is not changed by the first apply.
    """
    kind = plan.get("output_changes", {}).get("endpoint_kind", {})
    before, after = kind.get("before"), kind.get("after")
    return None not in (before, after) and before != after


def buckets_of_plan(plan: dict[str, Any]) -> list[str]:
    """The buckets that the plan deletes. S3 refuses to delete one that is not empty."""
    return [
        resource["change"]["before"]["bucket"]
        for resource in plan.get("resource_changes", [])
        if resource["type"] == "aws_s3_bucket" and "delete" in resource["change"]["actions"]
    ]


def confirm(name: str, losses: list[str], target: str, cost: str = "") -> None:
    """Return if the user agrees: types the stack's name, or set CONFIRM to it. Raises Failure otherwise.

    `cost` is how the monthly cost changes, in words.
    """
    if os.environ.get("CONFIRM") == name:
        return
    console.warn(f"This {'deletes' if target == 'destroy' else 'apply deletes'}:")
    for loss in losses:
        console.err.print(f"  - {loss}", markup=False)
    question = f"Type {name} to continue{f' ({cost})' if cost else ''}: "
    if sys.stdin.isatty() and input(question).strip() == name:
        return
    confirmed = console.make(f"{target} CONFIRM={name}")
    nothing = "Nothing was destroyed" if target == "destroy" else "Nothing was changed"
    raise Failure(f"{nothing}. To confirm without a terminal: {confirmed}")
