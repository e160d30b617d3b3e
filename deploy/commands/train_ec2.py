"""`make train-ec2`: train on the EC2 instance and follow the run until it ends."""

from __future__ import annotations

from deploy import console, environment, options
from deploy.ec2 import runs
from deploy.ec2.training import finish, follow, start
from deploy.terraform import Stack


def main() -> None:
    arguments = options.training_on_ec2()
    deployment = Stack(environment.current()).require_deployment()
    run, ran_already = arguments.run, False
    if run and (model := runs.model_of(deployment, run)):
        console.done(
            f"{run} is trained already: {model}\n  Put it behind the URL: {console.make(f'promote MODEL={run}')}"
        )
        return
    if run:
        command, ran_already = runs.go_on(deployment, runs.commands(deployment), run)
    else:
        run, command = start(deployment, arguments)
    follow(deployment, run, command, from_middle=ran_already)
    finish(deployment, run, command)


if __name__ == "__main__":
    console.run(main)
