"""`make destroy`: stop running jobs and remove everything that was deployed."""

from __future__ import annotations

from deploy import api_key, console, environment, settings, unfinished
from deploy.build import package
from deploy.deployment import Deployment
from deploy.sagemaker import batch, jobs, registry, trial_endpoints
from deploy.terraform import Stack


def main() -> int:
    env = environment.current()
    with unfinished.explained(env, "destroy"):
        env.require_access()
        package.build(settings.endpoint_kind(env.tfvars))
        deployment = Stack(env).deployment()
        if code := Stack(env).destroy(prepare=stop_work):
            console.fail(f"Terraform failed. {unfinished.next_command(env, 'destroy')}")
        if deployment.outputs.get("predictor_auth_type") == api_key.KEY:
            api_key.remove(deployment)
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
        jobs.delete_log_streams(deployment, deployment.training_log_group)
    batch.stop_all(deployment)
    if deployment.has("batch_log_group") and batch.all_jobs(deployment):
        jobs.delete_log_streams(deployment, deployment.batch_log_group)
    if deployment.has("notebook_name"):
        trial_endpoints.delete_all(deployment)


if __name__ == "__main__":
    console.run(main)
