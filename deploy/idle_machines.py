"""What costs money by the hour and Terraform does not start: the notebook, its trial endpoints, and the instance."""

from __future__ import annotations

from deploy import console
from deploy.deployment import Deployment
from deploy.ec2 import runs
from deploy.sagemaker import trial_endpoints
from deploy.sleeping import SleepNote, notebook_status


def stop(deployment: Deployment) -> None:
    """Stop the notebook and the instance, and delete the notebook's trial endpoints. Waits for the notebook.

    An instance that trains goes on and stops itself later.
    """
    if deployment.has("notebook_name"):
        trial_endpoints.delete_endpoints(deployment)
    if deployment.has("notebook_name") and notebook_status(deployment) == "InService":
        sagemaker, name = deployment.client("sagemaker"), deployment.notebook_name
        console.step(f"Stopping the notebook instance {name}; its volume stays")
        sagemaker.stop_notebook_instance(NotebookInstanceName=name)
        sagemaker.get_waiter("notebook_instance_stopped").wait(
            NotebookInstanceName=name, WaiterConfig={"Delay": int(deployment.env.poll_seconds(15)) or 1}
        )
    if deployment.has("ec2_instance_id") and runs.is_running(deployment):
        training = next((each for each in runs.commands(deployment) if each.is_unfinished), None)
        if training:
            console.warn(f"The instance trains {training.comment}, so it goes on, and stops itself afterwards.")
            return
        console.step(f"Stopping the instance {deployment.ec2_instance_id}; its disk stays")
        deployment.client("ec2").stop_instances(InstanceIds=[deployment.ec2_instance_id])


def restore(deployment: Deployment, note: SleepNote | None) -> None:
    """Start the notebook if it ran before. The instance is started by the next training on it."""
    if note and note.notebook_ran and notebook_status(deployment) == "Stopped":
        console.step(f"Starting the notebook instance {deployment.notebook_name}, which ran before")
        deployment.client("sagemaker").start_notebook_instance(NotebookInstanceName=deployment.notebook_name)
