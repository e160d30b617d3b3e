"""Terraform on freshly packaged payloads: `plan`, `apply`, `destroy`, `output`.

    python -m deploy.stack plan|apply|destroy|output

The state and Terraform's working data live under the environment's home, so that the rehearsal and AWS never
share either. `apply` and `promote` are the same operation with other releases; both end with a look at what really
runs (`deploy.endpoint_check`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from python_terraform import IsFlagged, Terraform

from deploy import console, endpoint_check, environment, jobs, package, releases, trial_endpoints
from deploy.console import Failure
from deploy.environment import TERRAFORM, Environment

# What a person wants to see of an apply: each change when it is done, what takes long, and the sums.
PROGRESS = re.compile(r"module\.\S+: (\w+ complete|Still)|Plan: |No changes|(Apply|Destroy) complete")


class Stack:
    """The Terraform root stack of one environment."""

    def __init__(self, env: Environment):
        self.env = env
        os.environ["TF_DATA_DIR"] = str(env.home / "terraform")
        os.environ["TF_IN_AUTOMATION"] = "1"
        venv = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([*os.environ["PATH"].split(os.pathsep), venv])
        self._terraform = Terraform(working_dir=str(TERRAFORM))

    def init(self) -> None:
        """Initialise providers and state; silent and quick when that was done for these files."""
        stamp = self.env.home / "terraform" / ".initialised"
        wanted = package.content_hash(
            [(path.name, path) for path in (TERRAFORM / ".terraform.lock.hcl", TERRAFORM / "terraform.tf")]
        )
        modules = sorted(path.name for path in (TERRAFORM / "modules").iterdir() if path.is_dir())
        wanted = f"{wanted} {' '.join(modules)}"
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        console.step("Preparing Terraform")
        code, _, err = self._terraform.cmd(
            "init",
            input=False,
            no_color=IsFlagged,
            backend_config={"path": str(self.env.home / "terraform.tfstate")},
            reconfigure=IsFlagged,
        )
        if code:
            raise Failure(f"Terraform could not be initialised:\n{err.strip()}")
        stamp.write_text(wanted)

    def plan(self) -> int:
        """Show what an apply would change. Returns Terraform's exit status: 0 also where there are changes."""
        with self._inputs() as arguments:
            return self._run("plan", **arguments)

    def apply(self) -> int:
        """Apply everything without asking. Returns Terraform's exit status."""
        with self._inputs() as arguments:
            return self._run_briefly("apply", **arguments, auto_approve=IsFlagged)

    def apply_release(self, release: releases.Releases) -> int:
        """Apply other releases to the endpoint, and nothing else. Returns Terraform's exit status."""
        with self._inputs(release) as arguments:
            return self._run_briefly("apply", **arguments, auto_approve=IsFlagged, target=["module.endpoint"])

    def destroy(self) -> int:
        with self._inputs() as arguments:
            # python-terraform's own destroy() passes -force, which Terraform no longer has.
            return self._run_briefly("destroy", **arguments, auto_approve=IsFlagged)

    def outputs(self) -> dict:
        """The outputs of the stack by name; empty where nothing is applied."""
        if not (self.env.home / "terraform.tfstate").is_file() and not (TERRAFORM / "backend_override.tf").is_file():
            return {}  # quicker than Terraform, which would have to be initialised to say so
        self.init()
        code, out, err = self._terraform.cmd("output", json=IsFlagged, no_color=IsFlagged)
        if code:
            raise Failure(f"The outputs of the stack could not be read:\n{err.strip()}")
        return {name: output["value"] for name, output in json.loads(out).items()}

    def require_outputs(self) -> dict:
        """The outputs, or Failure where nothing is applied."""
        outputs = self.outputs()
        if "artifacts_bucket" not in outputs:
            raise Failure(f"Nothing is deployed in {self.env}. Deploy it first: {console.make('apply')}")
        self.env.require_own_local_aws()
        return outputs

    @contextmanager
    def _inputs(self, release: releases.Releases | None = None) -> Iterator[dict]:
        """The arguments that plan, apply and destroy share."""
        self.init()
        if release is None:
            release = releases.read(self.env, self.outputs())
        var_files = [self.env.tfvars]
        if release:
            var_files.append(self._var_file("releases", {"releases": release.as_variable()}))
        if self.env.is_dress_rehearsal:
            var_files.append(self._var_file("rehearsal", environment.rehearsal_variables()))
        yield {"var_file": [str(file) for file in var_files], "input": False, "compact_warnings": IsFlagged}

    def _var_file(self, name: str, values: dict) -> Path:
        """A file of variables for Terraform, in which a value may be of any type; of two files the later one wins."""
        written = self.env.home / f"{name}.tfvars.json"
        written.write_text(json.dumps(values, indent=2))
        return written

    def _run(self, command: str, **arguments) -> int:
        """Run Terraform on this terminal; returns its exit status."""
        colour = {} if sys.stdout.isatty() else {"no_color": IsFlagged}
        sys.stdout.flush()
        code, _, _ = self._terraform.cmd(command, capture_output=False, **arguments, **colour)
        return code

    def _run_briefly(self, command: str, **arguments) -> int:
        """Run Terraform, showing what it changes and what goes wrong, without its plan (which `make plan` shows in
        full), its warnings and its outputs."""
        argv = self._terraform.generate_cmd_string(command, **arguments, no_color=IsFlagged)
        with subprocess.Popen(argv, cwd=TERRAFORM, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
            error = False
            for line in run.stdout:
                error = error or line.startswith("Error")
                if error or PROGRESS.match(line):
                    console.out.print(f"  {line.rstrip()}", markup=False)
        return run.returncode


def confirm_destroy(env: Environment, outputs: dict) -> None:
    """With AWS's settings, ask for the stack's name: a destroy deletes every dataset and trained model too."""
    if not env.asks_before_destroy or not outputs or os.environ.get("CONFIRM") == outputs["name"]:
        return
    console.warn(
        f"This deletes everything in the stack {outputs['name']} ({outputs['region']}), the bucket "
        f"{outputs['artifacts_bucket']} with its datasets and trained models included."
    )
    if not sys.stdin.isatty() or input("Type the name of the stack to go on: ") != outputs["name"]:
        confirmed = console.make(f"destroy CONFIRM={outputs['name']}")
        raise Failure(f"Nothing was destroyed. To confirm without a terminal: {confirmed}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Terraform for one environment.")
    parser.add_argument("command", choices=["plan", "apply", "destroy", "output"])
    command = parser.parse_args().command
    env = environment.current()
    stack = Stack(env)
    if command == "output":
        print(json.dumps(stack.require_outputs(), indent=2))
        return 0
    env.require_access()
    package.build()
    if command == "plan":
        return stack.plan()
    if command == "apply":
        code = stack.apply()
        if code == 0:
            outputs = stack.outputs()
            endpoint_check.require_service(env, outputs, outputs["release"])
            console.done(f"{outputs['name']} is deployed; the endpoint serves {outputs['release']}")
            console.out.print(f"  {outputs['function_url']}")
        return code
    outputs = stack.outputs()
    confirm_destroy(env, outputs)
    if outputs:
        jobs.stop_all(env, outputs)
        jobs.delete_log_streams(env, outputs)
        trial_endpoints.delete_all(env, outputs)
    return stack.destroy()


if __name__ == "__main__":
    console.run(main)
