"""The endpoint's releases: the current model and the previous one.

The document `deployments/releases.json` in the artifacts bucket is the only record of promotions. Terraform gets it as
the variable `releases` and keeps the SageMaker model and endpoint configuration of both releases. So nothing in use is
deleted, and a rollback creates nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from classifier import artifact

from deploy import bucket, own_model
from deploy.deployment import IN_FUNCTION, Deployment

KEY = "deployments/releases.json"
BOOTSTRAP = "bootstrap"  # the release that Terraform always serves from the archive of this build


@dataclass(frozen=True)
class Release:
    """One model that the endpoint can serve.

    `initial_instance_count` is the number of instances at the promotion. Without it, each new configuration would reset
    a scaled-out endpoint to its first size. `sha256` is the model's `artifact.identity`, which the endpoint verifies
    when it loads the model. The bootstrap model and releases of older versions have none.
    """

    model_data_url: str
    initial_instance_count: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Releases:
    """The releases by id, and the id of the current one."""

    current: str
    models: dict[str, Release]

    def as_variable(self) -> dict:
        """The value of the Terraform variable `releases`."""
        return {
            "current": self.current,
            "models": {name: asdict(model) for name, model in self.models.items()},
        }

    def previous(self) -> str | None:
        """The id of the release before the current one."""
        return next((name for name in self.models if name != self.current), None)


def read(deployment: Deployment) -> Releases | None:
    """The record of promotions. None if the endpoint still serves the bootstrap model."""
    if not deployment.has("artifacts_bucket"):
        return None
    document = bucket.note(deployment.client("s3"), deployment.artifacts_bucket, KEY)
    if document is None:
        return None
    models = {name: Release(**model) for name, model in document["models"].items()}
    return Releases(current=document["current"], models=models)


def write(deployment: Deployment, releases: Releases) -> None:
    body = json.dumps(releases.as_variable(), indent=2).encode()
    s3 = deployment.client("s3")
    s3.put_object(Bucket=deployment.artifacts_bucket, Key=KEY, Body=body, ContentType="application/json")


def live(deployment: Deployment) -> Releases:
    """The release that is served now, read from SageMaker or, if the function has the model itself, from Lambda."""
    if deployment.endpoint_kind == IN_FUNCTION:
        release = Release(own_model.live_url(deployment))
        return Releases(current=deployment.release, models={deployment.release: release})
    variant = _live_variant(deployment)
    container = live_container(deployment, variant)
    expected = container.get("Environment", {}).get(artifact.EXPECTED)
    release = Release(container["ModelDataUrl"], variant.get("InitialInstanceCount"), expected)
    return Releases(current=deployment.release, models={deployment.release: release})


def _live_variant(deployment: Deployment) -> dict[str, Any]:
    sagemaker = deployment.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    return config["ProductionVariants"][0]


def live_container(deployment: Deployment, variant: dict[str, Any] | None = None) -> dict[str, Any]:
    """The container of the model that the endpoint serves now, as CreateModel takes it."""
    name = (variant or _live_variant(deployment))["ModelName"]
    return deployment.client("sagemaker").describe_model(ModelName=name)["PrimaryContainer"]
