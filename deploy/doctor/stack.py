"""Checks of the stack: its state, and names that are taken."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from deploy import adoption, console, state_files, unfinished
from deploy.doctor.check import CheckResult, Subject, bad, good, unsure

LOCK = ".terraform.tfstate.lock.info"  # Terraform's own name for the lock of a local state


def state(subject: Subject) -> CheckResult:
    """The Terraform state on this machine: readable, the last one that was applied, and not in use."""
    version = state_files.Version.read(subject.stack.state_file)  # raises Failure with the way out
    lock = subject.env.home / LOCK
    if lock.is_file():
        held = json.loads(lock.read_text() or "{}")
        return unsure(
            f"Terraform is running, or was killed: {held.get('Operation', 'an operation')} by {held.get('Who', '?')} "
            f"since {held.get('Created', '?')[:19]}",
            f"wait for it; if it was killed, {console.make('apply')} continues",
        )
    if unfinished.exists(subject.env):
        return unsure("The last apply or destroy did not finish", f"{console.make('apply')} continues it")
    where = f"{subject.name}-artifacts-{subject.account}-{subject.region}"
    confirmed = os.environ.get("CONFIRM") == subject.name  # as an apply takes it
    if not subject.stack.is_remote and not confirmed:
        state_files.require_same_state(subject.client("s3"), where, version, subject.name)
    if version is None and not subject.stack.is_remote:
        return good(f"Nothing is deployed from this checkout in {subject.env}")
    count = len(subject.stack.state().get("resources", []))
    return good(f"State with {count} kinds of resources", f"serial {version.serial}" if version else "remote")


# --- names ---


def named(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    """(resource type, planned attributes) of what the stack creates under a fixed name."""
    name = subject.name
    tags = {"tags_all": {"Project": name, "ManagedBy": "terraform"}}
    yield "aws_s3_bucket", {"bucket": f"{name}-artifacts-{subject.account}-{subject.region}"}
    for role in ("endpoint", "training", "notebook", "ec2-training", "predictor"):
        yield "aws_iam_role", tags | {"name": f"{name}-{role}"}
    yield "aws_iam_instance_profile", tags | {"name": f"{name}-ec2-training"}
    for group in (f"/aws/lambda/{name}-predictor", f"/aws/sagemaker/Endpoints/{name}", f"/{name}/ec2-training"):
        yield "aws_cloudwatch_log_group", tags | {"name": group}
    yield "aws_sagemaker_endpoint", tags | {"name": name}
    yield "aws_sagemaker_notebook_instance", tags | {"name": f"{name}-notebook"}
    yield "aws_sagemaker_notebook_instance_lifecycle_configuration", {"name": f"{name}-notebook"}
    yield "aws_lambda_function", tags | {"function_name": f"{name}-predictor"}


def names(subject: Subject) -> CheckResult:
    """Resources that exist under the stack's names although its state does not have them."""
    from botocore.exceptions import ClientError

    taken, unknown = [], []
    for kind, after in named(subject):
        label = after.get("name") or after.get("function_name") or after["bucket"]
        if (kind, label) in subject.known:
            continue
        try:
            existing = adoption.FINDERS[kind](subject.client, after)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in adoption.MISSING:
                unknown.append(f"{label}: {code}")
            continue
        if existing:
            taken.append(f"{kind.removeprefix('aws_')} {label}")
    if taken and unfinished.exists(subject.env):
        return unsure(
            f"{len(taken)} resources of an interrupted apply are not in the state",
            f"{console.make('apply')} takes them in",
            *taken,
        )
    if taken:
        return bad(
            f"Names that are taken: {', '.join(taken)}",
            f"set another name in {subject.env.tfvars.name}, delete them, or apply from the checkout that created them",
        )
    if unknown:
        return unsure(f"Names that could not be looked up: {', '.join(unknown)}", "see the check of permissions")
    return good(f"The names of the stack {subject.name} are free or its own")
