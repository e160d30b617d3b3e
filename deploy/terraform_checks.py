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


def main() -> None:
    home = Path(os.environ.get("PAWPRINT_HOME") or ROOT / ".local").resolve()
    venv = str(Path(sys.executable).parent)
    # The region is made up: the contracts run on mock providers and never ask AWS anything.
    settings = {
        "TF_DATA_DIR": str(home / "terraform-checks"),
        "TF_CLI_CONFIG_FILE": str(home / "terraform.rc"),
        "TF_IN_AUTOMATION": "1",
        "AWS_REGION": "us-east-1",
        "PATH": os.pathsep.join([os.environ["PATH"], venv]),
    }
    for command in (["init", "-backend=false", "-input=false"], ["test"]):
        console.step(f"terraform {command[0]}")
        colour = [] if sys.stdout.isatty() else ["-no-color"]
        result = subprocess.run(
            ["terraform", *command, *colour],
            cwd=TERRAFORM,
            env={**os.environ, **settings},
            capture_output=command[0] == "init",
            text=True,
        )
        if result.returncode:
            raise Failure(f"terraform {command[0]} failed. {result.stderr or ''}".strip())


if __name__ == "__main__":
    console.run(main)
