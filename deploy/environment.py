"""Where a command runs: the rehearsal on this machine (`ENV=local`, the default) or AWS (`ENV=aws`).

Everything that differs between the two stands here and in `terraform/environments/*.tfvars`; no other module of
`deploy` asks which one it is.

`ENV=local` can never reach AWS: credentials, profiles and endpoints of the caller are replaced before the first
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

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
TERRAFORM = ROOT / "terraform"


@dataclass(frozen=True)
class Environment:
    """One deployment target. `home` keeps what this machine remembers about it, and is never committed."""

    name: str
    home: Path

    @property
    def is_local(self) -> bool:
        return self.name == "local"

    @property
    def tfvars(self) -> Path:
        return TERRAFORM / "environments" / f"{self.name}.tfvars"

    def require_access(self) -> None:
        """Raise where the local AWS does not run, or the caller has no AWS credentials; on AWS say whose account it is.

        Asked before anything is packaged, since Terraform would only find out later and go on trying.
        """
        if self.is_local:
            self.require_own_local_aws()
            return
        import boto3

        account = boto3.client("sts", region_name="us-east-1").get_caller_identity()
        console.step(f"AWS account {account['Account']} as {account['Arn'].rsplit(':', 1)[-1]}")

    def require_own_local_aws(self) -> None:
        """Raise Failure where no local AWS answers, or another checkout's does. Nothing to check on AWS."""
        if not self.is_local:
            return
        port, home = int(os.environ["LOCALAWS_PORT"]), os.environ["LOCALAWS_HOME"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_localaws/health")
            found = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            raise Failure(f"The local AWS does not answer on 127.0.0.1:{port}. Start it: make local-up") from None
        finally:
            connection.close()
        if found.get("home") != home:
            raise Failure(
                f"The local AWS on 127.0.0.1:{port} is another checkout's ({found.get('home')}). "
                "Start one of your own on another port: export LOCALAWS_PORT=4567; make local-up"
            )

    def client(self, service: str, region: str, **config):
        """A boto3 client. S3 by path: the local AWS has one host name, and AWS accepts it for this bucket too."""
        # Imported here: packaging and Terraform itself do without.
        import boto3
        from botocore.config import Config

        if service == "s3" and self.is_local:
            config["s3"] = {"addressing_style": "path"}
        return boto3.client(service, region_name=region, config=Config(retries={"mode": "standard"}, **config))


def current() -> Environment:
    """The environment that `ENV` names, with this process's AWS settings made to fit it.

    Raises Failure for a name without a tfvars file.
    """
    name = os.environ.get("ENV") or "local"
    if not (TERRAFORM / "environments" / f"{name}.tfvars").is_file():
        known = " and ".join(sorted(path.stem for path in (TERRAFORM / "environments").glob("*.tfvars")))
        raise Failure(f"ENV={name} is not an environment of this project. There are {known}.")
    home = Path(os.environ.get("PAWPRINT_HOME") or ROOT / ".local").resolve()
    if name == "local":
        point_at_local_aws(os.environ.get("LOCALAWS_PORT") or "4566", home)
    os.environ["TF_CLI_CONFIG_FILE"] = str(home / "terraform.rc")
    environment = Environment(name=name, home=home / name)
    environment.home.mkdir(parents=True, exist_ok=True)
    return environment


def point_at_local_aws(port: str, home: Path) -> None:
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
        LOCALAWS_HOME=str(home / "localaws"),
        NO_PROXY="127.0.0.1,localhost",
    )
