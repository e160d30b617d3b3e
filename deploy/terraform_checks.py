"""Run the plan tests of the Terraform stack (`terraform/tests`) without credentials.

They plan every module, so they also find the errors that `terraform validate` finds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.environment import ROOT


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
