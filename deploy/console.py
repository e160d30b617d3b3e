"""Output for the user: progress, tables, and errors that name the way out."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Failure(Exception):
    """A command cannot continue. The message names the thing that is wrong and the way out."""

    code = 1  # the command's exit status


class Parser(argparse.ArgumentParser):
    """A parser for the arguments of a make target. Its errors name make variables: EPOCHS, not --epochs."""

    def error(self, message: str) -> NoReturn:
        words = re.sub(r"--([a-z][a-z-]*)", lambda option: option[1].upper().replace("-", "_"), message)
        raise Failure(f"{words.removeprefix('argument ').rstrip('.')}. All targets and their variables: {make('help')}")


def make(target: str) -> str:
    """The command for a make target in the current environment, ready to paste."""
    env = os.environ.get("ENV") or "local"
    where = "" if env == "local" else f" ENV={env}"
    rehearsal = " REHEARSE=1" if where and os.environ.get("REHEARSE") else ""
    return f"make {target}{where}{rehearsal}"


def step(message: str) -> None:
    """Print the step that starts now."""
    _say(out, "[bold cyan]▸[/] ", message)


def done(message: str) -> None:
    _say(out, "[bold green]✓[/] ", message)


def note(message: str) -> None:
    """Print a result of a command whose output may go into a file."""
    _say(err, "[bold green]✓[/] ", message)


def warn(message: str) -> None:
    _say(err, "[bold yellow]![/] ", message)


def fail(message: str) -> None:
    _say(err, "[bold red]✗[/] ", message)


def _say(where: Console, sign: str, message: str) -> None:
    where.print(sign, end="")
    where.print(message, markup=False)  # the message may contain a file name with brackets


def show(table: Table | Panel) -> None:
    """Print a table or a box in full. If it is wider than the terminal, its lines wrap; values are not truncated."""
    needed = Console(width=1000).measure(table).maximum
    Console(highlight=False, width=max(out.width, needed)).print(table)


def progress() -> Progress:
    """A progress bar for `total` items. Without a terminal, it prints nothing."""
    columns = TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=err, disable=not sys.stderr.isatty())


def run(command: Callable[[], int | None]) -> None:
    """Run a command's `main`. A failure becomes one message and exit status 1."""
    try:
        sys.exit(command() or 0)
    except KeyboardInterrupt:
        err.print("\nInterrupted.")
        sys.exit(130)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        fail(message)
        sys.exit(error.code if isinstance(error, Failure) else 1)


def explain(error: Exception) -> str | None:
    """The message for an error that the user can fix. None for a bug in this program."""
    if isinstance(error, Failure):
        return str(error)
    # Imported here because half of the commands never need botocore, and the import takes longer than they do.
    from botocore import exceptions
    from classifier.prices import PriceError

    if isinstance(error, PriceError):
        return str(error)
    if isinstance(error, exceptions.NoCredentialsError):
        return "AWS credentials are missing. Log in first (aws sso login, aws configure)."
    if isinstance(error, exceptions.EndpointConnectionError):
        address = str(error.kwargs.get("endpoint_url"))
        start = f" Start the local AWS: {make('local-up')}" if address.startswith("http://127.0.0.1:") else ""
        return f"No server answers at {address}.{start}"
    if isinstance(error, exceptions.ClientError | exceptions.BotoCoreError):
        return str(error)
    return None
