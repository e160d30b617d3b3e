"""The packages that the serving images lack: OpenVINO, and the definition of the default network.

    python -m deploy.build.serving_runtime

AWS's Ray Serve images contain Pillow, NumPy, PyTorch, torchvision and, with transformers, safetensors. A model behind
network isolation cannot install packages. So the serving archive contains the missing ones, from the lock with its
hashes, in a folder named after the interpreter that can load them (`own_packages.py` of the payload). OpenVINO is
reduced to the files that a CPU endpoint loads (30 MB packed instead of 60). GPUs need the 20 kB of EfficientNet-Lite.
The same archive works on both and in the rehearsal.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy import console
from deploy.environment import BUILD
from deploy.setup import SERVING_IMAGE, locked_stanza
from localaws import images

PACKAGES = ("openvino", "efficientnet-lite-pytorch")
PLATFORM = "x86_64-manylinux_2_28"
FOLDER = "packages"
DESCRIPTION = "serving.json"
# Each pattern is tested: tests/packaged/test_serving_runtime.py loads a graph from the pruned copy in a clean
# interpreter. The frontends are listed one by one, because OpenVINO reads its own format with a frontend too,
# `libopenvino_ir_frontend`.
NEVER_LOADED = (
    "bin",
    "openvino/include",
    "openvino/libs/cache.json",
    "openvino/libs/libopenvino_intel_gpu_plugin*",
    "openvino/libs/libopenvino_intel_npu_*",
    "openvino/libs/libopenvino_gguf_frontend*",
    "openvino/libs/libopenvino_jax_frontend*",
    "openvino/libs/libopenvino_onnx_frontend*",
    "openvino/libs/libopenvino_paddle_frontend*",
    "openvino/libs/libopenvino_pytorch_frontend*",
    "openvino/libs/libopenvino_tensorflow_frontend*",
    "openvino/libs/libopenvino_tensorflow_lite_frontend*",
)
# The packages that an answer depends on. model.json names them and the image.
NAMED = ("ray", "numpy", "pillow")


def folder() -> Path:
    """The folder that the serving archive contains in addition to our code: `packages/<interpreter>/`, and
    `serving.json` with the versions that the archive was tested with. Made once per version. Raises
    CalledProcessError."""
    image = images.find(SERVING_IMAGE)  # for a CPU endpoint; the GPU image has the same Python
    assert image is not None
    stanza = "".join(locked_stanza(package) for package in PACKAGES)
    description = json.dumps(describe(image, stanza), indent=2, sort_keys=True) + "\n"

    def fill(made: Path) -> None:
        install_for(image.python, stanza, made, NEVER_LOADED)
        (made / DESCRIPTION).write_text(description)

    return made_once("serving-runtime", f"{stanza} {PLATFORM} {NEVER_LOADED} {description}", fill)


def made_once(kind: str, key: str, fill: Callable[[Path], None]) -> Path:
    """The folder in build/ that `fill` makes for this key. It is complete or absent, also if two processes make it."""
    made = BUILD / kind / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not made.is_dir():
        made.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=made.parent))
        fill(partial)
        try:
            partial.rename(made)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    return made


def install_for(python: str, stanza: str, made: Path, unused: tuple[str, ...]) -> None:
    """Install packages for an interpreter on Linux x86-64, where `own_packages.py` finds them, without unused files."""
    target = made / FOLDER / f"cpython-{python.replace('.', '')}-linux-x86_64"
    install(stanza, python, target)
    prune(target, unused)


def describe(image: images.Image, stanza: str) -> dict:
    """`{image, python, packages: {name: version}}`, from the locks."""
    carried = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", stanza, flags=re.MULTILINE))
    brought = {name: image.versions()[name] for name in NAMED}
    return {"image": image.name, "python": image.python, "packages": brought | carried}


def prune(packages: Path, unused: tuple[str, ...] = NEVER_LOADED) -> None:
    """Remove the files that match a pattern of `unused`."""
    for pattern in unused:
        for path in packages.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def install(stanza: str, python: str, target: Path) -> None:
    """Install the packages of `stanza`, built for `python` on PLATFORM, into `target`. Raises CalledProcessError."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(stanza)
        requirements.flush()
        command = [Path(sys.executable).parent / "uv", "pip", "install", "--quiet", "--target", target, "--no-deps"]
        command += ["--python-version", python, "--python-platform", PLATFORM, "--only-binary", ":all:"]
        command += ["--require-hashes", "-r", requirements.name]
        subprocess.run(command, check=True)


def main() -> None:
    folder()


if __name__ == "__main__":
    console.run(main)
