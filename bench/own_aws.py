"""A local AWS for one measurement, with a folder and a port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import boto3
from botocore.config import Config

from localaws.ports import free_port

ROOT = Path(__file__).parents[1]
PATIENCE = 240.0  # seconds


class OwnAws:
    """A running server, with these variables. Close it."""

    def __init__(self, **variables: str) -> None:
        self._home = tempfile.TemporaryDirectory()
        self.port = free_port()
        own = {"LOCALAWS_HOME": self._home.name, "LOCALAWS_PORT": str(self.port)}
        serve = [sys.executable, "-m", "localaws", "serve"]
        with Path(self._home.name, "log").open("wb") as log:
            self._server = subprocess.Popen(
                serve, cwd=ROOT, env={**os.environ, **own, **variables}, stdout=log, stderr=log
            )
        try:
            until(self._answers, "the local AWS answers")
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, **config):
        """A client of boto3; `config` is botocore's."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(
            service, region_name="us-east-1", endpoint_url=self.address, config=Config(**config), **keys
        )

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()
        self._home.cleanup()

    def _answers(self) -> bool:
        try:
            self.client("sts").get_caller_identity()
        except Exception:
            if self._server.poll() is not None:
                raise
            return False
        return True


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until it is true. Raises TimeoutError after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE:.0f} s, not yet: {what}")
        time.sleep(0.05)
