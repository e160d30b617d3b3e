"""The Terraform program in one folder: its commands, and what of their output a user sees."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from python_terraform import IsFlagged, Terraform

from deploy import console
from deploy.console import Failure

# The lines of an apply that are printed: each completed change, slow changes, and the totals.
PROGRESS = re.compile(r"module\.\S+: ((?!Read)\w+ complete|Still)|Plan: |No changes|(Apply|Destroy) complete")


class TerraformProgram:
    """Terraform in `folder`. `home` has its working data and its plans, which contain every value of the stack."""

    def __init__(self, folder: Path, home: Path):
        os.environ["TF_DATA_DIR"] = str(home / "terraform")
        os.environ["TF_IN_AUTOMATION"] = "1"
        venv = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([*os.environ["PATH"].split(os.pathsep), venv])
        self.folder = folder
        self._home = home
        self._terraform = Terraform(working_dir=str(folder))

    def init(self, **arguments: Any) -> None:
        """Initialise providers and state. Raises Failure."""
        self._ask("Terraform could not be initialised", "init", input=False, **arguments)

    def show(self, planned: Path) -> dict[str, Any]:
        """A plan as `terraform show -json` prints it. Raises Failure."""
        return json.loads(self._ask("The plan could not be read", "show", str(planned), json=IsFlagged))

    def outputs(self) -> dict[str, Any]:
        """The values of the outputs. Raises Failure."""
        text = self._ask("The outputs of the stack could not be read", "output", json=IsFlagged)
        return {name: output["value"] for name, output in json.loads(text).items()}

    def import_resource(self, address: str, identifier: str, **arguments: Any) -> None:
        """Take a resource of AWS into the state. Raises Failure."""
        problem = f"{address} exists in AWS as {identifier} but could not be imported"
        self._ask(problem, "import", address, identifier, **arguments)

    @contextmanager
    def plan_file(self) -> Generator[Path]:
        """The path of a plan, which is deleted afterwards."""
        with tempfile.TemporaryDirectory(dir=self._home, prefix="plan-") as folder:
            yield Path(folder, "tfplan")

    def _ask(self, problem: str, command: str, *words: str, **arguments: Any) -> str:
        code, out, err = self._terraform.cmd(command, *words, **arguments, no_color=IsFlagged)
        if code:
            raise Failure(f"{problem}:\n{err.strip()}")
        return out

    def run(self, command: str, **arguments) -> int:
        """Run Terraform on this terminal. Returns its exit status."""
        colour = {} if sys.stdout.isatty() else {"no_color": IsFlagged}
        sys.stdout.flush()
        code, _, _ = self._terraform.cmd(command, capture_output=False, **arguments, **colour)
        return code

    def run_briefly(self, command: str, *words: str, **arguments) -> int:
        """Run Terraform and show its changes and errors, but not its warnings, its outputs and its plan, which `make
        plan` shows."""
        argv = self._terraform.generate_cmd_string(command, *words, **arguments, no_color=IsFlagged)
        error = interrupted = False
        with subprocess.Popen(
            argv, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run:
            assert run.stdout is not None
            while True:
                try:
                    for line in run.stdout:
                        error = error or line.startswith("Error")
                        if error or PROGRESS.match(line):
                            console.out.print(f"  {line.rstrip()}", markup=False)
                    break
                except KeyboardInterrupt:
                    # Terraform gets Ctrl-C too. It finishes its running changes and writes its state. If its output
                    # were not read meanwhile, the closed pipe would end it before that.
                    interrupted = True
                    console.warn("Terraform finishes the changes in progress and saves its state.")
        if interrupted:
            raise KeyboardInterrupt
        return run.returncode
