"""What the serving images lack, for their Python and their processors: OpenVINO, and the default network's definition.

AWS's Ray Serve images bring Pillow, NumPy, PyTorch, torchvision and, with transformers, safetensors; and a model behind
network isolation cannot install anything. So the serving code for AWS carries along what they lack, taken from the lock
with its hashes: OpenVINO without what a CPU endpoint never loads (30 MB packed, instead of 60), and for GPUs the 20 kB
of EfficientNet-Lite. One archive serves on both.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.environment import BUILD
from deploy.setup import locked_stanza

# The images `ray:serve-ml-sagemaker-cpu-v1` and `-cuda-v1`.
PACKAGES = ("openvino", "efficientnet-lite-pytorch")
PYTHON_VERSION = "3.13"
PLATFORM = "x86_64-manylinux_2_28"
NEVER_LOADED = (
    "bin",
    "openvino/include",
    "openvino/libs/cache.json",
    "openvino/libs/libopenvino_intel_gpu_plugin*",
    "openvino/libs/libopenvino_intel_npu_*",
    "openvino/libs/libopenvino_*_frontend*",
)


def folder() -> Path:
    """A folder with the packages for the serving image, made once for each version. Raises CalledProcessError."""
    stanza = "".join(locked_stanza(package) for package in PACKAGES)
    name = hashlib.sha256(f"{stanza} {PYTHON_VERSION} {PLATFORM} {NEVER_LOADED}".encode()).hexdigest()[:16]
    made = BUILD / "serving-runtime" / name
    if not made.is_dir():
        made.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=made.parent))
        install(stanza, partial)
        for pattern in NEVER_LOADED:
            for path in partial.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        partial.rename(made)
    return made


def install(stanza: str, target: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(stanza)
        requirements.flush()
        command = [Path(sys.executable).parent / "uv", "pip", "install", "--quiet", "--target", target, "--no-deps"]
        command += ["--python-version", PYTHON_VERSION, "--python-platform", PLATFORM, "--only-binary", ":all:"]
        command += ["--require-hashes", "-r", requirements.name]
        subprocess.run(command, check=True)
