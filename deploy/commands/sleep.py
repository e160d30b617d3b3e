"""`make sleep`: stop everything that costs while idle. Data, models, the URL and every setting stay."""

from __future__ import annotations

from deploy import console, environment, idle_machines, settings, sleeping
from deploy.build import package
from deploy.sagemaker import batch
from deploy.terraform import Stack


def main() -> int:
    env = environment.current()
    env.require_access()
    stack = Stack(env)
    deployment = stack.require_deployment()
    package.build(settings.endpoint_kind(env.tfvars))
    note = sleeping.write(deployment)
    if code := stack.apply_sleep():
        console.fail(f"The stack may be partly asleep. Again: {console.make('sleep')}. Back: {console.make('wake')}")
        return code
    batch.stop_all(deployment)
    idle_machines.stop(deployment)
    console.done(f"{deployment.name} is asleep since {note.since}: the URL answers 502. {sleeping.hint()}")
    return 0


if __name__ == "__main__":
    console.run(main)
