"""The requests of a load test: signed, and signed again before their signature expires."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from deploy import function
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.load.client import LoadTarget, raw_request

URL, ENDPOINT = TARGETS = ("url", "endpoint")
RENEW_SECONDS = 120.0  # AWS accepts a signature for five minutes
MOST_IMAGES = 200
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Questions:
    """The server, and the function that makes the requests with new signatures."""

    target: LoadTarget
    sign: Callable[[], list[bytes]]


def images(folder: str | None) -> list[Path]:
    """The photographs of a folder, or one of the sample. Raises Failure if there are none."""
    if folder is None:
        return [function.sample_image()]
    found = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise Failure(f"IMAGES={folder} has no photographs ({', '.join(sorted(SUFFIXES))}).")
    return found[:: max(1, len(found) // MOST_IMAGES)][:MOST_IMAGES]


def questions(deployment: Deployment, target: str, pictures: list[Path]) -> Questions:
    """Requests with these pictures to the function URL or to the endpoint. Raises Failure."""
    if target == URL:
        address = deployment.function_url
        sign = function.signer(deployment)
    else:
        runtime = deployment.client("sagemaker-runtime").meta.endpoint_url
        address = f"{runtime}/endpoints/{quote(deployment.endpoint_name)}/invocations"
        sign = function.Signer(deployment.region, "sagemaker")
    parts = urlsplit(address)
    host = parts.hostname or ""
    tls = parts.scheme == "https"
    where = "127.0.0.1" if host.endswith(".localhost") else host
    bodies = [(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "image/jpeg") for path in pictures]

    def make() -> list[bytes]:
        made = []
        for body, kind in bodies:
            headers = {"Content-Type": kind}
            headers = sign.sign("POST", address, body, headers) if sign else headers
            made.append(raw_request(parts.path or "/", body, {"Host": parts.netloc, **headers}))
        return made

    return Questions(LoadTarget(parts.port or (443 if tls else 80), where, tls), make)


class Renewal:
    """Signs the requests of a load again, in a thread, until it is closed."""

    def __init__(self, sign: Callable[[], list[bytes]], use: Callable[[list[bytes]], None]):
        self._sign, self._use = sign, use
        self._closed = threading.Event()
        threading.Thread(target=self._renew, daemon=True, name="signatures").start()

    def close(self) -> None:
        self._closed.set()

    def _renew(self) -> None:
        while not self._closed.wait(RENEW_SECONDS):
            self._use(self._sign())
