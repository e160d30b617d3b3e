"""Where a command runs: the rehearsal on this machine (`ENV=local`, the default) or AWS (`ENV=aws`).

`ENV` chooses the settings, `terraform/environments/<ENV>.tfvars`, and the code path that goes with them. `REHEARSE=1`
runs those of AWS against the local AWS of this machine, in a home of their own. So there are two questions, and they
are asked here only: `name` (whose settings?) and `rehearsed` (the local AWS?). Where another module of `deploy` acts
by one of them, `tests/unit/deploy/test_branches.py` has the place and the reason.

A rehearsal can never reach AWS: credentials, profiles and endpoints of the caller are replaced before the first
client is made, and the Terraform provider accepts the local account only (`allowed_account_ids`).
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


# The ordinary rehearsal's port, and that of the dress rehearsal: each has a local AWS of its own, at the same time.
PORTS = {"local": "4566", "rehearsal": "4567"}
ACCOUNT = "123456789012"  # the local AWS's invented one

# The only values of Terraform's with which a dress rehearsal differs from a real run. They stand behind the settings of
# the environment, so they win; local.tfvars has such values itself.
REHEARSAL_VARIABLES = {
    # With the endpoint and the keys replaced this is the third lock: no other account is read or changed.
    "allowed_account_ids": [ACCOUNT],
    # A bucket of the local AWS has no host name of its own.
    "s3_use_path_style": True,
    # The notebook's watch is what only Amazon Linux has, and would change this machine itself: a timer of systemd and a
    # file in /usr/local/bin. It stands for the whole block of the settings; its other values are the defaults of
    # terraform/variables.tf.
    "notebook": {"idle_minutes": 0},
}
# So does the instance's system, unless `make images` has prepared one: without it there is neither dnf nor python3.12.
WITHOUT_AMAZON_LINUX = {"ec2": {"packages": [], "python": "python3"}}


def rehearsal_variables() -> dict:
    """What Terraform gets in a dress rehearsal besides AWS's settings."""
    prepared = images.environment(images.AMAZON_LINUX).image is not None
    return REHEARSAL_VARIABLES if prepared else REHEARSAL_VARIABLES | WITHOUT_AMAZON_LINUX


@dataclass(frozen=True)
class Environment:
    """One deployment target. `home` keeps what this machine remembers about it, and is never committed."""

    name: str
    home: Path
    rehearsed: bool

    def __str__(self) -> str:
        return f"ENV={self.name}{' REHEARSE=1' if self.is_dress_rehearsal else ''}"

    @property
    def is_dress_rehearsal(self) -> bool:
        """Whether the settings are those of AWS, and the AWS is this machine's."""
        return self.rehearsed and self.name != "local"

    @property
    def tfvars(self) -> Path:
        return TERRAFORM / "environments" / f"{self.name}.tfvars"

    @property
    def asks_before_destroy(self) -> bool:
        """Whether a person must name the stack to destroy it: not in `ENV=local`, where nothing costs anything."""
        return self.name != "local"

    def poll_seconds(self, on_aws: float) -> float:
        """How long to wait until a status is asked for again. The local AWS is near, answers at once and has no
        request limits."""
        return min(on_aws, 1.0) if self.rehearsed else on_aws

    def patience_seconds(self, on_aws: float) -> float:
        """How long to wait for a connection that is lost. A local AWS that does not answer was stopped."""
        return min(on_aws, 20.0) if self.rehearsed else on_aws

    def require_access(self) -> None:
        """Raise if the local AWS of a rehearsal does not run, or if the caller has no AWS credentials; say whose
        account it is.

        Asked before anything is packaged, since Terraform would only find out later and go on trying.
        """
        self.require_own_local_aws()
        import boto3

        account = boto3.client("sts", region_name="us-east-1").get_caller_identity()
        where = "Local AWS, account" if self.rehearsed else "AWS account"
        console.step(f"{where} {account['Account']} as {account['Arn'].rsplit(':', 1)[-1]}")

    def require_own_local_aws(self) -> None:
        """Raise Failure if no local AWS answers, or another home's does. Nothing to check on AWS."""
        if not self.rehearsed:
            return
        up = console.make("local-up")
        port, home = int(os.environ["LOCALAWS_PORT"]), os.environ["LOCALAWS_HOME"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_localaws/health")
            found = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            raise Failure(f"The local AWS does not answer on 127.0.0.1:{port}. Start it: {up}") from None
        finally:
            connection.close()
        if found.get("home") != home:
            raise Failure(
                f"The local AWS on 127.0.0.1:{port} is another one's ({found.get('home')}). "
                f"Start one of your own on another port: export LOCALAWS_PORT={port + 10}; {up}"
            )

    def client(self, service: str, region: str, **config):
        """A boto3 client. It finds AWS or the local AWS by `AWS_ENDPOINT_URL` alone; botocore addresses a bucket by
        path if the endpoint is a number and by host name if not."""
        # Imported here: packaging and Terraform itself do without.
        import boto3
        from botocore.config import Config

        return boto3.client(service, region_name=region, config=Config(retries={"mode": "standard"}, **config))


def current() -> Environment:
    """The environment that `ENV` and `REHEARSE` name, with this process's AWS settings made to fit it.

    Raises Failure for a name without a tfvars file.
    """
    name = os.environ.get("ENV") or "local"
    if not (TERRAFORM / "environments" / f"{name}.tfvars").is_file():
        known = " and ".join(sorted(path.stem for path in (TERRAFORM / "environments").glob("*.tfvars")))
        raise Failure(f"ENV={name} is not an environment of this project. There are {known}.")
    rehearsed = name == "local" or bool(os.environ.get("REHEARSE"))
    home = Path(os.environ.get("PAWPRINT_HOME") or ROOT / ".local").resolve()
    environment = Environment(name, home / name, rehearsed)
    if name == "local":
        point_at_local_aws(PORTS["local"], home / "localaws")
    elif rehearsed:
        environment = Environment(name, home / f"{name}-rehearsal", rehearsed)
        point_at_local_aws(PORTS["rehearsal"], environment.home / "localaws")
    os.environ["TF_CLI_CONFIG_FILE"] = str(home / "terraform.rc")
    environment.home.mkdir(parents=True, exist_ok=True)
    return environment


def point_at_local_aws(default_port: str, home: Path) -> None:
    """Replace every AWS setting of the caller's; `home` is the local AWS's."""
    port = os.environ.get("LOCALAWS_PORT") or default_port
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[variable]
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 (the local AWS's well-known key, no secret)
        AWS_REGION="us-east-1",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        LOCALAWS_PORT=port,
        LOCALAWS_HOME=str(home),
        NO_PROXY="127.0.0.1,localhost",
    )
