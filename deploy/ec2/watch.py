"""Watch a command on the training instance until it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from deploy import console
from deploy.deployment import Deployment
from deploy.ec2.command import INTERRUPTED, UNFINISHED
from deploy.follow import Follow
from deploy.log_tail import LogTail

QUIET = 10.0  # seconds without a log line until the reason is printed
PROGRESS = re.compile(r" \d+/\d+$")
GONE = ("stopping", "stopped", "shutting-down", "terminated")


class Watch:
    """One SSM command, watched through its log and its status. `again` is the make command that watches it again."""

    def __init__(
        self,
        deployment: Deployment,
        command: str,
        again: str,
        *,
        what: str = "The command",
        patience: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._deployment, self._command = deployment, command
        end = f"aws ssm cancel-command --command-id {command}"
        self._follow = Follow(deployment, what, again, end=end, patience=patience, sleep=sleep)
        self._tail = LogTail(lambda: self._follow.client("logs"), deployment.ec2_log_group, f"{command}/")
        self._spoke = time.monotonic()
        self._first = True

    def to_end(self, *, with_progress: bool = True) -> dict:
        """Print the log until the command ends. Returns its invocation, with the status INTERRUPTED if the instance
        stopped during the command. Raises Failure at Ctrl-C or if the connection stays lost.

        Without `with_progress`, earlier output is shown without its progress lines.
        """
        return self._follow.until(lambda: self._look(with_progress), seconds=3)

    def _look(self, with_progress: bool) -> dict | None:
        result = self._status()
        lines = self._print_log(with_progress or not self._first)
        self._first = False
        if result["Status"] not in UNFINISHED:
            if lines:  # the last lines may arrive after the end
                return None
            return result if result["Status"] == "Success" else self._interrupted() or result
        if self._is_quiet():
            if interrupted := self._interrupted():
                return interrupted
            self._say_what_is_waited_for(result["Status"])
        return None

    def _status(self) -> dict:
        ssm, instance = self._follow.client("ssm"), self._deployment.ec2_instance_id
        try:
            return ssm.get_command_invocation(CommandId=self._command, InstanceId=instance)
        except ssm.exceptions.InvocationDoesNotExist:  # for a moment after SSM accepted the command
            return {"Status": "Pending"}

    def _print_log(self, with_progress: bool) -> int:
        lines = 0
        for _, line in self._tail.poll():
            lines += 1
            self._follow.connected()
            self._spoke = time.monotonic()
            if with_progress or not PROGRESS.search(line):
                console.out.print(f"  {line}", markup=False)
        return lines

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._spoke >= QUIET

    def _interrupted(self) -> dict | None:
        """The end of a command whose instance has stopped. SSM may wait for the agent's report for hours."""
        found = self._follow.client("ec2").describe_instances(InstanceIds=[self._deployment.ec2_instance_id])
        state = found["Reservations"][0]["Instances"][0]["State"]["Name"]
        return {"Status": INTERRUPTED, "StatusDetails": INTERRUPTED} if state in GONE else None

    def _say_what_is_waited_for(self, status: str) -> None:
        waiting = {"Pending": "SSM has not delivered the command yet", "Cancelling": "the command is being cancelled"}
        what = waiting.get(status, "the command is running and prints nothing")
        console.step(f"No output for {QUIET:.0f} s: {what}")
        self._spoke = time.monotonic()
