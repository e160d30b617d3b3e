"""A job's `requirements.txt`: what this interpreter does not bring, and how it is installed beside the code."""

import importlib.metadata
import os
import shutil
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement


def unsatisfied(code: Path) -> list[str]:
    """The lines of `requirements.txt` that this interpreter does not satisfy; those that are no names count as such."""
    file = code / "requirements.txt"
    if not file.is_file():
        return []
    lines = [line.partition(" #")[0].strip() for line in file.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#") and not _is_satisfied(line)]


def install_command(python: str, target: Path) -> list[str]:
    """Installs `requirements.txt` of the working directory into `target`: by uv where there is one, or by pip."""
    what = ["--target", str(target), "-r", "requirements.txt"]
    uv = shutil.which("uv")
    return [uv, "pip", "install", "--python", python, *what] if uv else [python, "-m", "pip", "install", *what]


def index_settings() -> dict[str, str]:
    """The caller's own settings of where packages come from: the one thing a job inherits of them."""
    prefixes = ("PIP_", "UV_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_")
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


def _is_satisfied(line: str) -> bool:
    try:
        requirement = Requirement(line)
        if requirement.url or (requirement.marker and not requirement.marker.evaluate()):
            return not requirement.url
        return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False
