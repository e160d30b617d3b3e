"""What training, transform and tuning jobs share: a thread, a stop, and what becomes of them when the server stops.

A job is pickled with its record. `_prepare` makes what is not: the events and the thread of this process.
"""

import threading
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from localaws.context import ACCOUNT_ID
from localaws.services.sagemaker.records import TABLES, Record

MAX_REASON_CHARS = 1024
UNFINISHED = ("InProgress", "Stopping")


class Job(Record):
    """A record with the thread that runs it."""

    INTERRUPTED: str  # the FailureReason of a job that ran when the server stopped
    LIVING: tuple[str, ...] = ("_stop_asked", "_suspended", "_thread")  # what `_prepare` makes

    def _prepare(self) -> None:
        self._stop_asked, self._suspended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in self.LIVING}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._prepare()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"{self.kind} {self.name}", daemon=True)
        self._thread.start()

    def suspend(self) -> None:
        """The server stops: its supervisor ends the processes, and the next start says what became of the job."""
        self._suspended.set()
        self._stop_asked.set()

    def fail_after_restart(self) -> None:
        """What becomes of a job that ran when the server stopped."""
        self._finish("Failed", self.INTERRUPTED)

    def _run(self) -> None:
        raise NotImplementedError

    def _finish(self, outcome: str, reason: str | None) -> None:
        raise NotImplementedError


def all_jobs(kind: str) -> list[Any]:
    """The jobs of a kind, of every region in use."""
    return [
        job for backend in sagemaker_backends[ACCOUNT_ID].values() for job in getattr(backend, TABLES[kind]).values()
    ]


def restore(kind: str) -> None:
    """Say of each job that ran when the server stopped that it failed."""
    for job in all_jobs(kind):
        if job.status in UNFINISHED:
            job.fail_after_restart()


def stop(kind: str) -> None:
    """Suspend each job that runs."""
    for job in all_jobs(kind):
        if job.status in UNFINISHED:
            job.suspend()
