"""A real local AWS for the tests: one server process per test session, with its own port and state directory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import boto3
import pytest
from botocore.config import Config

from localaws.__main__ import ask, down
from localaws.context import REPOSITORY
from localaws.ports import free_port

T = TypeVar("T")

# The roles that tests give to services. They may do everything: what a role may not do has tests of its own.
ROLES = ("pawprint", "lambda", "r", "x")
SERVICES = [f"{service}.amazonaws.com" for service in ("ec2", "lambda", "sagemaker")]
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": SERVICES}}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class Server:
    """A local AWS of the tests' own: started, stopped, killed and asked at will."""

    def __init__(self, home: Path):
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def environment(self) -> dict[str, str]:
        return {**os.environ, "LOCALAWS_HOME": str(self.home), "LOCALAWS_PORT": str(self.port)}

    def command(self, name: str) -> subprocess.CompletedProcess:
        """Run `python -m localaws <name>` to its end."""
        argv = [sys.executable, "-m", "localaws", name]
        return subprocess.run(argv, cwd=REPOSITORY, env=self.environment(), capture_output=True, text=True, timeout=90)

    def start(self) -> "Server":
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "localaws", "serve"],
                cwd=REPOSITORY,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(lambda: ask(self.port) or self.process.poll() is not None, "the server answers")
        assert self.process.poll() is None, (self.home / "server.log").read_text()
        self._make_roles()
        return self

    def _make_roles(self) -> None:
        iam = self.client("iam")
        known = {role["RoleName"] for role in iam.list_roles()["Roles"]}
        for name in set(ROLES) - known:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(TRUST))
            iam.put_role_policy(RoleName=name, PolicyName="everything", PolicyDocument=policy(EVERYTHING))

    def stop(self) -> None:
        """Stop in order; an unclean end fails the test."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(240) == 0, (self.home / "server.log").read_text()

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        down(self.home)

    def client(self, service: str, region: str = "us-east-1", retries: int = 1):
        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": retries}, read_timeout=70),
        )


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def until(condition: Callable[[], T], what: str, seconds: float = 240) -> T:
    """Poll until `condition()` is true and give its value; fail with `what` when the deadline has passed."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds} s, not yet: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def localaws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server shared by the session's tests: each test uses names of its own in it."""
    server = Server(tmp_path_factory.mktemp("localaws")).start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def wait_until() -> Callable:
    """`until`, for tests: fixtures are what a conftest can share under importlib import mode."""
    return until


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of one test alone, not started yet: to stop, kill and start again."""
    server = Server(tmp_path / "home")
    yield server
    server.close()
