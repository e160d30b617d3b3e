"""Promoted models in SageMaker's Model Registry, if the setting `registry` is on: a version each, with its metrics.

A version is written after its model is live, and is approved then. A model that somebody has rejected in the registry
is not promoted. The group is in Terraform (terraform/registry.tf), its versions are not.
"""

from __future__ import annotations

import json
from typing import Any

from classifier import artifact, contract

from deploy import console
from deploy.console import Failure
from deploy.deployment import IN_FUNCTION, Deployment
from deploy.sagemaker import history, releases
from deploy.sagemaker.history import Promotion

GROUP = "model_package_group"  # the output
APPROVED, REJECTED = "Approved", "Rejected"
MOST_CHARACTERS = 256  # of a value in CustomerMetadataProperties (SageMaker's API reference)


def known_version(deployment: Deployment, sha256: str | None) -> str | None:
    """The ARN of the version of the model with this identity; None if it has none, or without a registry."""
    if not deployment.has(GROUP) or not sha256:
        return None
    made = [each.package for each in history.read(deployment) if each.sha256 == sha256 and each.package]
    there = set(_versions(deployment)) if made else set()  # somebody may have deleted it
    return next((version for version in made if version in there), None)


def _versions(deployment: Deployment) -> list[str]:
    """The ARNs of all versions in the group."""
    sagemaker = deployment.client("sagemaker")
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=deployment.outputs[GROUP])
    return [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]


def require_not_rejected(deployment: Deployment, version: str | None, force: bool) -> None:
    """Raise Failure if somebody rejected this version, unless `force` is set."""
    if not version or force:
        return
    found = deployment.client("sagemaker").describe_model_package(ModelPackageName=version)
    if found.get("ModelApprovalStatus") == REJECTED:
        reason = found.get("ApprovalDescription", "no reason is given")
        raise Failure(
            f"The Model Registry has rejected this model ({reason}): {version}. Nothing was changed. "
            "To promote it nevertheless, add FORCE=1."
        )


def register(deployment: Deployment, promotion: Promotion, version: str | None) -> str | None:
    """Write the version of a promoted model, or approve the one it has. Returns its ARN, None without a registry."""
    if not deployment.has(GROUP) or not promotion.sha256:  # the bootstrap model is not registered
        return None
    sagemaker = deployment.client("sagemaker")
    words = f"{promotion.outcome} by {promotion.by} at {promotion.at}"
    if version:
        sagemaker.update_model_package(ModelPackageArn=version, ModelApprovalStatus=APPROVED, ApprovalDescription=words)
        return version
    made = sagemaker.create_model_package(
        ModelPackageGroupName=deployment.outputs[GROUP],
        ModelPackageDescription=f"{promotion.release}: {promotion.architecture}, {promotion.classes} classes",
        InferenceSpecification=_specification(deployment, promotion),
        ModelApprovalStatus=APPROVED,
        CustomerMetadataProperties={
            name: str(value)[:MOST_CHARACTERS]
            for name, value in {
                "release": promotion.release,
                "run": promotion.run,
                "trained": promotion.trained,
                "promoted_by": promotion.by,
                "sha256": promotion.sha256,
                "data_sha256": promotion.data_sha256,
                "code_sha256": promotion.code_sha256,
                "before": promotion.before,
            }.items()
            if value
        },
        **_metrics(deployment, promotion),
    )
    console.step(f"Registered as {made['ModelPackageArn'].rpartition(':')[2]}")
    return made["ModelPackageArn"]


def _specification(deployment: Deployment, promotion: Promotion) -> dict[str, Any]:
    """The container as the endpoint has it. If the function has the model itself, the one that an endpoint would have.

    Without instance types, which are optional for versions, a version can be deployed on any type.
    """
    if deployment.endpoint_kind == IN_FUNCTION:
        environment = {artifact.EXPECTED: promotion.sha256}
        container = {"Image": deployment.endpoint_image, "Environment": environment}
    else:
        live = releases.live_container(deployment)
        container = {name: live[name] for name in ("Image", "Environment") if live.get(name)}
    return {
        "Containers": [{**container, "ModelDataUrl": promotion.model_data_url}],
        "SupportedContentTypes": [*contract.MEDIA_TYPES, contract.JSON_TYPE],
        "SupportedResponseMIMETypes": [contract.JSON_TYPE],
    }


def _metrics(deployment: Deployment, promotion: Promotion) -> dict[str, Any]:
    """The document with the model's quality, in the form that SageMaker Studio shows, and its place in S3.

    Source of the form: SageMaker developer guide, "Model quality metrics", multiclass classification.
    """
    accuracy = promotion.metrics.get("test_accuracy")
    if accuracy is None or not promotion.sha256:
        return {}
    key = f"releases/{promotion.sha256}/statistics.json"
    values = {"accuracy": {"value": accuracy, "standard_deviation": "NaN"}}
    document = {"multiclass_classification_metrics": values, "metrics": promotion.metrics}
    deployment.client("s3").put_object(
        Bucket=deployment.artifacts_bucket,
        Key=key,
        Body=json.dumps(document, indent=2).encode(),
        ContentType="application/json",
    )
    uri = f"s3://{deployment.artifacts_bucket}/{key}"
    return {"ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": uri}}}}


def delete_all(deployment: Deployment) -> None:
    """Delete the versions, because SageMaker keeps a group that has some."""
    if not deployment.has(GROUP):
        return
    sagemaker, versions = deployment.client("sagemaker"), _versions(deployment)
    if versions:
        console.step(f"Deleting {len(versions):,} versions of the Model Registry")
    for version in versions:
        sagemaker.delete_model_package(ModelPackageName=version)
