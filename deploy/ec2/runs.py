"""Runs on the training instance: start one, find earlier ones.

This machine stores nothing about a run. SSM has its commands under its name, and S3 has its model.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from classifier import prices

from deploy import console, datasets, options, weights
from deploy.build.upload import upload
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.ec2 import command as ec2_command
from deploy.ec2 import instance
from deploy.ec2.command import Command

SCRIPT = Path(__file__).with_name("run.sh")
BUSY = 75  # sysexits.h: temporary failure
KEEPER_SECONDS = 20


def script(
    run: str, deployment: Deployment, payloads: dict, dataset: datasets.Uploaded, arguments: argparse.Namespace
) -> str:
    """run.sh with its values and the arguments of the trainer: the shell script for the instance."""
    program = {
        "--run": run,
        "--dataset": dataset.uri,
        "--serving": payloads["inference"],
        "--output": f"s3://{deployment.artifacts_bucket}/models/{run}/output/",
        "--weights": ",".join(weights.upload(deployment, arguments)) or None,
        "--threads": arguments.threads,
        "--workers": arguments.workers,
        "--instance-type": deployment.ec2_instance_type,
    } | {f"--{name}": value for name, value in options.hyperparameters(arguments).items()}
    bucket, _, key = payloads["ec2"].removeprefix("s3://").partition("/")
    price = prices.given_price()
    values = {
        "run": run,
        "region": deployment.region,
        "bucket": bucket,
        "key": key,
        "idle_minutes": deployment.ec2_idle_minutes,
        "max_minutes": arguments.max_minutes,
        "keeper_seconds": KEEPER_SECONDS,
        "busy": BUSY,
        "price_per_hour": "" if price is None else price,
    }
    given = [word for name, value in program.items() if value is not None for word in (name, str(value))]
    return ec2_command.script(SCRIPT, values, given)


def commands(deployment: Deployment) -> list[Command]:
    """The training commands, newest first. The comment of each is the name of its run."""
    prefix = f"{deployment.name}-ec2-"
    return [command for command in ec2_command.sent(deployment) if command.comment.startswith(prefix)]


def require_free(deployment: Deployment, known: list[Command], run: str | None = None) -> None:
    """Raise Failure if the instance is training another run than `run`."""
    for command in known:
        if command.is_unfinished and command.comment != run and is_running(deployment):
            raise Failure(
                f"The instance is training {command.comment}, and it trains one run at a time. "
                f"To watch that run: {console.make(f'train-ec2 RUN={command.comment}')}. "
                f"To stop it: aws ssm cancel-command --command-id {command.id}"
            )


def is_running(deployment: Deployment) -> bool:
    return instance.describe(deployment)["State"]["Name"] in ("pending", "running")


def model_of(deployment: Deployment, run: str) -> str | None:
    """The address of the run's model. None if the run is not complete."""
    s3, bucket = deployment.client("s3"), deployment.artifacts_bucket
    key = f"models/{run}/output/model.tar.gz"
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [])
    return f"s3://{bucket}/{key}" if found else None


def find(known: list[Command], run: str) -> Command:
    """The last command of a run. If there is none, raises Failure with the names of the last runs."""
    for command in known:
        if command.comment == run:
            return command
    names = list(dict.fromkeys(command.comment for command in known))[:5]
    raise Failure(f"This instance has no run {run}. Its last ones: {', '.join(names) or 'none'} (AWS keeps 30 days).")


def go_on(deployment: Deployment, known: list[Command], run: str) -> tuple[str, bool]:
    """The command that trains the run, and whether it was already running. If the run was interrupted, send its command
    again with the same program, data and settings, because its checkpoint fits no others. Raises Failure."""
    last = find(known, run)
    require_free(deployment, known, run)
    if last.is_unfinished and is_running(deployment):
        return last.id, True
    if last.is_unfinished:  # otherwise the agent might start it a second time when the instance is running again
        deployment.client("ssm").cancel_command(CommandId=last.id)
    console.step(f"{run} was interrupted or failed; starting it again from its checkpoint")
    instance.wake(deployment)
    instance.ensure_prepared(deployment, upload(deployment)["ec2"])
    return ec2_command.send(deployment, last.lines, last.seconds, run), False


def billed_from(known: list[Command], command: Command, launched: datetime) -> datetime:
    """The start of the instance if it was started for this command, otherwise the time of the command."""
    earlier = [each for each in known if launched <= each.requested < command.requested]
    return command.requested if earlier else min(launched, command.requested)
