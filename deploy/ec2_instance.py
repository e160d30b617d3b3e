"""The training instance: wake it, wait until it is prepared, and say what it costs."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from deploy import console, ec2_command, ec2_watch
from deploy.console import Failure
from deploy.environment import Environment

START_TIMEOUT = 600  # seconds for a cold instance to boot, run its user data and reach SSM
SAY_AGAIN = 10  # seconds
# The first boot prepares the instance: some minutes of installing packages.
PREPARED = f"""\
for i in $(seq 600); do
  test -e opt/pawprint/python && exit 0
  [ $((i % {SAY_AGAIN})) = 0 ] && echo "the first boot installs PyTorch and OpenVINO ($i s)"
  sleep 1
done
exit 1
"""


def describe(env: Environment, outputs: dict) -> dict:
    """EC2's description of it."""
    ec2 = env.client("ec2", outputs["region"])
    return ec2.describe_instances(InstanceIds=[outputs["ec2_instance_id"]])["Reservations"][0]["Instances"][0]


def wake(env: Environment, outputs: dict) -> None:
    """Start the instance if it is stopped, and wait until SSM reaches it. Raises Failure after START_TIMEOUT."""
    ec2, ssm = env.client("ec2", outputs["region"]), env.client("ssm", outputs["region"])
    instance = outputs["ec2_instance_id"]
    began = time.monotonic()
    said, said_at = None, began
    while time.monotonic() - began < START_TIMEOUT:
        state = describe(env, outputs)["State"]["Name"]
        if state == "stopped":
            ec2.start_instances(InstanceIds=[instance])
        elif state in ("terminated", "shutting-down"):
            raise Failure(f"The instance {instance} is {state}. Make a new one: {console.make('apply')}")
        elif state == "running":
            filters = [{"Key": "InstanceIds", "Values": [instance]}]
            answer = ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
            if answer and answer[0]["PingStatus"] == "Online":
                return
        waiting = {"stopped": "starting it", "running": "waiting for its SSM agent"}.get(state, "waiting")
        if state != said:
            console.step(f"Instance {instance} is {state}: {waiting}")
            said, said_at = state, time.monotonic()
        elif time.monotonic() - said_at >= SAY_AGAIN:
            console.step(f"Still {state}: {waiting} ({time.monotonic() - began:.0f} s)")
            said_at = time.monotonic()
        time.sleep(env.poll_seconds(5))
    raise Failure(
        f"The instance {instance} was not reachable over SSM within {START_TIMEOUT // 60} minutes. "
        f"Its console: aws ec2 get-console-output --instance-id {instance}"
    )


def wait_prepared(env: Environment, outputs: dict) -> None:
    """Wait until the instance's first boot has finished preparing it. Raises Failure where it does not."""
    console.step("Waiting until the instance is prepared")
    command = ec2_command.send(env, outputs, PREPARED.splitlines(), seconds=900)
    result = ec2_watch.Watch(env, outputs, command).to_end(console.make("train-ec2"))
    if result["Status"] != "Success":
        raise Failure(
            "The instance did not finish preparing itself. What its user data printed: "
            f"aws ec2 get-console-output --instance-id {outputs['ec2_instance_id']} --latest --output text"
        )


def cost(outputs: dict, began: datetime, launched: datetime) -> str:
    """One line: what the instance costs from `began`, or from its start where that was for this run alone, until it
    stops itself."""
    from classifier import prices

    now = datetime.now(UTC)
    idle = outputs["ec2_idle_minutes"]
    seconds = (now - began).total_seconds() + 60 * idle
    since = "its start" if began == launched else "the command"
    price = prices.sentence(outputs["ec2_instance_type"], seconds)
    return f"Cost on AWS: {price}; from {since} to {idle} idle minutes after the end"
