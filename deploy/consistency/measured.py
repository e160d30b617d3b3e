"""What one instance of the endpoint answered in the last load test: a note in the artifacts bucket.

`make load-test` writes it, and the next plan compares the settings with it (`deploy.consistency.rules`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from deploy import bucket
from deploy.deployment import Deployment

NOTE = "deployments/measured.json"


@dataclass(frozen=True)
class MeasuredInstance:
    """`rate` is the requests a second that one instance answered within the objective. `call` is the mean time of a
    call of the function in its fastest minute, in seconds; None if CloudWatch had no value."""

    instance_type: str
    rate: float
    call: float | None
    on: str


def write(deployment: Deployment, rate: float, call: float | None) -> None:
    """Replace the note. The type is the one of the live endpoint configuration."""
    sagemaker = deployment.client("sagemaker")
    described = sagemaker.describe_endpoint_config(EndpointConfigName=deployment.endpoint_config_name)
    kind = described["ProductionVariants"][0]["InstanceType"]
    measured = MeasuredInstance(kind, rate, call, f"{datetime.now(UTC):%Y-%m-%d}")
    deployment.client("s3").put_object(
        Bucket=deployment.artifacts_bucket,
        Key=NOTE,
        Body=json.dumps(asdict(measured)).encode(),
        ContentType="application/json",
    )


def read(deployment: Deployment) -> MeasuredInstance | None:
    """The note; None if nothing is deployed or measured."""
    if not deployment.has("artifacts_bucket", "region"):
        return None
    found = bucket.note(deployment.client("s3"), deployment.artifacts_bucket, NOTE)
    return MeasuredInstance(**found) if found else None
