"""A moment by which an answer must be on its way, and calls that are given up when it comes."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class Deadline:
    """A point in time, `seconds` from now."""

    def __init__(self, seconds: float):
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then, never negative."""
        return max(0.0, self._at - time.monotonic())

    def within(self, seconds: float) -> "Deadline":
        """The earlier of this deadline and `seconds` from now."""
        return Deadline(min(seconds, self.left()))

    def run(self, call: Callable[..., Result], *args, **kwargs) -> Result:
        """Call, and raise TimeoutError if it has not returned in time.

        For calls that know no total limit of their own: name resolution has none, and botocore's are fixed
        when the client is made, for each read apart. A call that is given up goes on in its thread until its
        own limits end it.
        """
        outcome: Future[Result] = Future()

        def target() -> None:
            try:
                outcome.set_result(call(*args, **kwargs))
            except BaseException as failure:
                outcome.set_exception(failure)

        threading.Thread(target=target, daemon=True).start()
        return outcome.result(timeout=self.left())
