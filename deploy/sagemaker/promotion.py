"""Put a trained model behind the URL, blue/green, and roll back if that fails.

MODEL is the name of a run, the name of a tuning job (for its best trial), an `s3://…/model.tar.gz`, a release, or
`previous`. The default is the model trained last. If that was a trial, the default is the best trial of its tuning job.
The archive is checked before anything changes, compared with the live model (`deploy.evaluation`), and copied to
`releases/`, where no role of the stack can write. Then Terraform creates the SageMaker model and endpoint configuration
of the new release and updates the endpoint. It keeps those of the old release, so a rollback is one more update.
Afterwards the live configuration is read from SageMaker, and the endpoint must answer one request. A function that has
the model itself gets the address of the new one: its new version must answer before the alias moves to it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from classifier import artifact

from deploy import console, own_model, runs
from deploy.build.upload import exists
from deploy.console import Failure
from deploy.deployment import IN_FUNCTION, INSTANCES, SERVERLESS, Deployment
from deploy.sagemaker import endpoint_check, releases
from deploy.sagemaker.releases import Releases
from deploy.sagemaker.update_watch import UpdateWatch
from deploy.terraform import Stack

ARCHIVE = "model.tar.gz"
# What a promotion applies, by the kind of endpoint. The function alone has no alias: it moves with its module.
MODULES = {INSTANCES: "module.endpoint", SERVERLESS: "module.endpoint", IN_FUNCTION: "module.predictor"}
FUNCTION = "module.predictor.aws_lambda_function.predictor"
ALARMS = [f"module.endpoint[0].aws_cloudwatch_metric_alarm.{name}" for name in ("server_errors", "slow")]


def find_model(deployment: Deployment, wanted: str | None) -> str:
    """The S3 URI of the archive that `wanted` names: a URI, or a name for `runs.find`."""
    if wanted and wanted.startswith("s3://"):
        return wanted
    return runs.address(deployment, runs.find(deployment, wanted, ARCHIVE), ARCHIVE)


@dataclass(frozen=True)
class Checked:
    """A model archive that can be served."""

    uri: str
    etag: str
    card: artifact.ModelCard
    sha256: str  # its artifact.identity


def check_archive(deployment: Deployment, uri: str) -> Checked:
    """Download the archive and check it. Raises Failure."""
    etag, local = fetch(deployment, uri)
    try:
        card = artifact.validate(local)
        if not card.serving:
            raise artifact.ArtifactError(
                "it is from a version before 0.2, and AWS's image cannot run its serving code. Train it again: "
                f"{console.make('train')}"
            )
        sha256 = artifact.identity(local)
    except artifact.ArtifactError as error:
        local.unlink()
        reason = str(error).replace(str(local), "the archive")
        raise Failure(f"{uri} cannot be promoted: {reason}\nNothing was changed.") from error
    if not (same := local_archive(deployment, sha256)).is_file():
        with suppress(OSError):  # the next promotion needs this archive, or downloads the copy in releases/
            same.hardlink_to(local)
    return Checked(uri, etag, card, sha256)


def local_archive(deployment: Deployment, name: str) -> Path:
    """The place of an archive on this machine. `name` is its ETag, or the identity of the model in it."""
    return deployment.env.home / "models" / f"{name}.tar.gz"


def fetch(deployment: Deployment, uri: str) -> tuple[str, Path]:
    """Download an archive, unless that was done before. Returns its ETag and its place here. Raises Failure."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3 = deployment.client("s3")
    try:
        etag = s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    except s3.exceptions.ClientError as error:
        raise Failure(f"{uri} cannot be read: {error}") from error
    local = local_archive(deployment, etag)
    if not local.is_file():
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_suffix(".partial")
        s3.download_file(bucket, key, str(partial))
        partial.rename(local)
    return etag, local


def published(deployment: Deployment, checked: Checked) -> str:
    """The address of the archive's copy under releases/, by content."""
    return f"s3://{deployment.artifacts_bucket}/releases/{checked.sha256}/{ARCHIVE}"


def publish(deployment: Deployment, checked: Checked) -> None:
    """Copy the archive to releases/, if it is not there. Raises Failure if it is no longer the one that was checked.

    Jobs and the notebook write models/, so the endpoint must not load from there.
    """
    bucket, _, key = checked.uri.removeprefix("s3://").partition("/")
    target = published(deployment, checked).removeprefix("s3://").partition("/")[2]
    s3 = deployment.client("s3")
    if exists(s3, deployment.artifacts_bucket, target):
        return
    try:
        s3.copy(
            {"Bucket": bucket, "Key": key},
            deployment.artifacts_bucket,
            target,
            ExtraArgs={"CopySourceIfMatch": f'"{checked.etag}"'},
        )
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
            raise
        raise Failure(f"{checked.uri} changed while it was checked. Nothing was changed. Run it again.") from error


def release_id(uri: str, etag: str) -> str:
    """A name for a release: its run and the hash of its archive. The same name is always the same model."""
    parts = uri.split("/")
    run = parts[-3] if parts[-2:] == ["output", "model.tar.gz"] else parts[-1].split(".")[0]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', run).strip('-')[-36:].lstrip('-')}-{etag[:8]}"


def switch(stack: Stack, old: Releases, new: Releases) -> None:
    """Apply the new releases to the endpoint. If that fails, apply the old ones again and raise Failure."""
    kind = stack.deployment().endpoint_kind
    watch = UpdateWatch(stack.deployment())
    try:
        if kind == IN_FUNCTION:
            try_version(stack, new)
        watch.require_quiet(lambda: stack.apply_release(new, *ALARMS))
        with watch:
            failed = stack.apply_release(new, MODULES[kind])
        if failed:
            raise Failure(f"Terraform could not change the endpoint. {failure_reason(stack.deployment())}".strip())
        endpoint_check.require_service(stack.deployment(), new.current)
    except KeyboardInterrupt:
        again = console.make(f"promote MODEL={new.current.rpartition('-')[0]}")
        raise Failure(
            f"Interrupted: the endpoint may serve either model; {old.current} is still on record. "
            f"To continue: {again}. To roll back: {console.make('apply')}"
        ) from None
    except Failure as failure:
        said = "\n".join(filter(None, [str(failure), watch.explanation()]))
        stack.env.require_own_local_aws()  # without a local AWS there is no rollback: promote again when it runs
        console.warn(f"{new.current} failed on the endpoint; rolling back to {old.current}.")
        if stack.apply_release(old, MODULES[kind]):
            raise Failure(
                f"The rollback failed too. To read the endpoint's log: {console.make('logs WHAT=endpoint')}"
            ) from failure
        endpoint_check.require_configuration(stack.deployment())
        raise Failure(
            f"{new.current} was not promoted; the endpoint serves {old.current} again.\n{said}\n"
            f"What its instances said: {console.make('logs WHAT=endpoint')}"
        ) from failure


def try_version(stack: Stack, new: Releases) -> None:
    """Give the function the new model without moving its alias, and let it answer once. Raises Failure."""
    if stack.apply_release(new, FUNCTION):
        raise Failure("Terraform could not change the function.")
    own_model.ask_once(stack.deployment(), new.current, own_model.LATEST)


def failure_reason(deployment: Deployment) -> str:
    """SageMaker's reason for the failure of the last update. SageMaker keeps it after a rollback."""
    if deployment.endpoint_kind == IN_FUNCTION:
        return ""
    sagemaker = deployment.client("sagemaker")
    return sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name).get("FailureReason", "")


def serves(deployment: Deployment, uri: str) -> bool:
    """Whether the endpoint runs this archive. After an interrupted promotion, it may differ from the record."""
    live = releases.live(deployment)
    return live.models[live.current].model_data_url == uri


def live_instance_count(deployment: Deployment) -> int | None:
    """The endpoint's current number of instances. None if no instance works, or if there are none."""
    if deployment.endpoint_kind != INSTANCES:
        return None
    sagemaker = deployment.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)
    return next((variant["CurrentInstanceCount"] for variant in endpoint.get("ProductionVariants", [])), None) or None
