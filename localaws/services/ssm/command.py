"""A command of SSM's Run Command: AWS-RunShellScript, sent to one or more instances.

Source of the contract: "Understanding command statuses" in the Systems Manager user guide.
"""

from datetime import timedelta
from typing import Any

from moto.core.utils import utcnow
from moto.ssm.exceptions import SSMException

from localaws.services.ec2.machine import InstanceMachine
from localaws.services.ssm.invocation import FINAL, CommandInvocation

DEFAULT_EXECUTION_SECONDS = 3600
DEFAULT_DELIVERY_SECONDS = 3600


class InvalidParameters(SSMException):
    def __init__(self, message: str):
        super().__init__("InvalidParameters", message)


class RunCommand:
    """One command, with an invocation for each instance it was sent to."""

    def __init__(self, command_id: str, request: dict[str, Any], region: str):
        parameters = request.get("Parameters") or {}
        known = {"commands", "workingDirectory", "executionTimeout"}
        if unknown := sorted(parameters.keys() - known):
            raise InvalidParameters(f"AWS-RunShellScript has no parameter {unknown[0]}.")
        if not parameters.get("commands"):
            raise InvalidParameters("AWS-RunShellScript requires the parameter commands.")
        seconds = (parameters.get("executionTimeout") or [str(DEFAULT_EXECUTION_SECONDS)])[0]
        if not seconds.isdigit() or not 1 <= int(seconds) <= 172_800:
            raise InvalidParameters(f"executionTimeout is {seconds!r}: it must be 1 to 172800 seconds.")
        self.id = command_id
        self.request = request
        self.region = region
        self.execution_seconds = int(seconds)
        self.lines: list[str] = parameters["commands"]
        self.working_directory = (parameters.get("workingDirectory") or ["/"])[0]
        self.requested = utcnow()
        self.invocations: dict[str, CommandInvocation] = {}

    @property
    def output_config(self) -> dict[str, Any]:
        given = self.request.get("CloudWatchOutputConfig") or {}
        group = given.get("CloudWatchLogGroupName") or f"/aws/ssm/{self.request['DocumentName']}"
        enabled = given.get("CloudWatchOutputEnabled", False)
        return {"CloudWatchOutputEnabled": enabled, **({"CloudWatchLogGroupName": group} if enabled else {})}

    def start(self, instance_id: str, machine: InstanceMachine) -> None:
        """Run the command on an instance."""
        self.invocations[instance_id] = CommandInvocation(self, instance_id)
        self.invocations[instance_id].start(machine)

    def lose(self, reason: str) -> None:
        """Close the invocations that were not at their end when their processes went away."""
        for invocation in self.invocations.values():
            if invocation.status not in FINAL:
                invocation.end("Failed", "Failed", -1, error=reason)

    @property
    def status(self) -> str:
        """Of all invocations together: the worst end once all have one, and until then that it goes on."""
        statuses = {invocation.status for invocation in self.invocations.values()}
        if unfinished := statuses.difference(FINAL):
            return next(name for name in ("Cancelling", "InProgress", "Pending") if name in unfinished)
        return next((name for name in ("Failed", "TimedOut", "Cancelled") if name in statuses), "Success")

    @property
    def details(self) -> str:
        """The status in more detail, if all invocations have the same."""
        details = {invocation.details for invocation in self.invocations.values()}
        return details.pop() if len(details) == 1 else self.status

    def to_dict(self) -> dict[str, Any]:
        statuses = [invocation.status for invocation in self.invocations.values()]
        delivery = timedelta(seconds=self.request.get("TimeoutSeconds") or DEFAULT_DELIVERY_SECONDS)
        return {
            "CommandId": self.id,
            "DocumentName": self.request["DocumentName"],
            "Comment": self.request.get("Comment", ""),
            "ExpiresAfter": self.requested + delivery + timedelta(seconds=self.execution_seconds),
            "Parameters": self.request["Parameters"],
            "InstanceIds": list(self.invocations),
            "Targets": self.request.get("Targets") or [],
            "RequestedDateTime": self.requested,
            "Status": self.status,
            "StatusDetails": self.details,
            "TimeoutSeconds": int(delivery.total_seconds()),
            "TargetCount": len(statuses),
            "CompletedCount": sum(status in FINAL for status in statuses),
            "ErrorCount": sum(status in ("Failed", "TimedOut") for status in statuses),
            "DeliveryTimedOutCount": 0,
            "CloudWatchOutputConfig": self.output_config,
        }
