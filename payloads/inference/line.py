"""A bounded queue of images in an instance, with decoding threads and batches.

    line = Line(decode, network, threads=2)
    row = line.submit(image).result()

The queue has at most `capacity` images. Further images are refused at once (`overloaded`, a 503), because a late answer
is of no use to its caller. A request that is cancelled or has waited longer than `patience` is not computed.
"""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from classifier.contract import ApiError

CAPACITY = 64  # images in an instance; with a slow network, 20 per second, the last one waits three seconds
PATIENCE = 60.0  # seconds; by then SageMaker has answered the caller with a timeout


@dataclass
class _Job:
    item: bytes
    answer: Future = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)
    prepared: np.ndarray | None = None


class Line:
    """`run(np.stack([prepare(item), ...]))` for items from any thread.

    `threads` threads prepare items. With `batch` 1, each of them also runs its item. With a larger `batch`, one further
    thread runs the prepared items, up to `batch` at once. The first item waits at most `wait` seconds for others.
    """

    def __init__(
        self,
        prepare: Callable[[bytes], np.ndarray],
        run: Callable[[np.ndarray], np.ndarray],
        *,
        threads: int,
        batch: int = 1,
        wait: float = 0.0,
        capacity: int = CAPACITY,
        patience: float = PATIENCE,
    ):
        self._prepare, self._run = prepare, run
        self._batch, self._wait, self._capacity, self._patience = batch, wait, capacity, patience
        self._held = 0
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        for number in range(threads):
            threading.Thread(target=self._prepare_for_ever, name=f"prepare {number}", daemon=True).start()
        if batch > 1:
            threading.Thread(target=self._run_for_ever, name="run", daemon=True).start()

    def submit(self, item: bytes) -> Future:
        """The future of the item's row in the result of `run`, or of the exception of `prepare` or `run`.

        Raises ApiError `overloaded` if the line is full.
        """
        with self._lock:
            if self._held >= self._capacity:
                raise ApiError("overloaded", "The endpoint has too many requests. Try again shortly.")
            self._held += 1
        job = _Job(item)
        self._waiting.put(job)
        return job.answer

    def _prepare_for_ever(self) -> None:
        while True:
            job = self._waiting.get()
            if not self._is_wanted(job):
                continue
            try:
                job.prepared, job.item = self._prepare(job.item), b""
            except Exception as error:
                self._fail([job], error)
                continue
            if self._batch == 1:
                self._run_together([job])
            else:
                self._ready.put(job)

    def _run_for_ever(self) -> None:
        while True:
            jobs = [self._ready.get()]
            until = time.monotonic() + self._wait
            while len(jobs) < self._batch:
                try:
                    jobs.append(self._ready.get(timeout=max(0.0, until - time.monotonic())))
                except queue.Empty:
                    break
            self._run_together(jobs)

    def _run_together(self, jobs: list[_Job]) -> None:
        try:
            rows = self._run(np.stack([job.prepared for job in jobs if job.prepared is not None]))
        except Exception as error:
            self._fail(jobs, error)
            return
        self._let_go(len(jobs))
        for job, row in zip(jobs, rows, strict=True):
            job.answer.set_result(row)

    def _is_wanted(self, job: _Job) -> bool:
        if not job.answer.set_running_or_notify_cancel():
            self._let_go(1)
            return False
        if time.monotonic() - job.since > self._patience:
            self._fail([job], ApiError("overloaded", "The request waited too long. Try again shortly."))
            return False
        return True

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        self._let_go(len(jobs))
        for job in jobs:
            job.answer.set_exception(error)

    def _let_go(self, count: int) -> None:
        with self._lock:
            self._held -= count
