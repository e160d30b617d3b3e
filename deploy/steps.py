"""Run commands one after the other. Each is one line on the screen; a log file gets their whole output."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from deploy import console
from deploy.console import Failure

SHOWN_LINES = 15  # of the output of a failed step
KILL_AT = 3  # the third Ctrl-C kills the process
# Terraform prints the number of planned changes, and a line for each completed change.
PLANNED = re.compile(r"\s*Plan: (\d+) to add, (\d+) to change, (\d+) to destroy")
CHANGED = re.compile(r"\s*module\.\S+: (Creation|Modifications|Destruction) complete")
DONE = "✓ "  # how a command's message of success begins (deploy.console.done)
MESSAGES = ("✗ ", "! ")  # how its warnings and failures begin


@dataclass(frozen=True)
class Step:
    """One command: its title on the screen, its arguments, and the make target that runs it alone."""

    title: str
    command: list[str]
    target: str


class StepFailed(Failure):
    """A step failed with the exit status `code`. Its last lines are already on the screen."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


class Interrupted(Exception):
    """The user interrupted a step, and it has ended."""


@dataclass
class Steps:
    """A sequence of commands with one log. `verbose` also prints every line of their output."""

    log: Path
    verbose: bool = False
    _said: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_LINES))

    def run(self, step: Step) -> None:
        """Run a command until it ends. Raises StepFailed if it fails, Interrupted after Ctrl-C."""
        self._said.clear()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with self.log.open("a") as log, self._display(step) as display:
            print(f"=== {step.title}: {shlex.join(step.command)}", file=log, flush=True)
            code, interrupted = self._follow(step, log, display)
            print(f"=== exit status {code} after {time.monotonic() - began:.1f} s", file=log)
        seconds = f"{time.monotonic() - began:.0f} s"
        if interrupted:
            for line in self._said if not self.verbose else ():
                if line.startswith(MESSAGES):  # for example what is still running; other lines are unfinished output
                    console.err.print(f"  {line}", markup=False)
            raise Interrupted
        if code:
            console.fail(f"{step.title} ({seconds}). Its last lines, all in {shown(self.log)}:")
            self._show_end()
            raise StepFailed(code, f"{step.title} failed. Run this step alone: {console.make(step.target)}")
        console.done(f"{step.title} ({seconds}){self._result()}")

    def _follow(self, step: Step, log, display: Display) -> tuple[int, bool]:
        """Read the command's output until it ends. Returns its exit status and whether it was interrupted."""
        process = subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            process_group=0,  # so that the step and its child processes get Ctrl-C once, from here
        )
        interruptions = 0
        assert process.stdout is not None
        try:
            while True:
                try:
                    for line in process.stdout:
                        log.write(line)
                        log.flush()
                        self._said.append(line.rstrip("\n"))
                        display.line(line.rstrip("\n"))
                    code = process.wait()
                    break
                except KeyboardInterrupt:
                    interruptions += 1
                    display.line("Stopping in order. A second Ctrl-C stops at once and may leave a change half done.")
                    send(process, signal.SIGINT if interruptions < KILL_AT else signal.SIGKILL)
        finally:
            if process.poll() is None:  # after a bug in this program, or a Ctrl-C outside the read
                send(process, signal.SIGTERM)
            process.stdout.close()
        return 128 - code if code < 0 else code, interruptions > 0

    @contextmanager
    def _display(self, step: Step) -> Generator[Display]:
        if self.verbose:
            console.step(step.title)
            yield Lines()
        elif sys.stdout.isatty():
            with Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                TimeElapsedColumn(),
                TextColumn(
                    "{task.fields[last]}", style="dim", markup=False, table_column=Column(no_wrap=True, ratio=1)
                ),
                console=console.out,
                transient=True,
                expand=True,
            ) as bar:
                yield Bar(bar, bar.add_task(step.title, total=None, last=""))
        else:
            yield Display()

    def _result(self) -> str:
        """The first line of the command's last message of success."""
        last = next((line for line in reversed(self._said) if line.startswith(DONE)), None)
        return f": {last.removeprefix(DONE)}" if last else ""

    def _show_end(self) -> None:
        if not self.verbose:
            for line in self._said:
                console.err.print(f"  {line}", markup=False)


def send(process: subprocess.Popen, number: signal.Signals) -> None:
    """Send a signal to a process and to the child processes in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class Display:
    """Shows the lines of a running command. This class shows none of them."""

    def line(self, text: str) -> None:
        """Handle the next line."""


class Lines(Display):
    """Shows every line."""

    def line(self, text: str) -> None:
        console.out.print(f"  {text}", markup=False)


class Bar(Display):
    """Shows the last line after a bar, which Terraform's changes fill."""

    def __init__(self, bar: Progress, task: TaskID):
        self._bar, self._task = bar, task

    def line(self, text: str) -> None:
        if planned := PLANNED.match(text):
            self._bar.update(self._task, total=sum(map(int, planned.groups())) or None)
        if CHANGED.match(text):
            self._bar.advance(self._task)
        self._bar.update(self._task, last=text.strip())


def shown(path: Path) -> str:
    """A path relative to the current folder, if it is below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def ends_like_ctrl_c(*_: object) -> None:
    """A signal handler. SIGTERM and SIGHUP stop a step in order, like Ctrl-C."""
    raise KeyboardInterrupt
