"""The shared Terraform state: an S3 bucket that the setting `backend` of an environment names.

Terraform selects the kind of its backend in a file only, never by a variable. So an environment with this setting runs
in a copy of `terraform/` in its home, with one more file that names the bucket. Other environments of the same checkout
are not affected.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import console, settings, state_files
from deploy.console import Failure
from deploy.environment import BUILD, ROOT, TERRAFORM, Environment

OVERRIDE = "backend_override.tf.json"  # Terraform merges files of this name over the others
LEFT_OUT = {"tests", "examples", "environments", ".terraform"}
EXAMPLE = 'backend = { bucket = "pawprint-state-<account>" }'


@dataclass(frozen=True)
class Backend:
    """The bucket of the state, and the state's key in it."""

    bucket: str
    region: str
    key: str
    kms_key_arn: str | None

    def block(self) -> dict[str, Any]:
        """Terraform's block. The lock is an object in the same bucket, written on the condition that there is none."""
        s3 = {"bucket": self.bucket, "region": self.region, "key": self.key, "encrypt": True, "use_lockfile": True}
        if self.kms_key_arn:
            s3["kms_key_id"] = self.kms_key_arn
        return {"terraform": {"required_version": ">= 1.10", "backend": {"s3": s3}}}


def read(env: Environment) -> Backend | None:
    """The backend of an environment's settings. None keeps the state on this machine. Raises Failure."""
    if "backend" not in env.tfvars.read_text():
        return None  # without the parser, which takes longer than many commands
    given = settings.value(env.tfvars, "backend")
    if given is None:
        return None
    if not isinstance(given, dict) or not given.get("bucket"):
        raise Failure(f"{env.tfvars.name}: backend must name a bucket, for example {EXAMPLE}")
    region = given.get("region") or settings.value(env.tfvars, "region")
    return Backend(given["bucket"], region, f"{env.name}/terraform.tfstate", given.get("kms_key_arn"))


def require(env: Environment) -> Backend:
    """The backend. Raises Failure if the settings have none."""
    backend = read(env)
    if backend is None:
        raise Failure(f"{env.tfvars.name} has no backend. Add, for example: {EXAMPLE}")
    return backend


def working_folder(env: Environment, backend: Backend | None) -> Path:
    """The folder that Terraform runs in. With a backend it is a copy of `terraform/`, brought up to date."""
    if backend is None:
        return TERRAFORM
    home = env.home / "stack"
    folder = home / TERRAFORM.name
    folder.mkdir(parents=True, exist_ok=True)
    for linked in (BUILD, ROOT / "payloads"):  # the modules name them by their place next to `terraform`
        link = home / linked.name
        if not link.is_symlink() or link.readlink() != linked:
            link.unlink(missing_ok=True)
            link.symlink_to(linked)
    wanted = {path.relative_to(TERRAFORM): path.read_bytes() for path in TERRAFORM.rglob("*") if _is_copied(path)}
    wanted[Path(OVERRIDE)] = json.dumps(backend.block(), indent=2).encode()
    for name, content in wanted.items():
        _write(folder / name, content)
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder) not in wanted:
            path.unlink()
    return folder


def _is_copied(path: Path) -> bool:
    return path.is_file() and not LEFT_OUT.intersection(path.relative_to(TERRAFORM).parts)


def _write(path: Path, content: bytes) -> None:
    """Write a file that differs, in one step, because another command may read it."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.rename(path)


def require_migrated(state: Path) -> None:
    """Raise Failure if this machine has a state with resources that was not moved to the bucket."""
    if state_files.Version.read(state) and json.loads(state.read_text()).get("resources"):
        raise Failure(
            f"The settings name a bucket for the state, and the state of this stack is still on this machine "
            f"({state}). An apply would create everything a second time. Move it: {console.make('backend')}"
        )


def set_aside(state: Path) -> None:
    """Rename the local files of a state that is in the bucket now."""
    for old in (state, state.with_name(f"{state.name}.backup")):
        if old.is_file():
            shutil.move(old, old.with_name(f"{old.name}.migrated"))


# ---- the bucket ----------------------------------------------------------------------------------------------------


def create_bucket(s3: Any, backend: Backend, account: str, partition: str = "aws") -> None:
    """Create the bucket if there is none, and give it versions, encryption, a TLS-only policy and no public access.

    Raises Failure if somebody else has a bucket of this name.
    """
    try:
        s3.head_bucket(Bucket=backend.bucket, ExpectedBucketOwner=account)
        console.done(f"the bucket {backend.bucket} exists")
    except s3.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("403", "AccessDenied"):
            raise Failure(
                f"The bucket {backend.bucket} belongs to another account, or you may not read it. Bucket names are "
                f"unique in all of AWS: set backend.bucket to another one."
            ) from error
        if code not in ("404", "NoSuchBucket"):
            raise
        place = {} if backend.region == "us-east-1" else {"LocationConstraint": backend.region}
        s3.create_bucket(Bucket=backend.bucket, **({"CreateBucketConfiguration": place} if place else {}))
        console.done(f"created the bucket {backend.bucket}")
    _protect(s3, backend, f"arn:{partition}:s3:::{backend.bucket}")


def _protect(s3: Any, backend: Backend, arn: str) -> None:
    name = backend.bucket
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    key = {"KMSMasterKeyID": backend.kms_key_arn} if backend.kms_key_arn else {}
    encryption = {"SSEAlgorithm": "aws:kms" if key else "AES256", **key}
    rule = {"ApplyServerSideEncryptionByDefault": encryption, "BucketKeyEnabled": bool(key)}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
