"""`make test-terraform`: run the plan tests of the Terraform stack, without credentials."""

from __future__ import annotations

import subprocess
import sys

from deploy import console, terraform_checks
from deploy.console import Failure
from deploy.environment import TERRAFORM


def main() -> None:
    colour = [] if sys.stdout.isatty() else ["-no-color"]
    console.step("terraform test")
    with terraform_checks.initialised() as variables:
        result = subprocess.run(["terraform", "test", *colour], cwd=TERRAFORM, env=variables)
    if result.returncode:
        raise Failure("terraform test failed.")


if __name__ == "__main__":
    console.run(main)
