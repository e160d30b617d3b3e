"""A stack that is asleep: nothing of it costs money by the hour, and everything can be started again.

`make sleep` leaves a note in the artifacts bucket, `deployments/asleep.json`. While it is there, every apply gets the
Terraform variable `asleep`, so a plan stays empty and no apply starts the endpoint again unasked. Terraform deletes the
endpoint and the warm environments; the model and its endpoint configuration stay.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from deploy import bucket, console, settings
from deploy.console import Failure
from deploy.deployment import Deployment

NOTE = "deployments/asleep.json"


@dataclass(frozen=True)
class SleepNote:
    """Since when the stack is asleep, and whether its notebook ran before."""

    since: str
    notebook_ran: bool = False


def read(deployment: Deployment) -> SleepNote | None:
    """The note; None if the stack is awake or not deployed."""
    if not deployment.has("artifacts_bucket", "region"):
        return None
    found = bucket.note(deployment.client("s3"), deployment.artifacts_bucket, NOTE)
    return SleepNote(**found) if found else None


def is_asleep(deployment: Deployment) -> bool:
    """Whether the next apply is one of a stack that is asleep: by its note, or by its settings."""
    return read(deployment) is not None or bool(settings.value(deployment.env.tfvars, "asleep"))


def write(deployment: Deployment) -> SleepNote:
    """Leave the note, or keep the one that is there."""
    if note := read(deployment):
        return note
    note = SleepNote(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", notebook_status(deployment) == "InService")
    body = json.dumps(asdict(note)).encode()
    deployment.client("s3").put_object(
        Bucket=deployment.artifacts_bucket, Key=NOTE, Body=body, ContentType="application/json"
    )
    return note


def remove(deployment: Deployment) -> None:
    deployment.client("s3").delete_object(Bucket=deployment.artifacts_bucket, Key=NOTE)


def require_awake(deployment: Deployment, what: str) -> None:
    """Raise Failure if the stack is asleep, because `what` needs its endpoint."""
    if note := read(deployment):
        raise Failure(f"{deployment.name} is asleep since {note.since}, and {what} needs its endpoint. {hint()}")


def hint() -> str:
    return f"To wake it: {console.make('wake')}"


def notebook_status(deployment: Deployment) -> str | None:
    """The status of the notebook instance; None if there is none."""
    if not deployment.has("notebook_name"):
        return None
    sagemaker: Any = deployment.client("sagemaker")
    described = sagemaker.describe_notebook_instance(NotebookInstanceName=deployment.notebook_name)
    return described["NotebookInstanceStatus"]
