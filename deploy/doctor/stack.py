"""Checks of the stack: its state, names that are taken, and what costs money without being in the state."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from deploy import adoption, console, state_files
from deploy.doctor.check import CheckResult, Subject, bad, good, unsure
from deploy.sagemaker import jobs

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
    if state_files.unfinished(subject.env):
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
    if taken and state_files.unfinished(subject.env):
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


# --- what costs money ---


def strays(subject: Subject) -> CheckResult:
    """What runs, costs money and is not in the state: endpoints, jobs, notebooks and instances of this stack."""
    found = [*_endpoints(subject, subject.region), *_jobs(subject), *_notebooks(subject), *_instances(subject)]
    if not found:
        return good("Nothing of this stack runs outside its state")
    return unsure(f"Runs and costs money outside the state: {', '.join(words for words, _ in found)}", found[0][1])


def other_regions(subject: Subject) -> CheckResult:
    """Endpoints of this name in other regions, which a changed region or another checkout left.

    An organisation often denies regions, so each that cannot be asked is named.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    listed = subject.client("ec2").describe_regions()["Regions"]
    regions = sorted(each["RegionName"] for each in listed if each["RegionName"] != subject.region)
    found, silent = [], []
    for region in regions:
        try:
            found += _endpoints(subject, region)
        except (ClientError, BotoCoreError):
            silent.append(region)
    if found:
        return unsure(f"Endpoints in other regions: {', '.join(words for words, _ in found)}", found[0][1])
    if silent:
        return unsure(f"No endpoint of {subject.name} elsewhere; regions that could not be asked: {', '.join(silent)}")
    return good(f"No endpoint of {subject.name} in the {len(regions)} other regions")


def _endpoints(subject: Subject, region: str) -> Iterator[tuple[str, str]]:
    sagemaker = subject.client("sagemaker", region)
    own = region == subject.region
    for page in sagemaker.get_paginator("list_endpoints").paginate(NameContains=subject.name):
        for name in (each["EndpointName"] for each in page["Endpoints"]):
            ours = name == subject.name or name.startswith(f"{subject.name}-notebook-")
            if ours and not (own and ("aws_sagemaker_endpoint", name) in subject.known):
                delete = f"aws sagemaker delete-endpoint --endpoint-name {name} --region {region}"
                yield f"endpoint {name} in {region}", f"if nobody needs it: {delete}"


def _jobs(subject: Subject) -> Iterator[tuple[str, str]]:
    sagemaker = subject.client("sagemaker")
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=f"{subject.name}-", StatusEquals="InProgress"
    )
    for name in (each["TrainingJobName"] for page in pages for each in page["TrainingJobSummaries"]):
        if jobs.belongs(subject.name, name):
            yield f"training job {name}", f"to stop it: aws sagemaker stop-training-job --training-job-name {name}"


def _notebooks(subject: Subject) -> Iterator[tuple[str, str]]:
    sagemaker = subject.client("sagemaker")
    pages = sagemaker.get_paginator("list_notebook_instances").paginate(
        NameContains=f"{subject.name}-notebook", StatusEquals="InService"
    )
    for name in (each["NotebookInstanceName"] for page in pages for each in page["NotebookInstances"]):
        if name == f"{subject.name}-notebook" and ("aws_sagemaker_notebook_instance", name) not in subject.known:
            stop = f"aws sagemaker stop-notebook-instance --notebook-instance-name {name}"
            yield f"notebook {name}", f"to stop it: {stop}"


def _instances(subject: Subject) -> Iterator[tuple[str, str]]:
    filters: list[dict[str, Any]] = [
        {"Name": "tag:Project", "Values": [subject.name]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    for page in subject.client("ec2").get_paginator("describe_instances").paginate(Filters=filters):
        for each in (instance for found in page["Reservations"] for instance in found["Instances"]):
            if ("aws_instance", each["InstanceId"]) not in subject.known:
                end = f"aws ec2 terminate-instances --instance-ids {each['InstanceId']} --region {subject.region}"
                yield f"{each['InstanceType']} instance {each['InstanceId']}", f"if nobody needs it: {end}"
