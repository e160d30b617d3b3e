"""Put a trained model behind the URL, blue/green, and go back if it fails.

MODEL is a run's name, a tuning job's (its best trial is meant), an `s3://…/model.tar.gz`, or `previous`; by default the
model trained last, or, where that was a trial, the best of its tuning job. The archive is checked before anything
changes. Then Terraform makes the SageMaker model and endpoint configuration of the new release beside those of the old
one and updates the endpoint; the old ones stay, so that a roll back is one more update. What is live is read from
SageMaker afterwards, and asked for one prediction.
"""

from __future__ import annotations

import re

from deploy import console, runs
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import endpoint_check, releases
from deploy.sagemaker.releases import Releases
from deploy.terraform import Stack

ARCHIVE = "model.tar.gz"


def find_model(deployment: Deployment, wanted: str | None) -> str:
    """The S3 URI of the archive that `wanted` means: a URI, or what `runs.find` takes."""
    if wanted and wanted.startswith("s3://"):
        return wanted
    return runs.address(deployment, runs.find(deployment, wanted, ARCHIVE), ARCHIVE)


def check_archive(deployment: Deployment, uri: str):
    """Download the archive and check it; returns its model card and its ETag. Raises Failure."""
    from classifier.artifact import ArtifactError, validate

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3 = deployment.client("s3")
    try:
        etag = s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    except s3.exceptions.ClientError as error:
        raise Failure(f"{uri} cannot be read: {error}") from error
    local = deployment.env.home / "models" / f"{etag}.tar.gz"
    if not local.is_file():
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_suffix(".partial")
        s3.download_file(bucket, key, str(partial))
        partial.rename(local)
    try:
        card = validate(local)
        if not card.serving:
            raise ArtifactError(
                "it was made by a version before 0.2, whose serving code AWS's image cannot run. Train it again: "
                f"{console.make('train')}"
            )
        return card, etag
    except ArtifactError as error:
        local.unlink()
        reason = str(error).replace(str(local), "the archive")
        raise Failure(f"{uri} cannot be promoted: {reason}\nNothing was changed.") from error


def release_id(uri: str, etag: str) -> str:
    """A name for a release: the run it came from, and the archive's own hash, so that the same name is the same
    model."""
    parts = uri.split("/")
    run = parts[-3] if parts[-2:] == ["output", "model.tar.gz"] else parts[-1].split(".")[0]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', run).strip('-')[-36:].lstrip('-')}-{etag[:8]}"


def switch(stack: Stack, old: Releases, new: Releases) -> None:
    """Apply the new releases to the endpoint; where that fails, apply the old ones again and raise Failure."""
    try:
        if stack.apply_release(new):
            raise Failure(f"Terraform could not change the endpoint. {failure_reason(stack.deployment())}".strip())
        endpoint_check.require_service(stack.deployment(), new.current)
    except KeyboardInterrupt:
        again = console.make(f"promote MODEL={new.current.rpartition('-')[0]}")
        raise Failure(
            f"Interrupted: the endpoint may serve either model, and {old.current} is still the one on record. "
            f"To go on: {again}. To go back: {console.make('apply')}"
        ) from None
    except Failure as failure:
        stack.env.require_own_local_aws()  # if it has gone there is nothing to go back on: promote again once it is up
        console.warn(f"The endpoint did not take {new.current}: going back to {old.current}.")
        if stack.apply_release(old):
            raise Failure(f"Going back failed as well. See: {console.make('logs WHAT=endpoint')}") from failure
        endpoint_check.require_configuration(stack.deployment())
        raise Failure(
            f"{new.current} was not promoted; the endpoint serves {old.current} again.\n{failure}"
        ) from failure


def failure_reason(deployment: Deployment) -> str:
    """What SageMaker says about the last change of the endpoint, which after a roll back is still to be read."""
    sagemaker = deployment.client("sagemaker")
    return sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name).get("FailureReason", "")


def serves(deployment: Deployment, uri: str) -> bool:
    """Whether the endpoint really runs this archive; after an interrupted promotion the record may say otherwise."""
    live = releases.live(deployment)
    return live.models[live.current].model_data_url == uri


def live_instance_count(deployment: Deployment) -> int | None:
    """How many instances the endpoint has now; None where it has none that work."""
    sagemaker = deployment.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)
    return next((variant["CurrentInstanceCount"] for variant in endpoint.get("ProductionVariants", [])), None) or None
