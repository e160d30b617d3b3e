"""Control a deployment with make targets only, like a user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
DRESS_REHEARSAL = {"ENV": "aws", "REHEARSE": "1"}
# Use this project's own Python, like a machine without the images' Pythons.
ORDINARY = {"ENV": "local", "REHEARSE": "", "LOCALAWS_IMAGES": "own"}


def checkout(folder: Path) -> Path:
    """A copy of this checkout, whose settings a test may change. It shares the installed packages."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    shutil.copytree(ROOT / "build", folder / "build")
    return folder


def wait_until(condition, seconds: float = 1200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{condition.__name__} did not come true within {seconds} s"
        time.sleep(0.2)


@dataclass
class Deployment:
    """A rehearsal, controlled with make targets only, like by a user. By default with the settings of AWS."""

    home: Path
    port: int
    asked: dict[str, str] = field(default_factory=DRESS_REHEARSAL.copy)
    first_output: str = ""
    root: Path = ROOT

    def environment(self) -> dict[str, str]:
        """The variables of its make targets."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE"))}
        environment |= {"PAWPRINT_HOME": str(self.home), "LOCALAWS_PORT": str(self.port), **self.asked}
        environment["LOCALAWS_TIME_SCALE"] = (
            "10"  # shortens the waits of AWS's settings, three minutes after each promotion
        )
        environment["LOCALAWS_HEALTHY_SECONDS"] = "1800"  # on a busy machine an instance takes longer than on AWS
        return environment

    def run(self, *arguments: str, timeout: float = 2400) -> subprocess.CompletedProcess:
        """Run `make ARGUMENTS`. `stdout` of the result has stdout and stderr as one text."""
        return subprocess.run(
            ["make", *arguments],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def make(self, *arguments: str, timeout: float = 2400) -> str:
        """Run `make ARGUMENTS`, which must succeed. Returns its output."""
        result = self.run(*arguments, timeout=timeout)
        assert result.returncode == 0, f"make {' '.join(arguments)} failed:\n{result.stdout[-4000:]}"
        return result.stdout

    def become_deployer(self) -> None:
        """Run what follows as a user who has the policy in the repository, and nothing else."""
        self.make("local-up")
        iam = self.client("iam")
        statements = json.loads((ROOT / "terraform" / "deployer-policy.json").read_text())["Statement"]
        iam.create_user(UserName="deployer")
        for number in (0, 1):  # in two, as a managed policy takes 6,144 characters
            document = json.dumps({"Version": "2012-10-17", "Statement": statements[number::2]})
            policy = iam.create_policy(PolicyName=f"deployer-{number}", PolicyDocument=document)["Policy"]["Arn"]
            iam.attach_user_policy(UserName="deployer", PolicyArn=policy)
        key = iam.create_access_key(UserName="deployer")["AccessKey"]
        self.asked["LOCALAWS_ACCESS_KEY_ID"] = key["AccessKeyId"]
        self.asked["LOCALAWS_SECRET_ACCESS_KEY"] = key["SecretAccessKey"]

    @property
    def localaws(self) -> Path:
        """The folder of its local AWS's state."""
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
        """The pid and command line of every process whose working directory is in this deployment's home."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve().is_relative_to(self.home):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # the process has ended meanwhile
        return found

    def endpoint_processes(self) -> list[int]:
        """The pids of the processes that serve a model."""
        found = [number for number, line in self.processes().items() if "own_container" in line or "ray_serve" in line]
        assert found, "no endpoint process was found"
        return found
