"""`make apply`: package the payloads, deploy the stack, then request one prediction."""

from __future__ import annotations

from deploy import console, environment, idle_machines, settings, sleeping, unfinished
from deploy.build import package
from deploy.doctor import examination
from deploy.doctor.check import Subject
from deploy.sagemaker import endpoint_check
from deploy.terraform import Stack


def main() -> int:
    env = environment.current()
    stack = Stack(env)
    with unfinished.explained(env, "apply"):
        env.require_access()
        examination.require_healthy(Subject(env, stack))
        package.build(settings.endpoint_kind(env.tfvars))
        if code := stack.apply():
            console.fail(f"Terraform failed. {unfinished.next_command(env, 'apply')}")
            return code
    deployment = stack.require_deployment()
    if sleeping.is_asleep(deployment):
        idle_machines.stop(deployment)  # an update of the notebook starts it
        console.done(f"{deployment.name} is deployed and stays asleep. {sleeping.hint()}")
        return 0
    endpoint_check.require_service(deployment, deployment.release)
    console.done(f"{deployment.name} is deployed; it serves {deployment.release}")
    console.out.print(f"  {deployment.function_url}")
    return 0


if __name__ == "__main__":
    console.run(main)
