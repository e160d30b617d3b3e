"""A deadline for an answer, and calls that time out at the deadline."""

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
        """Seconds until the deadline, never negative."""
        return max(0.0, self._at - time.monotonic())

    def within(self, seconds: float) -> "Deadline":
        """The earlier of this deadline and `seconds` from now."""
        return Deadline(min(seconds, self.left()))

    def run(self, call: Callable[..., Result], *args, **kwargs) -> Result:
        """Call the function. Raise TimeoutError if it does not return in time.

        For calls without a total time limit: name resolution has none, and those of botocore are fixed per read when
        the client is made. After a timeout, the call continues in its thread until its own limits end it.
        """
        outcome: Future[Result] = Future()

        def target() -> None:
            try:
                outcome.set_result(call(*args, **kwargs))
            except BaseException as failure:
                outcome.set_exception(failure)

        threading.Thread(target=target, daemon=True).start()
        return outcome.result(timeout=self.left())
