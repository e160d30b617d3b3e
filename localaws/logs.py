"""CloudWatch Logs for the local runtimes: lines appended as they are written, groups and streams made at the first."""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from moto.logs.models import logs_backends

from localaws import state
from localaws.context import ACCOUNT_ID

POLL_SECONDS = 0.1
MAX_MESSAGE_CHARS = 256 * 1024  # CloudWatch's own limit for one event, which counts 26 bytes of overhead with it

TAIL_BYTES = 64 * 1024

# torchrun ends with an exception of its own after the program's.
_EXCEPTION = re.compile(r"^(?!torch\.distributed\.elastic\.)[\w.]*(Error|Exception|Interrupt|Exit)\b")
_lock = threading.Lock()


class LogWriter(Protocol):
    """Who writes to a log stream, and may be denied it: a role that a service acts for."""

    def may_log(self, group: str, stream: str, group_exists: bool) -> bool: ...


def append(
    group: str, stream: str, lines: list[str], region: str, *, create: bool = True, role: LogWriter | None = None
) -> None:
    """Append lines, stamped now, to a log stream. Blank lines are left out, as CloudWatch refuses empty events.

    Without `create` the lines are dropped if the group does not exist. What a `role` may not write is dropped too.
    """
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line[:MAX_MESSAGE_CHARS]} for line in lines if line.strip()]
    if not events:
        return
    backend = logs_backends[ACCOUNT_ID][region]
    if not create and group not in backend.groups:
        return
    if role is not None and not role.may_log(group, stream, group in backend.groups):
        return
    with _lock:
        if not create and group not in backend.groups:
            return
        backend.ensure_log_group(group)
        backend.ensure_log_stream(group, stream)
        backend.put_log_events(group, stream, events)
    state.touch()


def last_error(path: Path) -> str:
    """The last line of a log file that begins with an exception's name, or else its last line; "" for an empty one."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    except FileNotFoundError:
        return ""
    lines = [line for line in lines if line]
    errors = [line for line in lines if _EXCEPTION.match(line)]
    return (errors or lines or [""])[-1]


class Follower:
    """Copies what a process writes to its log file into a log stream, line by line, while it runs.

    The first lines make the log group if it does not exist. A group that is deleted later stays deleted: Terraform
    deletes an endpoint and its group while the containers still end, and their role may not make it again.
    `on_lines` is given the same lines. With a `role`, the group gets what the role may write.
    """

    def __init__(
        self,
        path: Path,
        group: str,
        stream: str,
        region: str,
        on_lines: Callable[[list[str]], None] | None = None,
        role: LogWriter | None = None,
    ):
        self._path = path
        self._target = (group, stream)
        self._region = region
        self._on_lines = on_lines
        self._role = role
        self._finished = threading.Event()
        self._position = path.stat().st_size if path.exists() else 0
        self._rest = b""
        self._has_begun = False
        self._thread = threading.Thread(target=self._run, name=f"follow {path.name}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Call when the process has ended: copies the rest, then returns."""
        self._finished.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._finished.wait(POLL_SECONDS):
            self._copy(last=False)
        self._copy(last=True)

    def _copy(self, last: bool) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            new = file.read()
        self._position += len(new)
        lines = (self._rest + new).split(b"\n")
        self._rest = b"" if last else lines.pop()
        # A progress bar redraws its line: what counts is what it showed last.
        texts = [line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2] for line in lines]
        append(*self._target, texts, self._region, create=not self._has_begun, role=self._role)
        self._has_begun = self._has_begun or any(text.strip() for text in texts)
        if self._on_lines is not None and texts:
            self._on_lines(texts)
