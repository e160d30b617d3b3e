"""Ctrl-C in an apply: the reader of Terraform's output runs until Terraform ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT

WAIT = 120.0
# A replacement for Terraform. After an interrupt it continues for a while, prints that, and then writes its state.
TERRAFORM = """
import pathlib, sys, time
print("Plan: 1 to add", flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    for _ in range(3):
        time.sleep(0.5)
        print("module.a.b: Still creating...", flush=True)
    pathlib.Path(sys.argv[1]).touch()
"""
READER = """
import sys
from deploy.terraform_program import TerraformProgram
program = TerraformProgram.__new__(TerraformProgram)
class Fake:
    def generate_cmd_string(self, *_, **__):
        return [sys.executable, "-c", sys.argv[1], sys.argv[2]]
program._terraform = Fake()
program.folder = "."
try:
    program.run_briefly("apply")
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_terraform_writes_its_state_before_the_command_ends(tmp_path: Path):
    state = tmp_path / "state"
    process = subprocess.Popen(
        [sys.executable, "-c", READER, TERRAFORM, str(state)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'payloads' / 'shared'}"},
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert "Plan" in process.stdout.readline()
    time.sleep(0.5)  # the program prints before it sleeps

    os.killpg(process.pid, signal.SIGINT)  # like a terminal: each process of the group gets it

    said, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert state.exists()
    assert said.count("Still creating") == 3
