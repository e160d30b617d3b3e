"""Commands on the training instance, over SSM: send one, list them, describe how one ended."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deploy.deployment import Deployment

UNFINISHED = ("Pending", "InProgress", "Delayed", "Cancelling")
INTERRUPTED = "Interrupted"  # not a status of SSM: the instance stopped before its SSM agent could report an end

KILLED = (-1, 137, 143)  # exit statuses of a shell whose program got SIGKILL or SIGTERM; -1: SSM has none
# SSM's StatusDetails (Systems Manager user guide, "Understanding command statuses") in words.
ENDS = {
    "Cancelled": "was cancelled",
    "ExecutionTimedOut": "exceeded its time limit (MAX_MINUTES=) and was stopped",
    "DeliveryTimedOut": "was not delivered in time: the instance's SSM agent does not answer",
    "Undeliverable": "could not be delivered: the instance is terminated or its SSM agent does not answer",
    "Terminated": "was cancelled by SSM before it started",
    "AccessDenied": "was refused: the instance's role does not allow it",
    "RateExceeded": "was refused: too many commands wait in this account",
    INTERRUPTED: "was interrupted, because the instance stopped",
}


@dataclass(frozen=True)
class Command:
    """A command in SSM's history, which covers 30 days."""

    id: str
    comment: str
    status: str
    requested: datetime
    lines: list[str]
    seconds: int

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED


def script(file: Path, values: Mapping[str, object], arguments: Sequence[str] = ()) -> str:
    """The text of a shell file, after lines that assign `values` to variables and `arguments` to "$@"."""
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in values.items()]
    if arguments:
        lines.append(f"set -- {shlex.join(arguments)}")
    return "\n".join([*lines, file.read_text()])


def send(deployment: Deployment, lines: list[str], seconds: int, comment: str = "") -> str:
    """Send a shell script to the instance; returns the command's id."""
    answer = deployment.client("ssm").send_command(
        InstanceIds=[deployment.ec2_instance_id],
        DocumentName="AWS-RunShellScript",
        Comment=comment,
        Parameters={"commands": lines, "workingDirectory": ["/"], "executionTimeout": [str(seconds)]},
        CloudWatchOutputConfig={
            "CloudWatchOutputEnabled": True,
            "CloudWatchLogGroupName": deployment.ec2_log_group,
        },
    )
    return answer["Command"]["CommandId"]


def sent(deployment: Deployment) -> list[Command]:
    """The commands that were sent to this instance, newest first."""
    pages = deployment.client("ssm").get_paginator("list_commands")
    found = [
        Command(
            each["CommandId"],
            each.get("Comment", ""),
            each["Status"],
            each["RequestedDateTime"],
            each["Parameters"]["commands"],
            int(each["Parameters"].get("executionTimeout", ["3600"])[0]),
        )
        for page in pages.paginate(InstanceId=deployment.ec2_instance_id)
        for each in page["Commands"]
    ]
    return sorted(found, key=lambda command: command.requested, reverse=True)


def ending(result: dict) -> str:
    """How a command ended, as a predicate: `was cancelled`. For a failure it includes the end of its stderr."""
    details = result.get("StatusDetails") or result["Status"]
    if details.replace(" ", "") in ENDS:
        return ENDS[details.replace(" ", "")]
    if details == "Failed" and result.get("ResponseCode") in KILLED:
        return "was killed: a user killed it, or the instance ran out of memory"
    lines = result.get("StandardErrorContent", "").strip().splitlines()
    last = "\n".join([line for line in lines if not line.startswith("Shutdown scheduled")][-5:])
    return f"ended with the status {details}{': ' if last else ''}{last}"
