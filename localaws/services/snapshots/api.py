"""POST /_localaws/save: bring everything that the local AWS remembers to the disk, now.

A copy of the home that is made after the answer is whole. The saved state names the objects of S3 by their contents,
and the local AWS removes a content only when it starts (`localaws.services.s3.api`).
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from localaws import state
from localaws.context import context
from localaws.errors import status_line
from localaws.services.cloudwatch.metrics import store

PATH = "/_localaws/save"
METRICS = "metrics-of-snapshot.json"  # not the name that the next start reads: after a crash it would have a hole


def matches(environ: dict[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == PATH


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    """200 when it is on the disk, 503 with the reason if the disk does not take it."""
    try:
        state.save()
        store.save(context().home / "state" / METRICS)
    except OSError as error:
        return _answer(start_response, 503, {"message": f"The state cannot be written: {error.strerror or error}"})
    return _answer(start_response, 200, {"saved": True})


def _answer(start_response: Callable, status: int, told: dict[str, Any]) -> Iterable[bytes]:
    body = json.dumps(told).encode()
    start_response(status_line(status), [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def install() -> None:
    """Nothing to replace in moto."""
