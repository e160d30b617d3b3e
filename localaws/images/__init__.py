"""AWS's container images as Python environments of this machine: the image's Python and its package versions.

    python -m localaws.images prepare [IMAGE ...]    (all of them; `make images`)
    python -m localaws.images list

A lock file in this folder names what an image brings, with hashes and its source. `prepare` makes `.images/<name>/`
from it. Endpoints and training jobs then run in that environment. LOCALAWS_IMAGES decides: `exact` insists on it, `own`
is the Python that runs the local AWS, and without it an image that was prepared is used. What runs is named in each
log.
"""

import functools
import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from localaws.context import REPOSITORY

HERE = Path(__file__).resolve().parent
SETTING = "LOCALAWS_IMAGES"
MODES = ("exact", "own")
RAY_SERVE, SCRIPT_MODE, INSTANCE = "ray-serve", "script-mode", "instance"


class ImageError(RuntimeError):
    """An image cannot be used; the message names the way out."""


@dataclass(frozen=True)
class Image:
    """One image: its name `repository:tag`, its Python's minor version, and how AWS starts it."""

    name: str
    python: str
    contract: str

    @property
    def file_name(self) -> str:
        return self.name.replace(":", "-")

    @property
    def lock(self) -> Path:
        return HERE / f"{self.file_name}.lock"

    @property
    def folder(self) -> Path:
        """The prepared environment. LOCALAWS_IMAGES_HOME moves it."""
        return Path(os.environ.get("LOCALAWS_IMAGES_HOME") or REPOSITORY / ".images") / self.file_name

    @property
    def stamp(self) -> Path:
        return self.folder / "image.json"

    def digest(self) -> str:
        """What a prepared environment must have been made from: the SHA-256 of the lock."""
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()

    def versions(self) -> dict[str, str]:
        """The version of each package, from the lock."""
        return dict(re.findall(r"^([a-z0-9-]+)==([^ \\]+)", self.lock.read_text(), flags=re.MULTILINE))

    def prepared(self) -> str | None:
        """The full Python version of the prepared environment, None if it is missing or made from another lock."""
        try:
            made = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return None
        return made["python"] if made["lock"] == self.digest() and self.interpreter.exists() else None

    @property
    def interpreter(self) -> Path:
        return self.folder / "bin" / "python"


IMAGES = (
    Image("ray:serve-ml-sagemaker-cpu-v1.4", "3.13", RAY_SERVE),
    Image("pytorch:2.13.0-cpu-amzn2023-sagemaker", "3.12", SCRIPT_MODE),
    Image("amazonlinux:2023", "3.12", INSTANCE),
)
AMAZON_LINUX = "amazonlinux:2023"


@dataclass(frozen=True)
class ImageEnvironment:
    """The interpreter that stands in for an image; `image` None is this local AWS's own Python."""

    python: str
    image: Image | None
    description: str


def find(uri: str) -> Image | None:
    """The image that a URI or `repository:tag` names, None for one that has no lock here."""
    name = uri.rpartition("/")[2]
    return next((image for image in IMAGES if image.name == name), None)


def environment(uri: str) -> ImageEnvironment:
    """The environment for a container of image `uri`. Raises ImageError if LOCALAWS_IMAGES asks for what is missing."""
    chosen = mode()
    image = find(uri)
    version = _prepared(image) if image is not None and chosen != "own" else None
    if image is not None and version is not None:
        return ImageEnvironment(
            str(image.interpreter), image, f"the package versions of {image.name}, under Python {version}"
        )
    if chosen == "exact":
        known = ", ".join(each.name for each in IMAGES)
        raise ImageError(
            f"{SETTING}=exact, but the image {image.name} is not prepared. Prepare it: make images"
            if image is not None
            else f"{SETTING}=exact, but {uri} is not one of the images that can be prepared here: {known}."
        )
    running = ".".join(map(str, sys.version_info[:3]))
    return ImageEnvironment(sys.executable, None, f"the local AWS's own Python {running}, not the packages of {uri}")


def mode() -> str | None:
    """The value of LOCALAWS_IMAGES, None if it is not set. Raises ImageError."""
    chosen = os.environ.get(SETTING) or None
    if chosen is not None and chosen not in MODES:
        raise ImageError(f"{SETTING} is {chosen!r}; it must be {' or '.join(MODES)}, or not set.")
    return chosen


def summary() -> dict[str, str]:
    """For each known image, in words, what stands in for it here."""
    found = {}
    for image in IMAGES:
        try:
            found[image.name] = environment(image.name).description
        except ImageError as error:
            found[image.name] = str(error)
    return found


@functools.cache
def _prepared_at(image: Image, _changed: float) -> str | None:
    return image.prepared()


def _prepared(image: Image) -> str | None:
    try:
        return _prepared_at(image, image.stamp.stat().st_mtime)
    except OSError:
        return None
