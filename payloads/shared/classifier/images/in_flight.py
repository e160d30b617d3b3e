"""A cap on the work that the threads of a process do at once. Standard library only."""

import contextlib
import threading
from collections.abc import Generator


class InFlight:
    """At most `cap` units at once over all threads. One thread alone may hold more, so nothing waits without end."""

    def __init__(self, cap: int):
        self._cap, self._held = cap, 0
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """The units that the threads hold now."""
        return self._held

    @contextlib.contextmanager
    def hold(self, amount: int) -> Generator[None]:
        """Wait until `amount` units are free, and hold them during the block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + amount <= self._cap)
            self._held += amount
        try:
            yield
        finally:
            with self._changed:
                self._held -= amount
                self._changed.notify_all()
