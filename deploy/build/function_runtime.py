"""The libraries of the function that has the model inside: OpenVINO, NumPy and Pillow, for Lambda's Python.

Lambda's runtime has none of them. NumPy and Pillow have the versions of the serving image, so that the function decodes
an image to the same pixels as the endpoint. OpenVINO is reduced to the files that a CPU loads, and NumPy and Pillow lose
their tests and tools. Everything together stays below Lambda's limit of 250 MB (a test adds it up).
"""

from __future__ import annotations

from pathlib import Path

from deploy.build.serving_runtime import NEVER_LOADED, PLATFORM, install_for, made_once
from deploy.setup import SERVING_IMAGE, locked_stanza
from localaws import images

PYTHON = "3.13"  # the runtime in terraform/modules/predictor
UNUSED = (*NEVER_LOADED, "numpy/*/tests", "numpy/tests", "numpy/f2py", "numpy/_core/include", "numpy/_core/lib")
# From the lock of the serving image; OpenVINO is not in it.
OF_THE_IMAGE = ("numpy", "pillow")


def folder() -> Path:
    """The folder with `packages/<interpreter>/`, which `own_packages.py` finds. Made once per version. Raises
    CalledProcessError."""
    image = images.find(SERVING_IMAGE)
    assert image is not None
    stanza = locked_stanza("openvino") + "".join(locked_stanza(package, image.lock) for package in OF_THE_IMAGE)
    return made_once(
        "function-runtime",
        f"{stanza} {PLATFORM} {PYTHON} {UNUSED}",
        lambda made: install_for(PYTHON, stanza, made, UNUSED),
    )
