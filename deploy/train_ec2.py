"""Train on the EC2 instance, over SSM: no open port, no key.

    python -m deploy.train_ec2 [--data NAME|DIR] [--epochs N] [--arch NAME] [--threads N] [--workers N]

Starts the instance if it is stopped, sends one shell script, and streams what it prints. The script first sets a
deadline after which the instance shuts itself down whatever happens, and at the end replaces it by a short one:
the instance needs no watcher to stop paying for it.
"""

from __future__ import annotations

import argparse
import shlex
import time

from deploy import console, data, environment, jobs
from deploy.console import Failure
from deploy.environment import Environment
from deploy.log_tail import LogTail
from deploy.stack import Stack
from deploy.upload import upload

UNFINISHED = ("Pending", "InProgress", "Delayed", "Cancelling")
START_TIMEOUT = 600  # seconds for a cold instance to boot, run its user data and reach SSM


def script(run: str, outputs: dict, payloads: dict, dataset: data.Uploaded, arguments: argparse.Namespace) -> str:
    """The shell script for the instance. Its paths are relative to `/`, where SSM is told to start it."""
    options = {
        "--run": run,
        "--dataset": dataset.uri,
        "--serving": payloads["inference"],
        "--output": f"s3://{outputs['artifacts_bucket']}/models/{run}/output/",
        "--epochs": arguments.epochs,
        "--arch": arguments.arch,
        "--threads": arguments.threads,
        "--workers": arguments.workers,
    }
    given = " ".join(f"{name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None)
    if arguments.fine_tune:
        given += " --fine-tune"
    idle = outputs["ec2_idle_minutes"]
    bucket, _, key = payloads["ec2"].removeprefix("s3://").partition("/")
    fetch = (
        "import boto3, sys, tarfile; "
        f"boto3.client('s3', region_name={outputs['region']!r}).download_file({bucket!r}, {key!r}, sys.argv[1]); "
        "tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter='data')"
    )
    return f"""\
set -eu
export AWS_DEFAULT_REGION={shlex.quote(outputs["region"])}
shutdown -c || true
shutdown -h +{arguments.max_minutes + idle}
trap 'shutdown -c || true; shutdown -h +{idle}' EXIT
run=opt/pawprint/runs/{run}
mkdir -p "$run"
"$(cat opt/pawprint/python)" -c {shlex.quote(fetch)} "$run/payload.tar.gz" "$run"
PYTHON="$(cat opt/pawprint/python)" bash "$run/bootstrap.sh"
"$(cat opt/pawprint/python)" -u "$run/train_ec2.py" {given}
"""


def wake(env: Environment, outputs: dict) -> None:
    """Start the instance if it is stopped, and wait until SSM reaches it. Raises Failure after START_TIMEOUT."""
    ec2, ssm = env.client("ec2", outputs["region"]), env.client("ssm", outputs["region"])
    instance = outputs["ec2_instance_id"]
    deadline = time.monotonic() + START_TIMEOUT
    waited_for = None
    while time.monotonic() < deadline:
        found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        state = found["State"]["Name"]
        if state == "stopped":
            ec2.start_instances(InstanceIds=[instance])
        elif state in ("terminated", "shutting-down"):
            raise Failure(f"The instance {instance} is {state}. Make a new one: {console.make('apply')}")
        elif state == "running":
            filters = [{"Key": "InstanceIds", "Values": [instance]}]
            answer = ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
            if answer and answer[0]["PingStatus"] == "Online":
                return
        if state != waited_for:
            waited_for = state
            console.step(f"Instance {instance} is {state}; waiting for SSM to reach it")
        time.sleep(1 if env.is_local else 5)
    raise Failure(
        f"The instance {instance} was not reachable over SSM within {START_TIMEOUT // 60} minutes. "
        f"Its console: aws ec2 get-console-output --instance-id {instance}"
    )


def wait_prepared(env: Environment, outputs: dict) -> None:
    """Wait until the instance's first boot has finished preparing it."""
    console.step("Waiting until the instance is prepared")
    check = "for i in $(seq 600); do test -e opt/pawprint/python && exit 0; sleep 1; done; exit 1"
    command = send(env, outputs, check, seconds=900)
    result = wait(env, outputs, command)
    if result["Status"] != "Success":
        raise Failure(
            "The instance did not finish preparing itself. What its user data printed: "
            f"aws ec2 get-console-output --instance-id {outputs['ec2_instance_id']} --latest --output text"
        )


def send(env: Environment, outputs: dict, text: str, seconds: int) -> str:
    """Send a shell script to the instance; returns the command's id."""
    ssm = env.client("ssm", outputs["region"])
    answer = ssm.send_command(
        InstanceIds=[outputs["ec2_instance_id"]],
        DocumentName="AWS-RunShellScript",
        Parameters={
            "commands": text.splitlines(),
            "workingDirectory": ["/"],
            "executionTimeout": [str(seconds)],
        },
        CloudWatchOutputConfig={
            "CloudWatchOutputEnabled": True,
            "CloudWatchLogGroupName": outputs["ec2_log_group"],
        },
    )
    return answer["Command"]["CommandId"]


def wait(env: Environment, outputs: dict, command: str) -> dict:
    """Wait for a command, printing its log lines as they come; returns its invocation."""
    ssm = env.client("ssm", outputs["region"])
    tail = LogTail(env.client("logs", outputs["region"]), outputs["ec2_log_group"], f"{command}/")
    time.sleep(0.2)  # SSM knows a command's invocation a moment after it has accepted the command
    while True:
        try:
            result = ssm.get_command_invocation(CommandId=command, InstanceId=outputs["ec2_instance_id"])
        except ssm.exceptions.InvocationDoesNotExist:
            result = {"Status": "Pending"}
        for _, line in tail.poll():
            console.out.print(f"  {line}", markup=False)
        if result["Status"] not in UNFINISHED:
            return result
        time.sleep(1 if env.is_local else 3)


def follow(env: Environment, outputs: dict, run: str, command: str) -> None:
    """Stream the run to its end. Ctrl-C leaves it running. Raises Failure with the last lines if it failed."""
    try:
        result = wait(env, outputs, command)
    except KeyboardInterrupt:
        raise Failure(
            f"Stopped watching; {run} goes on. To see it: {console.make('logs WHAT=ec2')}. "
            f"To end it: aws ssm cancel-command --command-id {command}"
        ) from None
    if result["Status"] != "Success":
        last = "\n".join(result.get("StandardErrorContent", "").strip().splitlines()[-5:])
        raise Failure(
            f"{run} on the instance ended as {result['Status']}:\n{last}\nIts log: {console.make('logs WHAT=ec2')}"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train on the EC2 instance.")
    parser.add_argument("--data", help="a dataset's name or a folder; default: the last one uploaded, or the sample")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--arch")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--fine-tune", action="store_true")
    parser.add_argument("--max-minutes", type=int, default=120)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    env = environment.current()
    outputs = Stack(env).require_outputs()
    payloads = upload(env, outputs)
    dataset = data.resolve(env, outputs, arguments.data)
    wake(env, outputs)
    wait_prepared(env, outputs)
    run = jobs.new_name(outputs["name"], "ec2")
    console.step(f"Training {run} on {outputs['ec2_instance_type']}")
    command = send(env, outputs, script(run, outputs, payloads, dataset, arguments), arguments.max_minutes * 60)
    follow(env, outputs, run, command)
    console.done(
        f"{run} is trained: s3://{outputs['artifacts_bucket']}/models/{run}/output/model.tar.gz\n"
        f"  The instance stops itself after {outputs['ec2_idle_minutes']} idle minutes. "
        f"Put the model behind the URL: {console.make('promote')}"
    )


if __name__ == "__main__":
    console.run(main)
