"""An assumption about AWS, and what AWS answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from deploy.console import Failure
from deploy.deployment import Deployment


@dataclass(frozen=True)
class Observation:
    """What was seen. `holds` is None if it could not be seen here."""

    holds: bool | None
    seen: str


@dataclass(frozen=True)
class Assumption:
    """A sentence about AWS; a command with which a reader sees it without this program; and the check."""

    name: str
    sentence: str
    command: str  # with {placeholders} of `values`
    look: Callable[[Deployment], Observation]

    def examine(self, deployment: Deployment) -> Observation:
        """Look. An error of AWS, or a part that is not deployed, means that it could not be seen."""
        try:
            return self.look(deployment)
        except (ClientError, BotoCoreError, Failure) as error:
            return Observation(None, " ".join(str(error).split()))

    def shown_command(self, deployment: Deployment) -> str:
        return self.command.format(**{name: value for name, value in values(deployment).items()})


def values(deployment: Deployment) -> dict[str, str]:
    """What commands may name."""
    found = {name: str(value) for name, value in deployment.outputs.items()}
    names = ("endpoint_name", "function_name", "artifacts_bucket", "ec2_instance_id", "endpoint_log_group", "region")
    return {name: f"<{name}>" for name in names} | found


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Code and message of the error that a call gets; ("", "") if it gets none."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    return "", ""
