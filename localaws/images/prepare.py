"""Make an image's environment from its lock: a virtual environment of the image's Python, filled by uv."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from localaws.images import Image, ImageError


def prepare(image: Image) -> None:
    """Make the environment if it is missing or its lock has changed. Raises ImageError.

    It is made aside and moved to its place, so that one that is used is always whole.
    """
    if image.prepared() is not None:
        return
    python = interpreter(image.python)
    if python is None:
        raise ImageError(
            f"The image {image.name} needs Python {image.python}, which was not found on PATH, among pyenv's versions "
            f"or by uv, and uv could not install it. Install it (for example: uv python install {image.python}), then: "
            "make images"
        )
    print(f"Preparing the image {image.name} with {python} …", flush=True)
    image.folder.parent.mkdir(parents=True, exist_ok=True)
    partial = image.folder.with_name(f"{image.folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        # Relocatable, since it is moved: its programs find their interpreter from where they are.
        _uv("venv", "--relocatable", "--python", str(python), str(partial))
        _uv("pip", "sync", "--require-hashes", "--python", str(partial / "bin" / "python"), str(image.lock))
        version = _version(partial / "bin" / "python")
        (partial / image.stamp.name).write_text(json.dumps({"lock": image.digest(), "python": version}) + "\n")
    except subprocess.CalledProcessError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ImageError(f"The image {image.name} could not be prepared: {error}") from error
    shutil.rmtree(image.folder, ignore_errors=True)
    partial.rename(image.folder)


def interpreter(version: str) -> Path | None:
    """A Python of this minor version, installed by uv if there is none. None if uv cannot."""
    found = installed(version)
    if found is None:
        subprocess.run([_uv_program(), "python", "install", "--quiet", version], capture_output=True)
        found = installed(version)
    return found


def installed(version: str) -> Path | None:
    """A Python of this minor version that runs: on PATH, among pyenv's versions, or one that uv knows."""
    for candidate in _candidates(version):
        if _version(candidate).startswith(f"{version}."):
            return candidate
    return None


def _candidates(version: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield Path(sys.base_prefix) / "bin" / f"python{version}"
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder) / f"python{version}"
    # pyenv's versions are installed but not on PATH unless they are chosen.
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)
    found = subprocess.run([_uv_program(), "python", "find", version], capture_output=True, text=True)
    yield from map(Path, found.stdout.split("\n")[:1])


def _version(python: Path) -> str:
    """The full version that an interpreter reports, "" if it does not run (as pyenv's stand-ins do not)."""
    if not python.is_file():
        return ""
    command = [str(python), "-I", "-c", "import platform; print(platform.python_version())"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _uv(*arguments: str) -> None:
    quiet = [] if sys.stderr.isatty() else ["--quiet"]  # on a terminal uv shows a progress bar
    subprocess.run([_uv_program(), *quiet, *arguments], check=True)


def _uv_program() -> str:
    """The uv of this environment, else one on PATH. Raises ImageError."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise ImageError("uv, which makes the image environments, was not found. Run: make setup")
    return found
