"""Runs on the training instance: the script of a new one, and what became of those that were started.

Nothing is kept here: a run is the commands that SSM remembers under its name, and its model in S3.
"""

from __future__ import annotations

import argparse
import shlex
from datetime import datetime

from classifier import prices

from deploy import console, datasets, options
from deploy.build.upload import upload
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.ec2 import command as ec2_command
from deploy.ec2 import instance
from deploy.ec2.command import Command

BUSY = 75  # sysexits.h: temporary failure
KEEPER_SECONDS = 20


def script(
    run: str, deployment: Deployment, payloads: dict, dataset: datasets.Uploaded, arguments: argparse.Namespace
) -> str:
    """The shell script for the instance. Its paths are relative to `/`, where SSM is told to start it.

    It holds a lock for as long as it or the trainer lives: the instance trains one model at a time. While it lives, the
    instance's plan to stop is put off again and again; SSM ends commands by SIGKILL, after which nobody could put up
    the plan any more.

    Temporary files, the features of all images among them, go to the disk: Amazon Linux 2023 keeps /tmp in memory, at
    most half of it (its user guide, "/tmp (small temporary files)").
    """
    program = {
        "--run": run,
        "--dataset": dataset.uri,
        "--serving": payloads["inference"],
        "--output": f"s3://{deployment.artifacts_bucket}/models/{run}/output/",
        "--threads": arguments.threads,
        "--workers": arguments.workers,
        "--instance-type": deployment.ec2_instance_type,
    } | {f"--{name}": value for name, value in options.hyperparameters(arguments).items()}
    given = " ".join(f"{name} {shlex.quote(str(value))}" for name, value in program.items() if value is not None)
    idle = deployment.ec2_idle_minutes
    bucket, _, key = payloads["ec2"].removeprefix("s3://").partition("/")
    fetch = (
        "import boto3, sys, tarfile; "
        f"boto3.client('s3', region_name={deployment.region!r}).download_file({bucket!r}, {key!r}, sys.argv[1]); "
        "tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter='data')"
    )
    price = f"export {prices.OVERRIDE}={prices.given_price()}\n" if prices.given_price() is not None else ""
    lock = "import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return f"""\
set -eu
export AWS_DEFAULT_REGION={shlex.quote(deployment.region)}
{price}python="$(cat opt/pawprint/python)"
exec 9>> opt/pawprint/lock
if ! "$python" -c {shlex.quote(lock)} 2> /dev/null; then
  echo "the instance already trains $(cat opt/pawprint/training), and does one run at a time" >&2
  exit {BUSY}
fi
echo {run} > opt/pawprint/training
keep() {{
  exec 9>&-
  for _ in $(seq {arguments.max_minutes * 60 // KEEPER_SECONDS}); do
    kill -0 $$ || break
    shutdown -h +{idle}
    sleep {KEEPER_SECONDS}
  done
}}
keep > /dev/null 2>&1 &
keeper=$!
trap 'kill "$keeper" 2> /dev/null || true; shutdown -h +{idle} 9>&-' EXIT
run=opt/pawprint/runs/{run}
mkdir -p "$run/tmp"
export TMPDIR="${{PWD%/}}/$run/tmp"
echo "fetching the training program"
"$python" -c {shlex.quote(fetch)} "$run/payload.tar.gz" "$run"
PYTHON="$python" bash "$run/bootstrap.sh"
"$(cat opt/pawprint/python)" -u "$run/train_ec2.py" {given}
"""


def commands(deployment: Deployment) -> list[Command]:
    """The commands that train, the newest first; the comment of each is its run."""
    prefix = f"{deployment.name}-ec2-"
    return [command for command in ec2_command.sent(deployment) if command.comment.startswith(prefix)]


def require_free(deployment: Deployment, known: list[Command], run: str | None = None) -> None:
    """Raise Failure while the instance trains something else than `run`."""
    for command in known:
        if command.is_unfinished and command.comment != run and is_running(deployment):
            raise Failure(
                f"The instance trains {command.comment}, and does one run at a time. "
                f"To watch that: {console.make(f'train-ec2 RUN={command.comment}')}. "
                f"To end it: aws ssm cancel-command --command-id {command.id}"
            )


def is_running(deployment: Deployment) -> bool:
    return instance.describe(deployment)["State"]["Name"] in ("pending", "running")


def model_of(deployment: Deployment, run: str) -> str | None:
    """The address of its model; None where it is not complete."""
    s3, bucket = deployment.client("s3"), deployment.artifacts_bucket
    key = f"models/{run}/output/model.tar.gz"
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [])
    return f"s3://{bucket}/{key}" if found else None


def find(known: list[Command], run: str) -> Command:
    """The last command of a run. Raises Failure that names those there are."""
    for command in known:
        if command.comment == run:
            return command
    names = list(dict.fromkeys(command.comment for command in known))[:5]
    raise Failure(
        f"This instance knows no run {run}. Its last ones: {', '.join(names) or 'none'} (AWS forgets after 30 days)."
    )


def go_on(deployment: Deployment, known: list[Command], run: str) -> tuple[str, bool]:
    """The command that trains the run now, and whether it ran already: found, or, where the run was interrupted, sent
    again. Program, data and settings are its own: with others, its checkpoint would not fit. Raises Failure."""
    last = find(known, run)
    require_free(deployment, known, run)
    if last.is_unfinished and is_running(deployment):
        return last.id, True
    if last.is_unfinished:  # or the agent might begin it a second time, when the instance is up again
        deployment.client("ssm").cancel_command(CommandId=last.id)
    console.step(f"{run} was interrupted or failed; starting it again from its checkpoint")
    instance.wake(deployment)
    instance.ensure_prepared(deployment, upload(deployment)["ec2"])
    return ec2_command.send(deployment, last.lines, last.seconds, run), False


def billed_from(known: list[Command], command: Command, launched: datetime) -> datetime:
    """The instance's start where it was started for this command; otherwise the moment of the command."""
    earlier = [each for each in known if launched <= each.requested < command.requested]
    return command.requested if earlier else min(launched, command.requested)
