"""A command in a terminal: what happens when a user types Ctrl-C, or closes the window."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
from collections.abc import Callable
from pathlib import Path

CTRL_C = b"\x03"
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command that runs in a terminal of its own. `output` is what it has printed."""

    def __init__(self, *command: str, cwd: Path, environment: dict[str, str]):
        self.output = ""
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test runner may ignore it
            os.chdir(cwd)
            # In a line this wide no message is wrapped.
            os.execvpe(command[0], command, {**environment, "COLUMNS": "400"})  # noqa: S606

    def read_until(self, pattern: str) -> None:
        """Read until the output matches a pattern. Raises AssertionError if the command ends before that."""
        while not re.search(pattern, self.output):
            assert self._read(), f"the command ended before it printed {pattern}:\n{self.output[-3000:]}"

    def type(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def close(self) -> None:
        """Close the window: the kernel sends SIGHUP to the command's processes. Waits until the command has ended."""
        os.close(self._screen)
        os.waitpid(self.pid, 0)

    def end(self) -> int:
        """Read until the command ends. Returns its exit status."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._screen)
        return os.waitstatus_to_exitcode(status)

    def descendants(self, chosen: Callable[[str], bool]) -> list[int]:
        """The pids of its running child processes, at any depth, whose command line is chosen."""
        found, parents = [], [self.pid]
        while parents:
            for children in Path(f"/proc/{parents.pop()}/task").glob("*/children"):
                try:
                    parents += (pids := [int(pid) for pid in children.read_text().split()])
                    found += [pid for pid in pids if chosen(Path(f"/proc/{pid}/cmdline").read_text())]
                except OSError:
                    continue  # the process has ended meanwhile
        return found

    def _read(self) -> bool:
        """Read what is there, waiting for it. Returns whether the command may print more."""
        select.select([self._screen], [], [])
        try:
            some = os.read(self._screen, 65536)
        except OSError:  # the kernel's answer when the last process has closed the terminal
            return False
        self.output = COLOURS.sub("", self.output + some.decode(errors="replace"))
        return bool(some)
