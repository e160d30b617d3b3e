"""A command of SSM's Run Command: AWS-RunShellScript as the agent runs it, one process per instance.

Source of the contract: "Understanding command statuses" in the Systems Manager user guide and the API's limits: the
first 24,000 characters of standard output and the first 8,000 of standard error are given back.
"""

import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from moto.core.utils import utcnow
from moto.ssm.exceptions import SSMException

from localaws import logs, state
from localaws.context import context
from localaws.services.ec2.machine import InstanceMachine
from localaws.supervisor import Child

PLUGIN = "aws:runShellScript"
MAX_STDOUT_CHARS = 24_000
MAX_STDERR_CHARS = 8_000
TRUNCATED = "\n---Output truncated---"
DEFAULT_EXECUTION_SECONDS = 3600
DEFAULT_DELIVERY_SECONDS = 3600
FINAL = ("Success", "Failed", "TimedOut", "Cancelled")

_children: dict[tuple[str, str], Child] = {}  # what runs now, by command and instance


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
            "StatusDetails": self.status,
            "TimeoutSeconds": int(delivery.total_seconds()),
            "TargetCount": len(statuses),
            "CompletedCount": sum(status in FINAL for status in statuses),
            "ErrorCount": sum(status in ("Failed", "TimedOut") for status in statuses),
            "DeliveryTimedOutCount": 0,
            "CloudWatchOutputConfig": self.output_config,
        }


class CommandInvocation:
    """A command on one instance. `wish` is why its process was ended before its time, if it was."""

    def __init__(self, command: RunCommand, instance_id: str):
        self.command = command
        self.instance_id = instance_id
        self.status = self.details = "Pending"
        self.wish: str | None = None
        self.response_code = -1
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.output = self.error = ""

    def start(self, machine: InstanceMachine) -> None:
        """Write the script and start it. What prevents that is the invocation's own failure."""
        directory = self._directory(machine)
        directory.mkdir(parents=True)
        script, stdout, stderr = directory / "_script.sh", directory / "stdout", directory / "stderr"
        script.write_text("\n".join(self.command.lines) + "\n")
        script.chmod(0o700)
        interpreter = [] if self.command.lines[0].startswith("#!") else ["bash"]
        stdout.touch()
        stderr.touch()
        followers = self._follow(stdout, stderr)
        self.started = utcnow()
        self.status = self.details = "InProgress"
        timer = threading.Timer(self.command.execution_seconds, self._stop, ["TimedOut"])
        timer.daemon = True

        def ended(code: int) -> None:
            timer.cancel()
            for follower in followers:
                follower.finish()
            output = _first(stdout, MAX_STDOUT_CHARS), _first(stderr, MAX_STDERR_CHARS)
            final = self.wish or ("Success" if code == 0 else "Failed")
            details = "ExecutionTimedOut" if final == "TimedOut" else final
            self.end(final, details, code if code >= 0 else 128 - code, *output)
            _children.pop(self._key, None)

        try:
            cwd = machine.inside(self.command.working_directory)
            argv = ["sh", "-c", 'errors="$1"; shift; exec "$@" 2>> "$errors"', "sh", str(stderr), *interpreter]
            child = machine.start([*argv, str(script)], cwd, stdout, ended)
        except (OSError, ValueError, RuntimeError) as error:
            return self.end("Failed", "Failed", 1, error=f"failed to run commands: {error}")
        timer.start()
        _children[self._key] = child
        if self.status in FINAL:  # ended before it was noted
            _children.pop(self._key, None)
        return None

    def cancel(self) -> None:
        """End the process; the status is Cancelling until it has ended. Nothing to do for one at its end."""
        if self.status not in FINAL:
            self.status = self.details = "Cancelling"
            threading.Thread(target=self._stop, args=["Cancelled"], daemon=True).start()

    def end(self, status: str, details: str, code: int, output: str = "", error: str = "") -> None:
        self.output, self.error, self.response_code = output, error, code
        self.started = self.started or utcnow()
        self.ended = utcnow()
        self.details = details
        self.status = status  # last: who sees the end sees all of it
        state.touch()

    def to_dict(self) -> dict[str, Any]:
        """GetCommandInvocation's answer."""
        return {
            "CommandId": self.command.id,
            "InstanceId": self.instance_id,
            "Comment": self.command.request.get("Comment", ""),
            "DocumentName": self.command.request["DocumentName"],
            "DocumentVersion": "$DEFAULT",
            "PluginName": PLUGIN,
            "ResponseCode": self.response_code,
            "ExecutionStartDateTime": _iso(self.started),
            "ExecutionElapsedTime": self._elapsed(),
            "ExecutionEndDateTime": _iso(self.ended),
            "Status": self.status,
            "StatusDetails": self.details,
            "StandardOutputContent": self.output,
            "StandardOutputUrl": "",
            "StandardErrorContent": self.error,
            "StandardErrorUrl": "",
            "CloudWatchOutputConfig": self.command.output_config,
        }

    def summary(self, details: bool) -> dict[str, Any]:
        """An entry of ListCommandInvocations; with the plugin's own part where `details` are asked for."""
        entry = {
            "CommandId": self.command.id,
            "InstanceId": self.instance_id,
            "DocumentName": self.command.request["DocumentName"],
            "RequestedDateTime": self.command.requested,
            "Status": self.status,
            "StatusDetails": self.details,
            "CommandPlugins": [],
        }
        if details:
            plugin = {
                "Name": PLUGIN,
                "Status": self.status,
                "StatusDetails": self.details,
                "ResponseCode": self.response_code,
                "ResponseStartDateTime": self.started,
                "ResponseFinishDateTime": self.ended,
                "Output": self.output + (f"\n----------ERROR-------\n{self.error}" if self.error else ""),
            }
            entry["CommandPlugins"] = [plugin]
        return entry

    @property
    def _key(self) -> tuple[str, str]:
        return self.command.id, self.instance_id

    def _directory(self, machine: InstanceMachine) -> Path:
        return machine.directory / "commands" / self.command.id

    def _stop(self, wish: str) -> None:
        child = _children.get(self._key)
        if child is not None:
            self.wish = wish
            context().supervisor.stop(child)

    def _follow(self, stdout: Path, stderr: Path) -> list[logs.Follower]:
        config = self.command.output_config
        if not config["CloudWatchOutputEnabled"]:
            return []
        group, prefix = config["CloudWatchLogGroupName"], f"{self.command.id}/{self.instance_id}/aws-runShellScript"
        streams = ((stdout, f"{prefix}/stdout"), (stderr, f"{prefix}/stderr"))
        return [logs.Follower(path, group, stream, self.command.region) for path, stream in streams]

    def _elapsed(self) -> str:
        if self.started is None:
            return ""
        seconds = ((self.ended or utcnow()) - self.started).total_seconds()
        return f"PT{seconds:.3f}S"


def _first(path: Path, limit: int) -> str:
    """The beginning of a file, with a note if there is more."""
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(limit + 1)
    return text if len(text) <= limit else text[: limit - len(TRUNCATED)] + TRUNCATED


def _iso(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z" if moment else ""
