"""Checks of what runs and costs money although the state of the stack does not have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.doctor.check import CheckResult, Subject, good, unsure
from deploy.sagemaker import jobs


def outside_the_state(subject: Subject) -> CheckResult:
    """What runs, costs money and is not in the state: endpoints, jobs, notebooks and instances of this stack."""
    found = [
        *_endpoints(subject, subject.region),
        *_jobs(subject),
        *_batches(subject),
        *_notebooks(subject),
        *_instances(subject),
    ]
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


def _batches(subject: Subject) -> Iterator[tuple[str, str]]:
    sagemaker = subject.client("sagemaker")
    pages = sagemaker.get_paginator("list_transform_jobs").paginate(
        NameContains=f"{subject.name}-batch-", StatusEquals="InProgress"
    )
    for name in (each["TransformJobName"] for page in pages for each in page["TransformJobSummaries"]):
        if jobs.belongs(subject.name, name):
            yield f"transform job {name}", f"to stop it: aws sagemaker stop-transform-job --transform-job-name {name}"


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
