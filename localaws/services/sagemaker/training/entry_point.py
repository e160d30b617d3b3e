"""A training container that runs an entry point of its own.

ModelTrainer of the SageMaker Python SDK v3 sends its driver scripts as input channels and starts them with
`ContainerEntrypoint` and `ContainerArguments`.

Such a container gets its folder as `/opt/ml` (show_opt_ml.py), the job's name and its own variables, and no `SM_*`.
"""

from pathlib import Path
from typing import Any

from localaws.services.sagemaker.training.container import LAUNCHER, Host

SHOW = Path(__file__).with_name("show_opt_ml.py")


def entry_point(algorithm: dict[str, Any]) -> list[str]:
    """The entry point of an AlgorithmSpecification with its arguments; empty for script mode."""
    given = algorithm.get("ContainerEntrypoint") or []
    return [*given, *(algorithm.get("ContainerArguments") or [])] if given else []


def command(host: Host, argv: list[str], python: str) -> list[str]:
    """The command that runs an entry point in a file system with /opt/ml."""
    hosts = ",".join(host.names)
    return [python, "-I", str(SHOW), "--folder", str(host.base), "--hosts", hosts, "--", *argv]


def programs(host: Host, python: str) -> Path:
    """A folder to be searched for programs first: its torchrun opens its store on 127.0.0.1 only."""
    folder = host.base.parent / "bin"
    folder.mkdir(exist_ok=True)
    torchrun = folder / "torchrun"
    torchrun.write_text(f'#!/bin/sh\nexec "{python}" -P "{LAUNCHER}" "$@"\n')
    torchrun.chmod(0o755)
    return folder
