"""A job's `requirements.txt`: what its interpreter does not bring, and how it is installed next to the code."""

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


def unsatisfied(code: Path, python: str) -> list[str]:
    """The lines of `requirements.txt` that an interpreter's environment does not satisfy; a line that does not name a
    package counts as one."""
    file = code / "requirements.txt"
    if not file.is_file():
        return []
    lines = [line.partition(" #")[0].strip() for line in file.read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    installed = _installed(python) if wanted else {}
    return [line for line in wanted if not _is_satisfied(line, installed)]


def _installed(python: str) -> dict[str, str]:
    """The packages of an interpreter's environment by normalised name, with their versions."""
    if python == sys.executable:
        found = importlib.metadata.distributions()
    else:
        found = importlib.metadata.distributions(
            path=[str(path) for path in Path(python).parent.parent.glob("lib/python3.*/site-packages")]
        )
    return {canonicalize_name(each.name): each.version for each in found}


def install_command(python: str, target: Path, package: bool = False, requirements: bool = True) -> list[str]:
    """Installs `requirements.txt` of the working directory, and the directory itself if it is a `package`.

    They go into the folder `target`, by uv if it is there, else by pip.
    """
    what = ["--target", str(target), *(["."] if package else []), *(["-r", "requirements.txt"] if requirements else [])]
    uv = shutil.which("uv")
    return [uv, "pip", "install", "--python", python, *what] if uv else [python, "-m", "pip", "install", *what]


def index_settings() -> dict[str, str]:
    """The caller's own settings of where packages come from: the one thing a job inherits of them."""
    prefixes = ("PIP_", "UV_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_")
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


def _is_satisfied(line: str, installed: dict[str, str]) -> bool:
    try:
        requirement = Requirement(line)
        if requirement.url or (requirement.marker and not requirement.marker.evaluate()):
            return not requirement.url
        version = installed.get(canonicalize_name(requirement.name))
        return version is not None and requirement.specifier.contains(version, prereleases=True)
    except InvalidRequirement:
        return False
