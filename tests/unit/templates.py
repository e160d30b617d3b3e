"""The shell scripts of Terraform, rendered by Terraform itself."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

TIMEOUT = 120  # seconds


def rendered(template: Path, **values: object) -> str:
    """The result of Terraform's templatefile."""
    given = json.dumps(json.dumps(values))
    expression = f"base64encode(templatefile({json.dumps(str(template))}, jsondecode({given})))"
    result = subprocess.run(
        ["terraform", "console", "-no-color"],
        input=expression.replace("${", "$${").replace("%{", "%%{") + "\n",
        cwd=ROOT / "terraform" / "modules",  # a folder without a configuration
        env={**os.environ, "PATH": os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert result.returncode == 0, result.stderr
    return base64.b64decode(result.stdout.strip().splitlines()[-1].strip('"')).decode()
