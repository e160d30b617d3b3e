"""Which models the endpoint knows: the one it serves and the one before it.

The document `deployments/releases.json` in the artifacts bucket is the single record of what was promoted. Terraform
gets it as the variable `releases` and keeps the SageMaker model and endpoint configuration of both, so that
nothing in use is ever deleted and going back needs nothing new.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from deploy.deployment import Deployment

KEY = "deployments/releases.json"


@dataclass(frozen=True)
class Release:
    """One model that can stand behind the endpoint.

    `initial_instance_count` is the endpoint's size at the moment of the promotion: without it, every new
    configuration would throw a scaled-out endpoint back to its first size.
    """

    model_data_url: str
    initial_instance_count: int | None = None


@dataclass(frozen=True)
class Releases:
    """The releases by id, and the id of the one that serves."""

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
    """What was promoted, or None where the endpoint still serves the bootstrap model."""
    if not deployment.has("artifacts_bucket"):
        return None
    s3 = deployment.client("s3")
    try:
        body = s3.get_object(Bucket=deployment.artifacts_bucket, Key=KEY)["Body"].read()
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return None
    document = json.loads(body)
    models = {name: Release(**model) for name, model in document["models"].items()}
    return Releases(current=document["current"], models=models)


def write(deployment: Deployment, releases: Releases) -> None:
    body = json.dumps(releases.as_variable(), indent=2).encode()
    s3 = deployment.client("s3")
    s3.put_object(Bucket=deployment.artifacts_bucket, Key=KEY, Body=body, ContentType="application/json")


def live(deployment: Deployment) -> Releases:
    """The release that the endpoint serves now, read from SageMaker itself."""
    sagemaker = deployment.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    variant = config["ProductionVariants"][0]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    release = Release(model["PrimaryContainer"]["ModelDataUrl"], variant["InitialInstanceCount"])
    return Releases(current=deployment.release, models={deployment.release: release})
