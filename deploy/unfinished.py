"""An apply or a destroy that did not finish: it is on record in the home, and the user reads which command goes on.

AWS may then have resources that the Terraform state lacks (`deploy.adoption`).
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from deploy import console
from deploy.environment import Environment

RECORD = "unfinished.json"  # in the home, while an apply or a destroy runs, and afterwards if it failed


def begin(env: Environment) -> None:
    (env.home / RECORD).write_text(json.dumps({"began": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}))


def end(env: Environment) -> None:
    (env.home / RECORD).unlink(missing_ok=True)


def exists(env: Environment) -> bool:
    """Whether the last apply or destroy failed or was interrupted."""
    return (env.home / RECORD).exists()


@contextmanager
def explained(env: Environment, target: str) -> Generator[None]:
    """After Ctrl-C in the block, say whether AWS may have changes and which command goes on: `target` or destroy."""
    try:
        yield
    except KeyboardInterrupt:
        console.warn(next_command(env, target))
        raise


def next_command(env: Environment, target: str) -> str:
    """What the user should know and do after an apply or a destroy has ended early."""
    again = console.make(target)
    if not exists(env):
        return f"Nothing was changed. To start again: {again}"
    remove = "" if target == "destroy" else f". To remove everything: {console.make('destroy')}"
    return f"A part of the changes is in AWS. To continue: {again}{remove}"
