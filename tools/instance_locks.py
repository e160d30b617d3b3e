"""Write the locks of the training instance: every package that its first boot installs, with the hashes of its files.

    python -m tools.instance_locks

payloads/ec2/requirements.txt has the versions. `requirements.lock` has all packages except PyTorch's,
`pytorch-cuda.lock` those of PyTorch with CUDA, and `boto3.lock` what fetches the payload. PyTorch for processors comes
from an index of its own. If that can be reached, `pytorch-cpu.lock` gets its hashes; otherwise the file stays as it is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "payloads" / "ec2"
INDEX = "https://download.pytorch.org/whl/cpu"
PYTORCH = re.compile(r"^(torch|torchvision|triton|nvidia-|cuda-)")
PYTHON = "3.12"  # ec2.python in terraform/variables.tf


def main() -> None:
    wanted = (FOLDER / "requirements.txt").read_text()
    packages = _blocks(_compiled(wanted))
    _write("requirements.lock", [block for block in packages if not PYTORCH.match(block)])
    _write("pytorch-cuda.lock", [block for block in packages if PYTORCH.match(block)])
    _write("boto3.lock", _blocks(_compiled(_lines(wanted, "boto3"))))
    try:
        pinned = _compiled(_lines(wanted, "torch"), "--no-deps", "--index-url", INDEX)
    except subprocess.CalledProcessError:
        print(f"{INDEX} cannot be reached: pytorch-cpu.lock stays as it is", file=sys.stderr)
    else:
        _write("pytorch-cpu.lock", _blocks(pinned))


def _lines(text: str, beginning: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith(beginning))


def _compiled(requirements: str, *options: str) -> str:
    """The lock that uv makes, in the versions of requirements.lock. Raises CalledProcessError."""
    uv = ["uv", "pip", "compile", "-", "-q", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
    command = [*uv, "--python-version", PYTHON, "-c", "requirements.lock", *options]
    path = Path(sys.executable).parent / command[0]
    command = [str(path), *command[1:]]
    return subprocess.run(command, cwd=ROOT, input=requirements, check=True, stdout=subprocess.PIPE, text=True).stdout


def _blocks(lock: str) -> list[str]:
    """The packages of a lock, each with its lines of hashes."""
    return re.findall(r"^\S.*\n(?:[ \t]+--hash.*\n?)+", lock, re.MULTILINE)


def _write(name: str, blocks: list[str]) -> None:
    (FOLDER / name).write_text("".join(blocks))
    print(f"wrote payloads/ec2/{name}: {len(blocks)} packages")


if __name__ == "__main__":
    main()
