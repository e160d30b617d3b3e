"""The files of a rehearsal that a command deletes or replaces, and the confirmation that it needs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.environment import Environment
from deploy.terraform import Stack

KEPT = "logs"  # the logs of the commands, which may still be useful after a reset


def doomed(env: Environment) -> list[Path]:
    """What a reset deletes: the state of the local AWS and this machine's files for each stack in it."""
    remembered = [path for home in env.homes_in_account for path in home.iterdir() if path.name != KEPT]
    home = Path(os.environ["LOCALAWS_HOME"])
    return sorted({*remembered, *([home] if home.exists() else [])})


def size(paths: list[Path]) -> tuple[int, int]:
    """The number of files below the paths and their size in bytes. Links are not followed."""
    files = [
        Path(folder, name) for path in paths if path.is_dir() for folder, _, names in os.walk(path) for name in names
    ]
    files += [path for path in paths if not path.is_dir()]
    return len(files), sum(file.lstat().st_size for file in files)


def counts(env: Environment) -> str | None:
    """The datasets and models that a reset deletes, in words. None if the local AWS does not answer."""
    try:
        env.require_own_local_aws()
        deployment = Stack(env).deployment()
        if not deployment.has("artifacts_bucket"):
            return None
        datasets, models = folders(deployment, "datasets/"), folders(deployment, "models/")
    except (Failure, ClientError, BotoCoreError):
        return None
    return f"{datasets} {'dataset' if datasets == 1 else 'datasets'}, {models} {'run' if models == 1 else 'runs'}"


def folders(deployment: Deployment, prefix: str) -> int:
    pages = deployment.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=deployment.artifacts_bucket, Prefix=prefix, Delimiter="/")
    return sum(len(page.get("CommonPrefixes", [])) for page in listed)


def confirm(env: Environment, paths: list[Path], target: str, also: str = "") -> None:
    """Print what `make TARGET` deletes, and what it does also, and ask. Raises Failure unless the answer is yes."""
    files, total = size(paths)
    console.warn(
        f"This stops the local AWS of {env}, {f'{also}, ' if also else ''}and deletes its state and Terraform's record "
        f"of it: "
        f"{', '.join(filter(None, [counts(env), f'{files:,} files', f'{total / 1e6:,.1f} MB']))}, in"
    )
    for path in paths:
        console.err.print(f"  {path}", markup=False)
    if os.environ.get("CONFIRM") == "yes":
        return
    if not sys.stdin.isatty() or input("Type yes to continue: ").strip() != "yes":
        raise Failure(f"Nothing was deleted. To confirm without a terminal: {console.make(f'{target} CONFIRM=yes')}")
