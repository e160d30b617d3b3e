"""What a snapshot says of itself, and who made it: the manifest is the first member of the archive, its signature next.

The signature is an HMAC with a key of this machine. A restored state is a pickle and programs that run as the user, so
only a file with a valid signature is restored (docs/adr/0029). A manifest without one is only shown.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import json
import os
import pickle
import secrets
import tarfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.console import Failure
from localaws.archives import BoundedTarInfo

FORMAT = 1  # rises with each change of the archive that an older version cannot read
MANIFEST, SIGNATURE = "manifest.json", "signature"
MOST_BYTES = 64 << 20  # of a manifest: 100,000 files need a third of it


@dataclass(frozen=True)
class Manifest:
    """A snapshot's description and its table of contents. Paths are those in the archive."""

    name: str
    environment: str  # in which it was taken
    place: str  # of the local AWS, below `.local`: several environments may share it
    created: str  # UTC
    port: int
    state: dict[str, str | int] | None  # the versions that wrote the state; None without a state
    summary: str
    commit: str
    format: int = FORMAT
    files: dict[str, list] = field(default_factory=dict)  # path: [bytes, mode, SHA-256]
    links: dict[str, str] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)  # path: mode

    @property
    def content_bytes(self) -> int:
        return sum(size for size, _, _ in self.files.values())

    def encoded(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def require_readable(manifest: Manifest) -> None:
    """Raise Failure if another version wrote the snapshot."""
    if manifest.state is not None and manifest.state != own_versions():
        wrote, reads = manifest.state, own_versions()
        raise Failure(
            f"The snapshot {shown(manifest.name)} was written by another version of the local AWS: moto "
            f"{shown(wrote.get('moto'))}, format {shown(wrote.get('format'))}. This one reads moto {reads['moto']}, "
            f"format {reads['format']}. Nothing was changed. Check out the version that wrote it"
            f"{f' ({shown(manifest.commit)})' if manifest.commit else ''}, and restore it there."
        )


def own_versions() -> dict[str, str | int]:
    """The versions of the state that this checkout reads."""
    from localaws.state import FORMAT as STATE_FORMAT  # imports moto

    return {"moto": importlib.metadata.version("moto"), "format": STATE_FORMAT}


def versions_of(state: Path) -> dict[str, str | int] | None:
    """The versions that wrote a state; None if there is none. Runs nothing of it. Raises Failure if it is damaged."""
    try:
        with state.open("rb") as file:
            return dict(_Plain(file).load())
    except FileNotFoundError:
        return None
    except Exception as error:  # what a damaged pickle raises depends on where the damage is
        raise Failure(f"{state} cannot be read ({type(error).__name__}: {error}).") from None


class _Plain(pickle.Unpickler):
    """Reads texts and numbers only."""

    def find_class(self, module: str, name: str) -> None:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


# ---- the signature ------------------------------------------------------------------------------------------------


def signature(folder: Path, encoded: bytes) -> bytes:
    """The signature of a manifest with this machine's key, which is made if there is none."""
    path = folder / "key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    return hmac.new(path.read_bytes().strip(), encoded, hashlib.sha256).hexdigest().encode()


# ---- reading, of any file -----------------------------------------------------------------------------------------


def read(path: Path, folder: Path) -> tuple[Manifest, bool]:
    """A snapshot's manifest, and whether this machine signed it. `folder` has the key.

    Raises Failure if the file is not a snapshot, or of a format that this version does not know.
    """
    try:
        with tarfile.open(path, "r|gz", tarinfo=BoundedTarInfo) as archive:
            encoded = _member(archive, MANIFEST, MOST_BYTES)
            signed = _member(archive, SIGNATURE, 1024)
        content = json.loads(encoded)
        if content["format"] != FORMAT:
            raise Failure(
                f"{path} is a snapshot of format {shown(content['format'])}. This version reads format {FORMAT}: check "
                "out the version that wrote it."
            )
        manifest = Manifest(**content)
        _check_types(manifest)
    except FileNotFoundError:
        raise Failure(f"There is no file {path}.") from None
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Failure(f"{path} is not a snapshot, or is damaged: {shown(error)}") from None
    return manifest, hmac.compare_digest(signature(folder, encoded), signed)


def _member(archive: tarfile.TarFile, name: str, most: int) -> bytes:
    entry = archive.next()
    if entry is None or entry.name != name or not entry.isreg() or entry.size > most:
        raise ValueError(f"it has no {name} in its place")
    file = archive.extractfile(entry)
    assert file is not None
    return file.read()


def _check_types(manifest: Manifest) -> None:
    texts = (manifest.name, manifest.environment, manifest.place, manifest.created, manifest.summary)
    texts += (manifest.commit,)
    sizes = [size for size, _, _ in manifest.files.values()]
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(size, int) for size in sizes):
        raise ValueError("its manifest has a value of another type")
    if not isinstance(manifest.port, int) or not isinstance(manifest.state, dict | None):
        raise ValueError("its manifest has a value of another type")


def shown(value: object) -> str:
    """A text of a foreign file for the terminal: without control characters, cut."""
    return "".join(each if each.isprintable() else "?" for each in str(value))[:100]
