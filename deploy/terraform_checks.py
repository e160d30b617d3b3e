"""Run the plan tests of the Terraform stack (`terraform/tests`) without credentials.

They plan every module, so they also find the errors that `terraform validate` finds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from deploy.console import Failure
from deploy.environment import ROOT, TERRAFORM

PROVIDER = "providers/registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws*"


def environment() -> dict[str, str]:
    """The environment for the plan tests. The region does not matter, because the providers are mocks and never call
    AWS."""
    home = Path(os.environ.get("PAWPRINT_HOME") or ROOT / ".local").resolve()
    return {
        **os.environ,
        "TF_DATA_DIR": str(home / "terraform-checks"),
        "TF_CLI_CONFIG_FILE": str(home / "terraform.rc"),
        "TF_IN_AUTOMATION": "1",
        "AWS_REGION": "us-east-1",
        "PATH": os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)]),
    }


@contextmanager
def initialised() -> Generator[dict[str, str]]:
    """The environment for `terraform test`, initialised, with one provider for all plans. Raises Failure.

    Terraform 1.11 starts a provider for each plan, which takes a second, and ends none before the last plan. The
    provider's debug mode serves all of them: https://developer.hashicorp.com/terraform/plugin/debugging.
    """
    variables = environment()
    init = ["terraform", "init", "-backend=false", "-input=false", "-no-color"]
    result = subprocess.run(init, cwd=TERRAFORM, env=variables, capture_output=True, text=True)
    if result.returncode:
        raise Failure(f"terraform init failed. {result.stderr}".strip())
    program = max(Path(variables["TF_DATA_DIR"]).glob(PROVIDER))
    with subprocess.Popen(
        [program, "-debug"], env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as provider:
        try:
            yield variables | {"TF_REATTACH_PROVIDERS": _address(provider)}
        finally:
            provider.terminate()


def _address(provider: subprocess.Popen[str]) -> str:
    """How Terraform reaches a provider in debug mode, which is printed when it is ready."""
    assert provider.stdout is not None
    for line in provider.stdout:
        if found := re.search(r"TF_REATTACH_PROVIDERS='(.+)'", line):
            return found[1]
    raise Failure(f"The provider did not start: it ended with exit status {provider.wait()}.")
