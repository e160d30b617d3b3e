"""`make destroy`: stop running jobs and remove everything that was deployed."""

from __future__ import annotations

from deploy import console, environment, settings, unfinished
from deploy.build import package
from deploy.deployment import Deployment
from deploy.sagemaker import jobs, registry, trial_endpoints
from deploy.terraform import Stack


def main() -> int:
    env = environment.current()
    with unfinished.explained(env, "destroy"):
        env.require_access()
        package.build(settings.endpoint_kind(env.tfvars))
        if code := Stack(env).destroy(prepare=stop_work):
            console.fail(f"Terraform failed. {unfinished.next_command(env, 'destroy')}")
        return code


def stop_work(deployment: Deployment) -> None:
    """Stop and delete what Terraform does not know: jobs, trial endpoints, registered versions.

    Outputs are missing if an apply failed early.
    """
    if not deployment.has("name", "region"):
        return
    jobs.stop_all(deployment)
    registry.delete_all(deployment)
    if deployment.has("training_log_group"):
        jobs.delete_log_streams(deployment)
    if deployment.has("notebook_name"):
        trial_endpoints.delete_all(deployment)


if __name__ == "__main__":
    console.run(main)
