"""Train on the EC2 instance over SSM, without an open port or a key.

The command starts the instance if it is stopped, prepares it if its first boot did not, sends one shell script and
streams its output. The run is unattended: it continues if the connection is lost or the command ends, and the instance
stops itself. With --run, the command watches a run in progress, or starts an interrupted run again from its checkpoint.
"""

from __future__ import annotations

import argparse

from deploy import console, datasets
from deploy.build.upload import upload
from deploy.console import Failure
from deploy.costs import expected
from deploy.deployment import Deployment
from deploy.ec2 import command as ec2_command
from deploy.ec2 import instance, runs, watch
from deploy.sagemaker import jobs


def start(deployment: Deployment, arguments: argparse.Namespace) -> tuple[str, str]:
    """Send a new run to the instance. Returns its name and the command's id."""
    runs.require_free(deployment, runs.commands(deployment))
    payloads = upload(deployment)
    dataset = datasets.resolve(deployment, arguments.data)
    expected.announce(expected.of_instance(deployment, dataset.name))
    instance.wake(deployment)
    instance.ensure_prepared(deployment, payloads["ec2"])
    run = jobs.new_name(deployment.name, "ec2")
    console.step(f"Training {run} on {deployment.ec2_instance_type}")
    script = runs.script(run, deployment, payloads, dataset, arguments)
    return run, ec2_command.send(deployment, script.splitlines(), arguments.max_minutes * 60, run)


def follow(deployment: Deployment, run: str, command: str, *, from_middle: bool = False) -> None:
    """Stream the run to its end. Ctrl-C leaves it running. Raises Failure with the reason if it failed."""
    again = console.make(f"train-ec2 RUN={run}")
    result = watch.Watch(deployment, command, again, what=run).to_end(with_progress=not from_middle)
    if result["Status"] != "Success":
        raise Failure(f"{run} {ec2_command.ending(result)}\nTo continue from its last epoch: {again}")


def finish(deployment: Deployment, run: str, command: str) -> None:
    known = runs.commands(deployment)
    sent = next(each for each in known if each.id == command)
    launched = instance.describe(deployment)["LaunchTime"]
    console.done(
        f"{run} is trained: {runs.model_of(deployment, run)}\n"
        f"  {instance.cost(deployment, runs.billed_from(known, sent, launched), launched)}\n"
        f"  Its report: {console.make(f'report JOB={run}')}\n  Put the model behind the URL: {console.make('promote')}"
    )
