"""`make wake`: start again what `make sleep` stopped, and request one prediction."""

from __future__ import annotations

from deploy import console, environment, idle_machines, settings, sleeping
from deploy.build import package
from deploy.console import Failure
from deploy.sagemaker import endpoint_check
from deploy.terraform import Stack


def main() -> int:
    env = environment.current()
    env.require_access()
    stack = Stack(env)
    deployment = stack.require_deployment()
    if settings.value(env.tfvars, "asleep"):
        raise Failure(f"{env.tfvars.name} sets asleep = true. Remove it, then {console.make('wake')}")
    note = sleeping.read(deployment)
    package.build(settings.endpoint_kind(env.tfvars))
    sleeping.remove(deployment)
    if code := stack.apply_sleep():
        console.fail(
            f"The stack may be partly awake. Again: {console.make('wake')}, or all of it: {console.make('apply')}"
        )
        return code
    idle_machines.restore(deployment, note)
    deployment = stack.require_deployment()
    endpoint_check.require_service(deployment, deployment.release)
    console.done(f"{deployment.name} is awake; the endpoint serves {deployment.release}")
    console.out.print(f"  {deployment.function_url}", markup=False)
    return 0


if __name__ == "__main__":
    console.run(main)
