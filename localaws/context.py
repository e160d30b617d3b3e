"""What every part of the local AWS needs to know of the whole: where it lives and how to reach it."""

import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localaws.supervisor import Supervisor

ACCOUNT_ID = "123456789012"
DEFAULT_PORT = 4566
DEFAULT_REGION = "us-east-1"
ACCESS_KEY = SECRET_KEY = "test"  # noqa: S105 AWS's form of "none": this server takes any
OWN_AGENT = "localaws-service"  # in the User-Agent of what the services of the local AWS send for themselves
ALREADY_RUNNING = 3  # the exit status of a server that finds another one on its state
REPOSITORY = Path(__file__).resolve().parent.parent


def configured_port() -> int:
    """The port from LOCALAWS_PORT, or 4566. Raises SystemExit with words if it is not a port."""
    value = os.environ.get("LOCALAWS_PORT") or str(DEFAULT_PORT)
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise SystemExit(f"LOCALAWS_PORT is {value!r}: it must be a port number from 1 to 65535.")
    return int(value)


def configured_home() -> Path:
    """The state directory from LOCALAWS_HOME, or `.local/localaws` in the repository."""
    return Path(os.environ.get("LOCALAWS_HOME") or REPOSITORY / ".local" / "localaws").resolve()


@dataclass
class Context:
    """One local AWS: its directory, its port, its processes."""

    home: Path
    port: int
    supervisor: Supervisor
    python: str = sys.executable
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def child_environment(
        self,
        region: str = DEFAULT_REGION,
        python: str | None = None,
        credentials: Mapping[str, str] | None = None,
        **extra: str,
    ) -> dict[str, str]:
        """The whole environment of a child process: what reaches this local AWS, and nothing of the caller's.

        `python` is the interpreter whose programs come first, by default the local AWS's own. `credentials` are the
        variables with which the process signs, or finds what it signs with; without any it is the account's root.
        `extra` is added last.
        The caller's credentials, profiles and Python settings never leak in.
        """
        search = [str(Path(python or self.python).parent), os.environ.get("PATH", os.defpath)]
        return {
            "PATH": os.pathsep.join(search),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "AWS_ENDPOINT_URL": self.endpoint_url,
            **(credentials or {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONUNBUFFERED": "1",
            **extra,
        }

    def client(self, service: str, region: str = DEFAULT_REGION) -> Any:
        """A boto3 client of this local AWS, made once per service and region."""
        with self._lock:  # clients are safe to share between threads, making them is not
            if (service, region) not in self._clients:
                self._clients[service, region] = boto3.session.Session().client(
                    service,
                    region_name=region,
                    endpoint_url=self.endpoint_url,
                    aws_access_key_id=ACCESS_KEY,
                    aws_secret_access_key=SECRET_KEY,
                    config=Config(
                        user_agent_extra=OWN_AGENT,
                        s3={"addressing_style": "path"},
                        read_timeout=90,
                        max_pool_connections=32,
                        retries={"total_max_attempts": 2},
                    ),
                )
            return self._clients[service, region]


_current: Context | None = None


def set_context(value: Context | None) -> None:
    """Make `value` the context of this process: the server does so once at start, tests as they need."""
    global _current
    _current = value


def context() -> Context:
    """The context of this process. Raises RuntimeError before the server has set one."""
    if _current is None:
        raise RuntimeError("No local AWS in this process: localaws.server (or a test) sets the context first.")
    return _current
