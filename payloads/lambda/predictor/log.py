"""One JSON line per request on standard output, for CloudWatch Logs: no image bytes, no query strings."""

import contextlib
import json
import time
import traceback
from collections.abc import Generator

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LONGEST_VALUE = 4000  # enough for a traceback, but not for a path of a megabyte


class RequestLog:
    """Collects the facts about one request, and writes them once at the end."""

    def __init__(self, request_id: str, threshold: str):
        self._threshold = LEVELS.index(threshold)
        self._started = time.perf_counter()
        self.request_id = request_id
        self._fields: dict = {"request_id": request_id}

    def set(self, **fields) -> None:
        self._fields.update(fields)

    def count(self, name: str, more: int = 1) -> int:
        """Add to a number, and return it. It begins at 0."""
        self._fields[name] = self._fields.get(name, 0) + more
        return self._fields[name]

    def judged(self, answer: dict) -> None:
        """Record whether the picture was one of the classes, if the model can tell. Of several pictures, the log has
        their number, the number of unknown ones and the mean distance. Metrics are made of these (modules/monitoring).
        """
        if answer.get("known") is None or answer.get("distance") is None:
            return
        judged = self.count("judged")
        self.count("unknown", int(not answer["known"]))
        mean = self._fields.get("distance", 0.0)
        self.set(distance=round(mean + (answer["distance"] - mean) / judged, 3))

    @contextlib.contextmanager
    def timed(self, name: str) -> Generator[None]:
        """Record the milliseconds of the block as `name`, even if it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.set(**{name: _milliseconds(started)})

    def failed(self, code: str, failure: BaseException | None) -> None:
        """Record an error's code and its cause. The log has more details than the answer."""
        self.set(code=code)
        if failure is not None:
            self.set(detail=f"{type(failure).__name__}: {failure}")

    def defect(self, failure: Exception) -> None:
        """Record a bug in the function with its traceback."""
        self.set(traceback="".join(traceback.format_exception(failure)))

    def write(self, status: int) -> None:
        """Write one line: ERROR from status 500 on, otherwise INFO. Write none if the log level is higher."""
        level = "ERROR" if status >= 500 else "INFO"
        if LEVELS.index(level) < self._threshold:
            return
        line = {"level": level, "status": status, "ms": _milliseconds(self._started), **self._fields}
        cut = {name: v[-LONGEST_VALUE:] if isinstance(v, str) else v for name, v in line.items()}
        print(json.dumps(cut), flush=True)


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
