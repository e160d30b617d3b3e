"""A bounded queue of images in an instance, with decoding threads and batches.

    line = Line(decode, network, threads=2, weigh=work)
    row = line.submit(image).result()

The queue has at most `capacity` images. Further images are refused at once (`overloaded`, a 503), because a late answer
is of no use to its caller. A request that is cancelled or has waited longer than `patience` is not computed; if it is
cancelled while its image is decoded, the decoder stops.

Large images have a thread of their own, one after the other, so ordinary ones do not wait for them. If those that wait
for this thread are together too large, further ones are refused as well.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from classifier.contract import ApiError
from classifier.images.budget import LIGHT_WORK

CAPACITY = 64  # images in an instance; with a slow network, 20 per second, the last one waits three seconds
LARGE = LIGHT_WORK  # work of an image; half a second
LARGE_CAPACITY = 300_000_000  # work of the large images in an instance; two seconds
PATIENCE = 60.0  # seconds; by then SageMaker has answered the caller with a timeout


@dataclass(eq=False)
class _Job:
    item: bytes
    weight: int
    answer: Future = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)
    prepared: np.ndarray | None = None


class Line:
    """`run(np.stack([prepare(item, weight, is_cancelled), ...]))` for items from any thread. `run` gives one row each.

    `threads` threads prepare items, and one more prepares those that `weigh` more than LARGE. With `batch` 1, each of
    them also runs its item. With a larger `batch`, one further thread runs the prepared items, up to `batch` at once.
    The first item waits at most `wait` seconds for others.
    """

    def __init__(
        self,
        prepare: Callable[[bytes, int, Callable[[], bool]], np.ndarray],
        run: Callable[[np.ndarray], Sequence[Any]],
        *,
        threads: int,
        weigh: Callable[[bytes], int] = lambda item: 0,
        batch: int = 1,
        wait: float = 0.0,
        capacity: int = CAPACITY,
        patience: float = PATIENCE,
    ):
        self._prepare, self._run, self._weigh = prepare, run, weigh
        self._batch, self._wait, self._capacity, self._patience = batch, wait, capacity, patience
        self._held = self._held_large = 0
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._large: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        for number in range(threads):
            self._start(f"prepare {number}", self._prepare_for_ever, self._waiting)
        self._start("prepare large", self._prepare_for_ever, self._large)
        if batch > 1:
            self._start("run", self._run_for_ever)

    def submit(self, item: bytes) -> Future:
        """The future of the item's row in the result of `run`, or of the exception of `prepare` or `run`.

        `cancel` stops it at any time before `run`. Raises the exceptions of `weigh`, and ApiError `overloaded` if the
        line is full.
        """
        job = _Job(item, self._weigh(item))
        large = job.weight > LARGE
        with self._lock:
            if self._held >= self._capacity:
                raise ApiError("overloaded", "The endpoint has too many requests. Try again shortly.")
            if large and self._held_large and self._held_large + job.weight > LARGE_CAPACITY:
                raise ApiError("overloaded", "The endpoint has too many large images. Try again shortly.")
            self._held += 1
            self._held_large += job.weight * large
        (self._large if large else self._waiting).put(job)
        return job.answer

    @staticmethod
    def _start(name: str, target: Callable, *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, name=name, daemon=True).start()

    def _prepare_for_ever(self, waiting: "queue.SimpleQueue[_Job]") -> None:
        while True:
            job = waiting.get()
            if job.answer.cancelled():
                self._claimed([job])
                continue
            if time.monotonic() - job.since > self._patience:
                self._fail([job], ApiError("overloaded", "The request waited too long. Try again shortly."))
                continue
            try:
                job.prepared, job.item = self._prepare(job.item, job.weight, job.answer.cancelled), b""
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
        jobs = self._claimed(jobs)
        if not jobs:
            return
        try:
            rows = self._run(np.stack([job.prepared for job in jobs if job.prepared is not None]))
        except Exception as error:
            self._answer_all(jobs, error)
            return
        self._let_go(jobs)
        for job, row in zip(jobs, rows, strict=True):
            job.answer.set_result(row)

    def _claimed(self, jobs: list[_Job]) -> list[_Job]:
        """The jobs that still have a caller. From here on they cannot be cancelled. The others leave the line."""
        claimed = [job for job in jobs if job.answer.set_running_or_notify_cancel()]
        self._let_go([job for job in jobs if job not in claimed])
        return claimed

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        self._answer_all(self._claimed(jobs), error)

    def _answer_all(self, jobs: list[_Job], error: Exception) -> None:
        self._let_go(jobs)
        for job in jobs:
            job.answer.set_exception(error)

    def _let_go(self, jobs: list[_Job]) -> None:
        with self._lock:
            self._held -= len(jobs)
            self._held_large -= sum(job.weight for job in jobs if job.weight > LARGE)
