"""A command on one instance: how it runs, how it ends, and how the API describes it.

Sources: the agent's source, version 3.3 (executers.go, pluginutil_unix.go, runscript.go, iohandler.go), for the exit
codes, what follows on standard error, and the variables; the API's limits: the first 24,000 characters of standard
output and the first 8,000 of standard error are given back. `agent.py` is the part that runs next to the command.
"""

import platform
import shlex
import signal
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow

from localaws import logs, state
from localaws.context import context
from localaws.services.ec2.machine import InstanceMachine
from localaws.services.ssm import agent
from localaws.supervisor import Child

if TYPE_CHECKING:
    from localaws.services.ssm.command import RunCommand

PLUGIN = "aws:runShellScript"
MAX_STDOUT_CHARS = 24_000
MAX_STDERR_CHARS = 8_000
MAX_PLUGIN_OUTPUT = 2500
TRUNCATED, ERROR_TRUNCATED = "\n---Output truncated---", "\n---Error truncated----"
ERROR_TITLE = "\n----------ERROR-------\n"
STOPPED_CODE, REBOOT_CODE = 137, 194
POLL_SECONDS = 0.05
FINAL = ("Success", "Failed", "TimedOut", "Cancelled")

_children: dict[tuple[str, str], Child] = {}  # what runs now, by command and instance


class CommandInvocation:
    """A command on one instance. `wish` is why its process was ended before its time, if it was."""

    def __init__(self, command: "RunCommand", instance_id: str):
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
        named = self.command.lines[0].startswith("#!")
        program = ["sh", "-c", shlex.quote(str(script))] if named else ["bash", str(script)]
        stdout.touch()
        stderr.touch()
        followers = self._follow(machine, stdout, stderr)
        self.started = utcnow()
        self.status = self.details = "InProgress"
        over = threading.Event()
        files = [str(directory / name) for name in ("stdout", "stderr", "result")]
        try:
            cwd = machine.inside(self.command.working_directory)
            argv = [context().python, "-I", str(Path(agent.__file__).resolve()), *files, *program]
            child = machine.start(argv, cwd, directory / "agent.log", lambda code: over.set(), self._variables())
        except (OSError, ValueError, RuntimeError) as error:
            for follower in followers:
                follower.finish()
            return self.end("Failed", "Failed", 1, error=f"failed to run commands: {error}")
        _children[self._key] = child
        arguments = (directory, over, followers)
        threading.Thread(target=self._await, args=arguments, name=f"command {self.command.id}", daemon=True).start()
        return None

    def _await(self, directory: Path, over: threading.Event, followers: list[logs.Follower]) -> None:
        """Wait until the agent reports the end, or has itself ended; stop the command when its time is over."""
        result = directory / "result"
        deadline = time.monotonic() + self.command.execution_seconds
        while not result.exists() and not over.wait(POLL_SECONDS):
            if self.wish is None and time.monotonic() >= deadline:
                self._stop("TimedOut")
        how, _, number = (result.read_text() if result.exists() else "lost").partition(" ")
        stderr = directory / "stderr"
        status, code, said = self._outcome(how, int(number or 0))
        if said:
            with stderr.open("a") as file:
                file.write(f"failed to run commands: {said}")
        for follower in followers:
            follower.finish()
        _children.pop(self._key, None)
        output = _first(directory / "stdout", MAX_STDOUT_CHARS), _first(stderr, MAX_STDERR_CHARS)
        self.end(status, "ExecutionTimedOut" if status == "TimedOut" else status, code, *output)

    def _outcome(self, how: str, number: int) -> tuple[str, int, str]:
        """Status, exit code and what the agent adds to standard error, from how the command ended."""
        if how == agent.STOPPED or (how == "lost" and self.wish):
            return self.wish or "Cancelled", STOPPED_CODE, ""
        if how == "lost":  # with its instance
            return "Failed", -1, ""
        if how == "signal":
            return "Failed", -1, f"signal: {(signal.strsignal(number) or str(number)).lower()}"
        if number == 0:
            return "Success", 0, ""
        if number == STOPPED_CODE:  # the agent takes it for its own doing
            return "TimedOut", STOPPED_CODE, ""
        if number == REBOOT_CODE:
            return "Failed", number, "exit status 194 asks for a reboot and another run, which the local AWS has not"
        return "Failed", number, f"exit status {number}"

    def _variables(self) -> dict[str, str]:
        return {
            "SSM_COMMAND_ID": self.command.id,
            "AWS_SSM_INSTANCE_ID": self.instance_id,
            "AWS_SSM_REGION_NAME": self.command.region,
            "AWS_SSM_PLATFORM_NAME": platform.system(),
            "AWS_SSM_PLATFORM_VERSION": platform.release(),
        }

    def cancel(self) -> None:
        """End the process; the status is Cancelling until it has ended. Nothing to do for one at its end."""
        if self.status not in FINAL:
            self.status = self.details = "Cancelling"
            self._stop("Cancelled")

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
                "Output": plugin_output(self.output, self.error),
            }
            entry["CommandPlugins"] = [plugin]
        return entry

    @property
    def requested(self) -> datetime:
        return self.command.requested

    @property
    def _key(self) -> tuple[str, str]:
        return self.command.id, self.instance_id

    def _directory(self, machine: InstanceMachine) -> Path:
        return machine.directory / "commands" / self.command.id

    def _stop(self, wish: str) -> None:
        child = _children.get(self._key)
        if child is not None:
            self.wish = wish
            child.send(signal.SIGUSR1)

    def _follow(self, machine: InstanceMachine, stdout: Path, stderr: Path) -> list[logs.Follower]:
        config = self.command.output_config
        if not config["CloudWatchOutputEnabled"]:
            return []
        group, prefix = config["CloudWatchLogGroupName"], f"{self.command.id}/{self.instance_id}/aws-runShellScript"
        streams = ((stdout, f"{prefix}/stdout"), (stderr, f"{prefix}/stderr"))
        role, region = machine.role(), self.command.region
        return [logs.Follower(path, group, stream, region, role=role) for path, stream in streams]

    def _elapsed(self) -> str:
        if self.started is None:
            return ""
        seconds = ((self.ended or utcnow()) - self.started).total_seconds()
        return f"PT{seconds:.3f}S"


def plugin_output(output: str, error: str, capacity: int = MAX_PLUGIN_OUTPUT) -> str:
    """Both outputs in one text of at most `capacity` characters, as the agent's TruncateOutput makes it."""
    title = ERROR_TITLE if error else ""
    space = capacity - len(title)
    if len(output) + len(error) < space:
        return output + title + error
    if len(output) > space // 2 and len(error) > space // 2:
        half = (space - len(TRUNCATED) - len(ERROR_TRUNCATED)) // 2
        return output[:half] + TRUNCATED + title + error[:half] + ERROR_TRUNCATED
    if len(output) <= space // 2:
        return output + title + error[: space - len(ERROR_TRUNCATED) - len(output)] + ERROR_TRUNCATED
    return output[: space - len(TRUNCATED) - len(error)] + TRUNCATED + title + error


def _first(path: Path, limit: int) -> str:
    """The beginning of a file, with a word if there is more."""
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(limit + 1)
    return text if len(text) <= limit else text[: limit - len(TRUNCATED)] + TRUNCATED


def _iso(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z" if moment else ""
