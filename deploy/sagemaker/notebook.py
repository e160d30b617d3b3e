"""Open the SageMaker notebook instance: start it if it is stopped, then give the URL that lets its holder in."""

from __future__ import annotations

import time

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.follow import Follow

START_TIMEOUT = 900  # seconds; AWS takes about 5 minutes


def start(deployment: Deployment) -> None:
    """Start the instance unless it runs, and wait until it is in service.

    Raises Failure with SageMaker's reason where it fails, and after START_TIMEOUT.
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
            reason = notebook.get("FailureReason", "no reason was given")
            raise Failure(f"The notebook instance {name} failed: {reason}\nIts log: {log_hint(deployment)}")
        if time.monotonic() > deadline:
            raise Failure(f"The notebook instance {name} was not in service within {START_TIMEOUT // 60} minutes.")
        if status in ("Stopped", "Failed") and not started:
            sagemaker.start_notebook_instance(NotebookInstanceName=name)
            started = True
        if status != shown:
            shown = status
            console.step(f"The notebook instance {name} is {status}; waiting until it is in service")
        return None

    following.until(look, seconds=5)


def log_hint(deployment: Deployment) -> str:
    """Where the output of its lifecycle script and of its server can be read."""
    return f"CloudWatch Logs, group /aws/sagemaker/NotebookInstances, streams {deployment.notebook_name}/…"
