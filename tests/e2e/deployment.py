"""A deployment driven by the make targets alone, as a person would drive it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
DRESS_REHEARSAL = {"ENV": "aws", "REHEARSE": "1"}
# Under this project's own Python, which is what a machine without the images' Pythons has.
ORDINARY = {"ENV": "local", "REHEARSE": "", "LOCALAWS_IMAGES": "own"}


@dataclass
class Deployment:
    """A rehearsal driven by the make targets alone, as a person would: of AWS's settings, unless told otherwise."""

    home: Path
    port: int
    asked: dict[str, str] = field(default_factory=DRESS_REHEARSAL.copy)
    first_output: str = ""

    def run(self, *arguments: str, timeout: float = 2400) -> subprocess.CompletedProcess:
        """`make ARGUMENTS`; stdout and stderr come back as one text in `stdout`."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE"))}
        environment |= {"PAWPRINT_HOME": str(self.home), "LOCALAWS_PORT": str(self.port), **self.asked}
        environment["LOCALAWS_TIME_SCALE"] = "10"  # the waits of AWS's settings: three minutes after each promotion
        environment["LOCALAWS_HEALTHY_SECONDS"] = "1800"  # on a busy machine an instance takes longer than on AWS
        return subprocess.run(
            ["make", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def make(self, *arguments: str, timeout: float = 2400) -> str:
        """`make ARGUMENTS`, which must succeed; returns what it printed."""
        result = self.run(*arguments, timeout=timeout)
        assert result.returncode == 0, f"make {' '.join(arguments)} failed:\n{result.stdout[-4000:]}"
        return result.stdout

    @property
    def localaws(self) -> Path:
        """Where its local AWS keeps its state."""
        return self.home / "localaws" if self.asked == ORDINARY else self.home / "aws-rehearsal" / "localaws"

    def client(self, service: str):
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def processes(self) -> dict[int, str]:
        """Number and command line of every process that works inside this deployment's home."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve().is_relative_to(self.home):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it ended while we looked
        return found

    def endpoint_processes(self) -> list[int]:
        """The numbers of the processes that serve a model."""
        found = [number for number, line in self.processes().items() if "own_container" in line or "ray_serve" in line]
        assert found, "no endpoint process was found"
        return found
