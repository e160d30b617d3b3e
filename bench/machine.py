"""The machine of a measurement. Standard library only."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# The flags that determine the speed of a network on a CPU.
FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
LIBRARIES = ("torch", "torchvision", "openvino", "nncf", "numpy", "pillow", "ray", "litserve", "boto3")


def describe() -> dict:
    """CPU, cores, relevant flags, memory in GB, system, and the versions of the libraries."""
    cpu = _read("/proc/cpuinfo")
    flags = set(_field(cpu, "flags").split())
    memory = _field(_read("/proc/meminfo"), "MemTotal").split() or ["0"]
    return {
        "cpu": _field(cpu, "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gb": round(int(memory[0]) / 2**20),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def in_words(machine: dict) -> str:
    """`AMD EPYC, 2 cores, 23 GB (avx2 avx512_vnni), Python 3.11.4`"""
    flags = f" ({' '.join(machine['flags'])})" if machine["flags"] else ""
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB{flags}, Python {machine['python']}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", text, re.M)
    return found[1].strip() if found else ""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
