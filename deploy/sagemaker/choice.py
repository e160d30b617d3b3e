"""What `make promote MODEL=` names: a release, or a trained model."""

from __future__ import annotations

from dataclasses import dataclass

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import history, releases
from deploy.sagemaker.promotion import find_model
from deploy.sagemaker.releases import Releases


@dataclass(frozen=True)
class Choice:
    """The archive to promote. `release` is its release if `MODEL` names one, and `was_live` if it was served before."""

    uri: str
    release: str | None = None
    was_live: bool = False


def choose(deployment: Deployment, old: Releases, wanted: str | None) -> Choice:
    """Find what `wanted` names: `previous`, a release, a run, a tuning job or an address. Raises Failure."""
    if wanted == "previous":
        wanted = old.previous()
        if wanted is None:
            named = console.make("promote MODEL=<run>")
            raise Failure(f"The current release has no previous release. Name a model: {named}")
    if wanted is None or wanted.startswith("s3://"):
        return Choice(find_model(deployment, wanted))
    if wanted in old.models:
        return Choice(old.models[wanted].model_data_url, wanted, was_live=True)
    if wanted == releases.BOOTSTRAP:
        return Choice(_bootstrap(deployment), wanted, was_live=True)
    known = [each for each in history.read(deployment) if each.release == wanted]
    if known:
        was_live = any(each.outcome != history.FAILED for each in known)
        return Choice(known[0].model_data_url, wanted, was_live)
    return Choice(find_model(deployment, wanted))


def _bootstrap(deployment: Deployment) -> str:
    """The address of the bootstrap model. Terraform keeps that of the last apply only."""
    listed = deployment.client("s3").list_objects_v2(Bucket=deployment.artifacts_bucket, Prefix="payloads/bootstrap/")
    found = max(listed.get("Contents", []), key=lambda item: item["LastModified"], default=None)
    if found is None:
        raise Failure(f"The bucket has no bootstrap model. Upload it: {console.make('apply')}")
    return f"s3://{deployment.artifacts_bucket}/{found['Key']}"
