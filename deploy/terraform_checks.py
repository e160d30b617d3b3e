"""Run the plan contracts of the Terraform stack (`terraform/tests`), with no provider credentials.

They plan every module, so that what `terraform validate` finds is found here too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.environment import ROOT


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
