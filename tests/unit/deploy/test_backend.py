"""The shared state: an environment with a backend, two checkouts of it, and the move from a local state."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from deploy import backend, environment, settings, terraform
from deploy.console import Failure
from deploy.environment import Environment
from deploy.terraform import Stack
from tests.unit.localaws.conftest import Server

BUCKET = "pawprint-state-123456789012"
TFVARS = f'region = "us-east-1"\nbackend = {{ bucket = "{BUCKET}" }}\n'
ROOT_MODULE = """
terraform {
  backend "local" {}
}
variable "region" {}
variable "backend" { default = null }
variable "given" { default = "first" }
resource "terraform_data" "given" { input = var.given }
output "given" { value = terraform_data.given.output }
"""


@pytest.fixture(autouse=True)
def _variables() -> Iterator[None]:
    """A stack sets variables of this process for Terraform. Other tests must not get them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "localaws").start()
    yield made
    made.close()


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stack that needs no provider, in place of `terraform/`."""
    folder = tmp_path / "terraform"
    (folder / "modules" / "one").mkdir(parents=True)
    (folder / "modules" / "one" / "main.tf").touch()
    (folder / "environments").mkdir()
    (folder / "terraform.tf").write_text(ROOT_MODULE)
    (folder / ".terraform.lock.hcl").touch()
    for module in (backend, environment, terraform):
        monkeypatch.setattr(module, "TERRAFORM", folder)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, stack: Path) -> Callable[[str], Environment]:
    """Makes the environment `shared` of a checkout with this name."""

    def make(name: str) -> Environment:
        home = tmp_path / name / "shared"
        home.mkdir(parents=True, exist_ok=True)
        return Environment("shared", home, rehearsed=True)

    return make


def test_an_environment_without_a_backend_runs_in_the_folder_itself(stack, checkout):
    (stack / "environments" / "shared.tfvars").write_text('region = "us-east-1"\n')
    env = checkout("a")
    assert backend.read(env) is None
    assert backend.working_folder(env, None) == stack
    with pytest.raises(Failure, match=r"shared\.tfvars has no backend\. Add, for example: backend = "):
        backend.require(env)


def test_the_copy_follows_the_folder_and_names_the_bucket(stack, checkout):
    (stack / "environments" / "shared.tfvars").write_text(TFVARS)
    (stack / "old.tf").touch()
    env = checkout("a")
    folder = backend.working_folder(env, backend.read(env))
    assert (folder / "old.tf").is_file()

    (stack / "old.tf").unlink()
    (stack / "modules" / "new.tf").write_text("# new")
    backend.working_folder(env, backend.read(env))

    assert not (folder / "old.tf").exists()
    assert (folder / "modules" / "new.tf").read_text() == "# new"
    assert not (folder / "environments").exists()
    block = json.loads((folder / backend.OVERRIDE).read_text())["terraform"]["backend"]["s3"]
    assert block == {
        "bucket": BUCKET,
        "region": "us-east-1",
        "key": "shared/terraform.tfstate",
        "encrypt": True,
        "use_lockfile": True,
    }
    assert (folder.parent / "payloads" / "ec2" / "retry.sh").is_file()  # as the modules name it


@pytest.mark.parametrize("value", ['"a-bucket"', "{}", '{ bucket = "" }'])
def test_a_backend_without_a_bucket_is_refused(stack, checkout, value):
    (stack / "environments" / "shared.tfvars").write_text(f"backend = {value}\n")
    with pytest.raises(Failure, match=r"shared\.tfvars: backend must name a bucket"):
        backend.read(checkout("a"))


def test_a_setting_is_read_without_the_quotes_of_the_language(tmp_path):
    (tmp_path / "a.tfvars").write_text('artifacts = { access_logs = { bucket = "logs" } }\nkms_key_arn = null\n')
    assert settings.value(tmp_path / "a.tfvars", "artifacts") == {"access_logs": {"bucket": "logs"}}
    assert settings.value(tmp_path / "a.tfvars", "kms_key_arn") is None


def apply(stack: Stack, tfvars: Path, given: str) -> subprocess.CompletedProcess:
    argv = ["terraform", "apply", f"-var-file={tfvars}", f"-var=given={given}", "-auto-approve", "-no-color"]
    return subprocess.run(argv, cwd=stack._terraform.folder, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_two_checkouts_share_a_state_that_one_of_them_moves_to_the_bucket(
    server: Server, stack: Path, checkout, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LOCALAWS_PORT", str(server.port))
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(variable, raising=False)
    environment.point_at_local_aws(str(server.port), server.home)
    tfvars = stack / "environments" / "shared.tfvars"
    tfvars.write_text('region = "us-east-1"\n')
    first = Stack(checkout("a"))
    first.init()
    assert apply(first, tfvars, "local").returncode == 0

    tfvars.write_text(TFVARS)
    moved = checkout("a")
    with pytest.raises(Failure, match=r"still on this machine .*Move it: make backend"):
        Stack(moved).init()
    wanted = backend.require(moved)
    s3 = moved.client("s3", "us-east-1")
    backend.create_bucket(s3, wanted, "123456789012")
    backend.create_bucket(s3, wanted, "123456789012")  # it may be repeated
    Stack(moved).migrate()
    Stack(moved).migrate()

    first, second = Stack(moved), Stack(checkout("b"))
    assert second._outputs() == {"given": "local"}
    assert apply(second, tfvars, "by the second").returncode == 0
    assert first._outputs() == {"given": "by the second"}
    assert not (moved.home / "terraform.tfstate").exists()

    lock = {
        "ID": "1",
        "Operation": "apply",
        "Who": "someone@elsewhere",
        "Version": "1.11.4",
        "Created": "2026-11-29T00:00:00Z",
    }
    s3.put_object(Bucket=BUCKET, Key=f"{wanted.key}.tflock", Body=json.dumps(lock).encode(), IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=BUCKET, Key=f"{wanted.key}.tflock", Body=b"{}", IfNoneMatch="*")
    refused = apply(first, tfvars, "at the same time")
    assert refused.returncode != 0
    assert "someone@elsewhere" in refused.stderr
    assert second._outputs() == {"given": "by the second"}
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert len(s3.list_object_versions(Bucket=BUCKET, Prefix=wanted.key)["Versions"]) >= 2
