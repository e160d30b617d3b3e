"""After a training on a new version of a dataset (`make review`): the new model against the live one.

The comparison is that of `make promote` (docs/adr/0026). It keeps the answers of both models, so the promotion that
follows computes nothing again.
"""

from __future__ import annotations

from typing import Any

from deploy import bucket, console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import promotion, releases


def show(deployment: Deployment, job: dict[str, Any]) -> None:
    """Compare the model of a training job with the live one if the job's dataset is a version of another one.

    Prints the result. A failure is a warning, because the training has succeeded.
    """
    before = previous_version(deployment, job)
    if before is None:
        return
    try:
        live = releases.read(deployment) or releases.live(deployment)
        if live.current == releases.BOOTSTRAP:
            console.step("The live model is the bootstrap model: there is no older model to compare with")
            return
        from deploy.evaluation import gate  # imports OpenVINO, which takes a second

        uri = job["ModelArtifacts"]["S3ModelArtifacts"]
        checked = promotion.check_archive(deployment, uri)
        name = promotion.release_id(uri, checked.etag)
        archive = promotion.local_archive(deployment, checked.etag)
        gate.examine(deployment, gate.Contender(name, checked.sha256, checked.card, archive), live, None, force=True)
    except Failure as failure:
        console.warn(f"The new model is not compared with the live one: {failure}")


def previous_version(deployment: Deployment, job: dict[str, Any]) -> str | None:
    """The dataset from which the job's dataset was made, None if it was not made from another one."""
    place = f"s3://{deployment.artifacts_bucket}/"
    for channel in job.get("InputDataConfig", []):
        uri = channel.get("DataSource", {}).get("S3DataSource", {}).get("S3Uri", "")
        if channel["ChannelName"] == "test" and uri.startswith(place):
            key = f"{uri.removeprefix(place).rstrip('/').removesuffix('/test')}/dataset.json"
            document = bucket.note(deployment.client("s3"), deployment.artifacts_bucket, key) or {}
            return document.get("from")
    return None
