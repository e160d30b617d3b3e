"""Run commands one after the other, each as one line on the screen, with everything that they print in a log file."""

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

SHOWN_LINES = 15  # of a step that failed
KILL_AT = 3  # the Ctrl-C that no longer asks
# Terraform says how much there is to do, and each thing that it has done.
PLANNED = re.compile(r"\s*Plan: (\d+) to add, (\d+) to change, (\d+) to destroy")
CHANGED = re.compile(r"\s*module\.\S+: (Creation|Modifications|Destruction) complete")
DONE = "✓ "  # how a command's last words begin (deploy.console.done)
MESSAGES = ("✗ ", "! ")  # and its warnings and failures


@dataclass(frozen=True)
class Step:
    """One command: what it is called on the screen, its arguments, and the make target that repeats it."""

    title: str
    command: list[str]
    target: str


class StepFailed(Failure):
    """A step ended with another exit status than 0, which is `code`. What it last said was shown already."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


class Interrupted(Exception):
    """The person at the keyboard ended a step, and it has ended."""


@dataclass
class Steps:
    """A sequence of commands with one log. `verbose` shows every line of theirs too."""

    log: Path
    verbose: bool = False
    _said: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_LINES))

    def run(self, step: Step) -> None:
        """Run a command to its end. Raises StepFailed if it fails, Interrupted after Ctrl-C."""
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
                if line.startswith(MESSAGES):  # what still runs, for instance; the rest is what broke off
                    console.err.print(f"  {line}", markup=False)
            raise Interrupted
        if code:
            console.fail(f"{step.title} ({seconds}). Its last lines, all in {shown(self.log)}:")
            self._show_end()
            raise StepFailed(code, f"{step.title} failed. Repeat the step alone: {console.make(step.target)}")
        console.done(f"{step.title} ({seconds}){self._result()}")

    def _follow(self, step: Step, log, display: Display) -> tuple[int, bool]:
        """Read what the command prints until it has ended; returns its exit status, and whether it was interrupted."""
        process = subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            process_group=0,  # so that Ctrl-C reaches it once, from here, and all that it started
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
                    display.line("It ends in order. A second Ctrl-C ends it at once and may leave half a change.")
                    send(process, signal.SIGINT if interruptions < KILL_AT else signal.SIGKILL)
        finally:
            if process.poll() is None:  # a fault of this program, or a Ctrl-C outside of the reading
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
        """The first line of the last message of success in the command's own words."""
        last = next((line for line in reversed(self._said) if line.startswith(DONE)), None)
        return f": {last.removeprefix(DONE)}" if last else ""

    def _show_end(self) -> None:
        if not self.verbose:
            for line in self._said:
                console.err.print(f"  {line}", markup=False)


def send(process: subprocess.Popen, number: signal.Signals) -> None:
    """Send a signal to a process and to everything that it started in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class Display:
    """What shows a command's lines while it runs: nothing."""

    def line(self, text: str) -> None:
        """Take the next line."""


class Lines(Display):
    """All of them."""

    def line(self, text: str) -> None:
        console.out.print(f"  {text}", markup=False)


class Bar(Display):
    """The last one, behind a bar that Terraform's changes fill."""

    def __init__(self, bar: Progress, task: TaskID):
        self._bar, self._task = bar, task

    def line(self, text: str) -> None:
        if planned := PLANNED.match(text):
            self._bar.update(self._task, total=sum(map(int, planned.groups())) or None)
        if CHANGED.match(text):
            self._bar.advance(self._task)
        self._bar.update(self._task, last=text.strip())


def shown(path: Path) -> str:
    """A path as a person here would write it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def ends_like_ctrl_c(*_: object) -> None:
    """A signal handler: what ends a session (SIGTERM, SIGHUP) ends a step in order, as Ctrl-C does."""
    raise KeyboardInterrupt
