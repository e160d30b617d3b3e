"""Run the plan contracts of the Terraform stack (`terraform/tests`), with no provider credentials.

They plan every module, so that what `terraform validate` finds is found here too.

python -m deploy.terraform_checks
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deploy import console
from deploy.console import Failure
from deploy.environment import ROOT, TERRAFORM


def environment() -> dict[str, str]:
    """What Terraform needs to run the contracts. The region is made up: the providers are mocks and never ask AWS."""
    home = Path(os.environ.get("PAWPRINT_HOME") or ROOT / ".local").resolve()
    return {
        **os.environ,
        "TF_DATA_DIR": str(home / "terraform-checks"),
        "TF_CLI_CONFIG_FILE": str(home / "terraform.rc"),
        "TF_IN_AUTOMATION": "1",
        "AWS_REGION": "us-east-1",
        "PATH": os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)]),
    }


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
