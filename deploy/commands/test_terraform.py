"""`make test-terraform`: run the plan tests of the Terraform stack, without credentials."""

from __future__ import annotations

import subprocess
import sys

from deploy import console
from deploy.console import Failure
from deploy.environment import TERRAFORM
from deploy.terraform_checks import environment


def main() -> None:
    for command in (["init", "-backend=false", "-input=false"], ["test"]):
        console.step(f"terraform {command[0]}")
        colour = [] if sys.stdout.isatty() else ["-no-color"]
        result = subprocess.run(
            ["terraform", *command, *colour],
            cwd=TERRAFORM,
            env=environment(),
            capture_output=command[0] == "init",
            text=True,
        )
        if result.returncode:
            raise Failure(f"terraform {command[0]} failed. {result.stderr or ''}".strip())


if __name__ == "__main__":
    console.run(main)
