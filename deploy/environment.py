"""Where a command runs: the rehearsal on this machine (`ENV=local`, the default) or AWS (`ENV=aws`).

`ENV` chooses the settings, `terraform/environments/<ENV>.tfvars`, and the code path that goes with them. `REHEARSE=1`
runs the settings of AWS against the local AWS of this machine, with a separate home. So this module defines two
properties: `name` (the settings) and `rehearsed` (whether the local AWS is used). `tests/unit/deploy/test_branches.py`
lists each use of them in another module of `deploy`, with its reason.

A rehearsal can never reach AWS. The caller's credentials, profiles and endpoints are replaced before the first client
is made. The Terraform provider accepts the local account only (`allowed_account_ids`).
"""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from pathlib import Path

from deploy import console
from deploy.console import Failure
from localaws import images

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
TERRAFORM = ROOT / "terraform"


# The ports of the ordinary rehearsal and the dress rehearsal. Each has its own local AWS; both can run at once.
PORTS = {"local": "4566", "rehearsal": "4567"}
DRESS = "-rehearsal"  # ends the names of the homes of dress rehearsals
# For throttling and failures of AWS. If AWS throttles 30 % of the requests, a command with 50 calls fails three times
# in four with botocore's own three attempts, and once in 28 with six. The waits double from up to 1 s; together they
# are at most 31 s.
RETRIES = {"mode": "standard", "total_max_attempts": 6}
ACCOUNT = "123456789012"  # the invented account of the local AWS

# The only Terraform values that differ between a dress rehearsal and a real run. They follow the settings of the
# environment, so they override them. local.tfvars has its own values of this kind.
REHEARSAL_VARIABLES = {
    # The third lock, after the replaced endpoint and keys: no other account is read or changed.
    "allowed_account_ids": [ACCOUNT],
    # A bucket of the local AWS does not have its own host name.
    "s3_use_path_style": True,
    # The notebook's idle watch needs Amazon Linux and would change this machine: a systemd timer and a file in
    # /usr/local/bin. This value replaces the whole block of settings, so the others are the defaults of
    # terraform/variables.tf.
    "notebook": {"idle_minutes": 0},
}
# The instance's user data needs Amazon Linux too, unless `make images` has prepared it: otherwise dnf and python3.12
# are missing.
WITHOUT_AMAZON_LINUX = {"ec2": {"packages": [], "python": "python3"}}


def rehearsal_variables() -> dict:
    """The Terraform values of a dress rehearsal in addition to the settings of AWS."""
    prepared = images.environment(images.AMAZON_LINUX).image is not None
    return REHEARSAL_VARIABLES if prepared else REHEARSAL_VARIABLES | WITHOUT_AMAZON_LINUX


@dataclass(frozen=True)
class Environment:
    """One deployment target. `home` has this machine's files for it and is never committed."""

    name: str
    home: Path
    rehearsed: bool

    def __str__(self) -> str:
        return f"ENV={self.name}{' REHEARSE=1' if self.is_dress_rehearsal else ''}"

    @property
    def is_dress_rehearsal(self) -> bool:
        """Whether the settings are those of AWS but the local AWS is used."""
        return self.rehearsed and self.name != "local"

    @property
    def tfvars(self) -> Path:
        return TERRAFORM / "environments" / f"{self.name}.tfvars"

    @property
    def homes_in_account(self) -> list[Path]:
        """The homes of all environments that use the same local AWS."""
        return sorted(self.home.parent.glob(f"*{DRESS}")) if self.is_dress_rehearsal else [self.home]

    @property
    def asks_before_destroy(self) -> bool:
        """Whether a user must type the stack's name to destroy it. Not in `ENV=local`, which costs nothing."""
        return self.name != "local"

    def poll_seconds(self, on_aws: float) -> float:
        """How long to wait between two requests for a status. The local AWS answers at once and has no request
        limits."""
        return min(on_aws, 1.0) if self.rehearsed else on_aws

    def patience_seconds(self, on_aws: float) -> float:
        """How long to wait for a lost connection. If the local AWS does not answer, it has been stopped."""
        return min(on_aws, 20.0) if self.rehearsed else on_aws

    def require_access(self) -> None:
        """Print the account. Raise if the rehearsal's local AWS is not running or if AWS credentials are missing.

        This check runs before anything is packaged, because Terraform would fail later, after many retries.
        """
        self.require_own_local_aws()
        import boto3

        account = boto3.client("sts", region_name="us-east-1").get_caller_identity()
        where = "Local AWS, account" if self.rehearsed else "AWS account"
        console.step(f"{where} {account['Account']} as {account['Arn'].rsplit(':', 1)[-1]}")

    def require_own_local_aws(self) -> None:
        """In a rehearsal, raise Failure if no local AWS answers or if it belongs to another home."""
        if not self.rehearsed:
            return
        port, home = local_port(), os.environ["LOCALAWS_HOME"]
        found = ask_local_aws("health")
        if found.get("home") != home:
            raise Failure(
                f"The local AWS on 127.0.0.1:{port} belongs to another home ({found.get('home')}). "
                f"Start one of your own on another port: export LOCALAWS_PORT={port + 10}; {console.make('local-up')}"
            )
        if found.get("iam") == "off":
            console.warn("The local AWS runs with LOCALAWS_IAM=off: it allows everything, as AWS does not.")

    def require_rehearsal(self, otherwise: str) -> None:
        """Raise Failure on AWS: it names the environment and says what is `otherwise` there."""
        if not self.rehearsed:
            raise Failure(f"{self} is on AWS and {otherwise}")

    def client(self, service: str, region: str, **config):
        """A boto3 client with RETRIES, unless `config` has others. `AWS_ENDPOINT_URL` alone decides between AWS and the
        local AWS. botocore addresses a bucket by path if the endpoint is an IP address, otherwise by host name."""
        # Imported here because packaging and Terraform do not need it.
        import boto3
        from botocore.config import Config

        return boto3.client(service, region_name=region, config=Config(**{"retries": RETRIES, **config}))


def current() -> Environment:
    """The environment that `ENV` and `REHEARSE` name. Changes the AWS settings of this process to match it.

    Raises Failure if the name has no tfvars file.
    """
    name = os.environ.get("ENV") or "local"
    if not (TERRAFORM / "environments" / f"{name}.tfvars").is_file():
        known = " and ".join(sorted(path.stem for path in (TERRAFORM / "environments").glob("*.tfvars")))
        raise Failure(f"ENV={name} is not an environment of this project. Use one of: {known}.")
    rehearsed = name == "local" or bool(os.environ.get("REHEARSE"))
    home = Path(os.environ.get("PAWPRINT_HOME") or ROOT / ".local").resolve()
    environment = Environment(name, home / name, rehearsed)
    if name == "local":
        point_at_local_aws(PORTS["local"], home / "localaws")
    elif rehearsed:
        environment = Environment(name, home / f"{name}{DRESS}", rehearsed)
        # One account for all of them, so that stacks can be rehearsed side by side.
        point_at_local_aws(PORTS["rehearsal"], home / f"aws{DRESS}" / "localaws")
    os.environ["TF_CLI_CONFIG_FILE"] = str(home / "terraform.rc")
    environment.home.mkdir(parents=True, exist_ok=True)
    return environment


def ask_local_aws(what: str, method: str = "GET", content: dict | None = None) -> dict:
    """The answer of the running local AWS about its `health` or `permissions`, or to a command to it, which has the
    method POST. Raises Failure if there is no answer, or if it is a refusal."""
    port = local_port()
    body = None if content is None else json.dumps(content)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, f"/_localaws/{what}", body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        up = console.make("local-up")
        raise Failure(f"The local AWS does not answer on 127.0.0.1:{port}. Start it: {up}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise Failure(told.get("message") or f"The local AWS answers {answer.status}.")
    return told


def local_port() -> int:
    """The port of the local AWS, from LOCALAWS_PORT. Raises Failure if it is not a port."""
    value = os.environ["LOCALAWS_PORT"]
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise Failure(f"LOCALAWS_PORT is {value!r}: it must be a port number from 1 to 65535.")
    return int(value)


def point_at_local_aws(default_port: str, home: Path) -> None:
    """Replace all AWS settings of the caller. `home` is the home of the local AWS."""
    os.environ["LOCALAWS_PORT"] = os.environ.get("LOCALAWS_PORT") or default_port
    port = local_port()
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[variable]
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        # By default the account's root. A user's keys show what that user may do.
        AWS_ACCESS_KEY_ID=os.environ.get("LOCALAWS_ACCESS_KEY_ID") or "test",
        AWS_SECRET_ACCESS_KEY=os.environ.get("LOCALAWS_SECRET_ACCESS_KEY") or "test",
        AWS_REGION="us-east-1",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        LOCALAWS_HOME=str(home),
        # Where both are set, Python and curl read the one in lower case.
        NO_PROXY="127.0.0.1,localhost",
        no_proxy="127.0.0.1,localhost",
    )
