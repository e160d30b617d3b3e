"""The Terraform state on this machine: backups, permissions, and which state a stack was last applied from.

Every apply leaves a note in the artifacts bucket (`deployments/state.json`): the state's lineage and serial number. An
apply from another state, or from an old copy, would create everything a second time or undo the work of somebody else.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy import console
from deploy.console import Failure

KEPT = 20  # backups
NOTE = "deployments/state.json"


@dataclass(frozen=True)
class Version:
    """A version of a Terraform state. Each change of the state raises the serial number."""

    lineage: str
    serial: int

    @classmethod
    def parse(cls, state: bytes) -> Version:
        """The version of a state. Raises ValueError, KeyError or TypeError if it is damaged."""
        found = json.loads(state)
        return cls(found["lineage"], found["serial"])

    @classmethod
    def read(cls, state: Path) -> Version | None:
        """The version of a state file; None if there is none. Raises Failure if it is damaged.

        Terraform creates an empty file when it starts and writes to it later. If it is killed before that, during the
        first apply, the file stays empty. Terraform reads it as no state.
        """
        backups = sorted(state.with_name("state-backups").glob("*"))
        try:
            text = state.read_bytes()
            if not text and not backups:
                return None
            return cls.parse(text)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            newest = f"cp {backups[-1]} {state}" if backups else "there is no backup"
            raise Failure(f"{state} is damaged ({error}). Its last backup: {newest}") from error


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two states have the same resources and outputs. Terraform gives a copy in S3 another lineage."""
    first, second = json.loads(one), json.loads(other)
    return all(first.get(part) == second.get(part) for part in ("resources", "outputs"))


def back_up(state: Path) -> None:
    """Copy the state to `state-backups/`, if it exists. Only the owner may read state and copies."""
    version = Version.read(state)
    if version is None:
        return
    state.chmod(0o600)
    folder = state.with_name("state-backups")
    folder.mkdir(mode=0o700, exist_ok=True)
    copy = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{version.serial:06}.tfstate"
    shutil.copy2(state, copy)
    for old in sorted(folder.glob("*.tfstate"))[:-KEPT]:
        old.unlink()


# ---- the note in the bucket ---------------------------------------------------------------------------------------


def write_note(s3: Any, bucket: str, version: Version) -> None:
    body = json.dumps(asdict(version) | {"applied": _now()})
    s3.put_object(Bucket=bucket, Key=NOTE, Body=body.encode(), ContentType="application/json")


def require_same_state(s3: Any, bucket: str, version: Version | None, name: str) -> None:
    """Raise Failure if the stack in AWS was last applied from another state than `version`, or from a newer one."""
    try:
        note = json.loads(s3.get_object(Bucket=bucket, Key=NOTE)["Body"].read())
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
            return
        raise
    if version and version.lineage == note["lineage"] and version.serial >= note["serial"]:
        return
    same = version is not None and version.lineage == note["lineage"]
    reason = (
        f"The state on this machine is older (serial {version.serial}) than the last apply (serial {note['serial']})"
        if same and version
        else "The stack was applied from another state, in another checkout or on another machine"
    )
    raise Failure(
        f"{reason}, on {note['applied']}. Terraform from here would damage the stack {name}. Nothing was changed.\n"
        f"Use that checkout, or copy its state here. To use the state that is here all the same: "
        f"{console.make(f'apply CONFIRM={name}')}"
    )


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
