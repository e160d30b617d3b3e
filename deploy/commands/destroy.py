"""`make destroy`: stop running jobs and remove everything that was deployed."""

from __future__ import annotations

import os
import sys

from deploy import console, environment
from deploy.build import package
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import jobs, trial_endpoints
from deploy.terraform import Stack


def confirm_destroy(deployment: Deployment) -> None:
    """Ask for the stack's name if the settings are those of AWS, because a destroy deletes every dataset and trained
    model."""
    if not deployment.env.asks_before_destroy or os.environ.get("CONFIRM") == deployment.name:
        return
    bucket = f", the bucket {deployment.artifacts_bucket} with its datasets and trained models included"
    console.warn(
        f"This deletes everything in the stack {deployment.name} ({deployment.region})"
        f"{bucket if deployment.has('artifacts_bucket') else ''}."
    )
    if not sys.stdin.isatty() or input("Type the name of the stack to continue: ") != deployment.name:
        confirmed = console.make(f"destroy CONFIRM={deployment.name}")
        raise Failure(f"Nothing was destroyed. To confirm without a terminal: {confirmed}")


def main() -> int:
    env = environment.current()
    env.require_access()
    package.build()
    stack = Stack(env)
    deployment = stack.deployment()
    # If an apply failed before it made anything, there are no outputs, no running jobs and no data.
    if deployment.has("name", "region"):
        confirm_destroy(deployment)
        jobs.stop_all(deployment)
        if deployment.has("training_log_group"):
            jobs.delete_log_streams(deployment)
        if deployment.has("notebook_name"):
            trial_endpoints.delete_all(deployment)
    return stack.destroy()


if __name__ == "__main__":
    console.run(main)
