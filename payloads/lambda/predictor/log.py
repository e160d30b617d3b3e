"""One JSON line per request on standard output, for CloudWatch Logs: no image bytes, no query strings."""

import contextlib
import json
import time
import traceback
from collections.abc import Generator

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LONGEST_VALUE = 4000  # a traceback fits; a caller's path of a megabyte does not


class RequestLog:
    """Gathers what is known of one request, and writes it once at the end."""

    def __init__(self, request_id: str, threshold: str):
        self._threshold = LEVELS.index(threshold)
        self._started = time.perf_counter()
        self._fields: dict = {"request_id": request_id}

    def set(self, **fields) -> None:
        self._fields.update(fields)

    @contextlib.contextmanager
    def timed(self, name: str) -> Generator[None]:
        """Note as `name` the milliseconds that the block took, also when it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.set(**{name: _milliseconds(started)})

    def failed(self, code: str, failure: BaseException | None) -> None:
        """Note an error's code and what lies behind it: the log says more than the answer does."""
        self.set(code=code)
        if failure is not None:
            self.set(detail=f"{type(failure).__name__}: {failure}")

    def defect(self, failure: Exception) -> None:
        """Note a defect of the function with its traceback."""
        self.set(traceback="".join(traceback.format_exception(failure)))

    def write(self, status: int) -> None:
        """One line: ERROR from status 500 on, else INFO; none where the threshold is higher."""
        level = "ERROR" if status >= 500 else "INFO"
        if LEVELS.index(level) < self._threshold:
            return
        line = {"level": level, "status": status, "ms": _milliseconds(self._started), **self._fields}
        cut = {name: v[-LONGEST_VALUE:] if isinstance(v, str) else v for name, v in line.items()}
        print(json.dumps(cut), flush=True)


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
