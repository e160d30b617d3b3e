"""The Terraform modules' plan contracts, as `make test-terraform` checks them: here, so that they share the time that
other tests wait."""

import subprocess
import sys

from tests.conftest import ROOT


def test_the_plan_contracts_hold():
    checks = [sys.executable, "-m", "deploy.terraform_checks"]
    result = subprocess.run(checks, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert result.returncode == 0, result.stdout
