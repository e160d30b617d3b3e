"""The training instance: start it, make sure that it is prepared, and compute its cost."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.ec2 import command as ec2_command
from deploy.ec2 import watch
from deploy.follow import Follow

PREPARE = Path(__file__).with_name("prepare.sh")
START_TIMEOUT = 600  # seconds for a cold instance to boot, run its user data and reach SSM
SAY_AGAIN = 10  # seconds
BOOT_SECONDS = 600  # the time in which an instance that SSM reaches must start its user data
PREPARE_SECONDS = 3600  # for SSM: the attempt of the first boot and one more
SPARE_MINUTES = 15  # added to the idle minutes for the preparation, as in the user data


def describe(deployment: Deployment) -> dict:
    """EC2's description of the instance."""
    ec2 = deployment.client("ec2")
    return ec2.describe_instances(InstanceIds=[deployment.ec2_instance_id])["Reservations"][0]["Instances"][0]


def wake(deployment: Deployment) -> None:
    """Start the instance if it is stopped, and wait until SSM reaches it. Raises Failure after START_TIMEOUT."""
    instance = deployment.ec2_instance_id
    following = Follow(deployment, f"The instance {instance}", console.make("train-ec2"))
    began = time.monotonic()
    said, said_at = "", began

    def look() -> bool | None:
        nonlocal said, said_at
        ec2 = following.client("ec2")
        found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        state = found["State"]["Name"]
        if state == "stopped":
            ec2.start_instances(InstanceIds=[instance])
        elif state in ("terminated", "shutting-down"):
            raise Failure(f"The instance {instance} is {state}. Create a new one: {console.make('apply')}")
        elif state == "running" and is_online(following.client("ssm"), instance):
            return True
        waited = time.monotonic() - began
        if waited > START_TIMEOUT:
            raise Failure(
                f"The instance {instance} was not reachable over SSM within {START_TIMEOUT // 60} minutes. "
                f"To read its console: aws ec2 get-console-output --instance-id {instance}"
            )
        waiting = {"stopped": "starting it", "running": "waiting for its SSM agent"}.get(state, "waiting")
        if state != said:
            console.step(f"Instance {instance} is {state}: {waiting}")
            said, said_at = state, time.monotonic()
        elif time.monotonic() - said_at >= SAY_AGAIN:
            console.step(f"Still {state}: {waiting} ({waited:.0f} s)")
            said_at = time.monotonic()
        return None

    following.until(look, seconds=5)


def is_online(ssm: Any, instance: str) -> bool:
    """Whether SSM can reach the instance's agent."""
    filters = [{"Key": "InstanceIds", "Values": [instance]}]
    found = ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
    return bool(found) and found[0]["PingStatus"] == "Online"


def prepare_script(deployment: Deployment, payload: str) -> str:
    """prepare.sh with its values: a shell script that ends when the instance is prepared."""
    _, _, key = payload.removeprefix("s3://").partition("/")
    values = {
        "payload_key": key,
        "stop_minutes": deployment.ec2_idle_minutes + SPARE_MINUTES,
        "boot_seconds": BOOT_SECONDS,
        "message_seconds": SAY_AGAIN,
    }
    return ec2_command.script(PREPARE, values)


def ensure_prepared(deployment: Deployment, payload: str) -> None:
    """Wait until the first boot has prepared the instance. If it failed, prepare the instance again with the payload at
    `payload`, and print the output. Raises Failure if that fails too."""
    console.step("Waiting until the instance is prepared")
    lines = prepare_script(deployment, payload).splitlines()
    command = ec2_command.send(deployment, lines, seconds=PREPARE_SECONDS)
    result = watch.Watch(deployment, command, console.make("train-ec2")).to_end()
    if result["Status"] != "Success":
        instance = deployment.ec2_instance_id
        raise Failure(
            f"The instance is not prepared: the command {ec2_command.ending(result)}\n"
            f"To try again: {console.make('train-ec2')}. To read the output of the first boot: "
            f"aws ec2 get-console-output --instance-id {instance} --latest --output text\n"
            f"For a new instance: aws ec2 terminate-instances --instance-ids {instance}, then {console.make('apply')}"
        )


def cost(deployment: Deployment, began: datetime, launched: datetime) -> str:
    """The cost of the instance in one line: from `began`, or from its start if it was started for this run, until it
    stops itself."""
    from classifier import prices

    now = datetime.now(UTC)
    idle = deployment.ec2_idle_minutes
    seconds = (now - began).total_seconds() + 60 * idle
    since = "its start" if began == launched else "the command"
    price = prices.sentence(deployment.ec2_instance_type, seconds)
    return f"Cost on AWS: {price}; from {since} to {idle} idle minutes after the run ends"
