"""CloudWatch Logs for the local runtimes: lines appended as they are written, groups and streams made at the first."""

import threading
import time
from pathlib import Path

from moto.logs.models import logs_backends

from localaws import state
from localaws.context import ACCOUNT_ID

POLL_SECONDS = 0.1
MAX_MESSAGE_CHARS = 256 * 1024  # CloudWatch's own limit for one event, which counts 26 bytes of overhead with it

_lock = threading.Lock()


def append(group: str, stream: str, lines: list[str], region: str) -> None:
    """Append lines, stamped now, to a log stream. Blank lines are left out, as CloudWatch refuses empty events."""
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line[:MAX_MESSAGE_CHARS]} for line in lines if line.strip()]
    if not events:
        return
    backend = logs_backends[ACCOUNT_ID][region]
    with _lock:
        backend.ensure_log_group(group)
        backend.ensure_log_stream(group, stream)
        backend.put_log_events(group, stream, events)
    state.touch()


class Follower:
    """Copies what a process writes to its log file into a log stream, line by line, while it runs."""

    def __init__(self, path: Path, group: str, stream: str, region: str):
        self._path = path
        self._target = (group, stream)
        self._region = region
        self._finished = threading.Event()
        self._position = path.stat().st_size if path.exists() else 0
        self._rest = b""
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
        append(*self._target, texts, self._region)
