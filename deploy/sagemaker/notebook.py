"""Start the SageMaker notebook instance if it is stopped, and get a URL that opens it without a password."""

from __future__ import annotations

import time

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.follow import Follow

START_TIMEOUT = 900  # seconds; AWS takes about 5 minutes


def start(deployment: Deployment) -> None:
    """Start the instance unless it is running, and wait until it is in service.

    Raises Failure with SageMaker's reason if the start fails, and after START_TIMEOUT seconds.
    """
    name = deployment.notebook_name
    following = Follow(deployment, f"The notebook instance {name}", console.make("notebook"))
    deadline = time.monotonic() + START_TIMEOUT
    started, shown = False, ""

    def look() -> bool | None:
        nonlocal started, shown
        sagemaker = following.client("sagemaker")
        notebook = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
        status = notebook["NotebookInstanceStatus"]
        if status == "InService":
            return True
        if status == "Failed" and started:
            reason = notebook.get("FailureReason", "SageMaker reports no reason")
            raise Failure(f"The notebook instance {name} failed: {reason}\nIts log: {log_hint(deployment)}")
        if time.monotonic() > deadline:
            raise Failure(
                f"The notebook instance {name} was not in service within {START_TIMEOUT // 60} minutes. "
                f"Try again: {console.make('notebook')}"
            )
        if status in ("Stopped", "Failed") and not started:
            sagemaker.start_notebook_instance(NotebookInstanceName=name)
            started = True
        if status != shown:
            shown = status
            console.step(f"The notebook instance {name} is {status}; waiting until it is in service")
        return None

    following.until(look, seconds=5)


def log_hint(deployment: Deployment) -> str:
    """The place of the logs of its lifecycle script and its server."""
    return f"CloudWatch Logs, group /aws/sagemaker/NotebookInstances, streams {deployment.notebook_name}/…"
