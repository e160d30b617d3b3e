"""The model artifact: one archive with everything that serving needs, and a description. Standard library only.

    model.json                 the ModelCard: the model, its origin, and the SHA-256 of every other file
    graph.xml graph.bin        OpenVINO IR: uint8 NHWC in, probabilities out, and perhaps `distance` and `heat`
    weights.safetensors        the parameters of the same network, for further training
    config.yaml                starts code/serve_app.py under Ray Serve
    code/                      the serving code: inference.py (handlers), serve_app.py, classifier/

A training job writes these files to its model folder, and SageMaker packs them. Elsewhere `pack` does that, and the
same folder always gives the same bytes. `validate` needs neither torch nor OpenVINO, because deploy calls it before a
promotion.
"""

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

CARD = "model.json"
WEIGHTS = "weights.safetensors"
SERVE_CONFIG = "config.yaml"
SERVING = "serving.json"  # in the serving code: the versions that it was tested with
CODE = "code"
EXPECTED = "MODEL_SHA256"  # the variable of the endpoint's containers with the `identity` of the model
REQUIRED = (
    CARD,
    "graph.xml",
    "graph.bin",
    WEIGHTS,
    SERVE_CONFIG,
    f"{CODE}/inference.py",
    f"{CODE}/serve_app.py",
    f"{CODE}/classifier/__init__.py",
)
# What serving needs besides its own code. `pack` puts them first, so that a reader of these need not read the rest.
SERVED = (CARD, "graph.xml", "graph.bin")
MAX_BYTES = 8 * 1024**3  # unpacked; graph and weights of torchvision's largest networks are 5 GB
_CHUNK = 1024 * 1024


class ArtifactError(Exception):
    """The archive or folder is not a usable model. The message names the missing or corrupt part."""


@dataclass(frozen=True)
class ModelCard:
    """The description of a model and its origin: the contents of model.json."""

    name: str  # name of the run that made the model
    architecture: str
    classes: tuple[str, ...]  # the class folders, in the order of the graph's output
    labels: tuple[str, ...]  # the names of the classes for people
    input_size: int  # pixels a side
    mean: tuple[float, ...]  # of the pixels, 0 to 255, by channel; applied inside the graph
    std: tuple[float, ...]
    precision: str  # of the graph: "fp32" or "int8"
    created: str  # UTC, ISO 8601
    metrics: dict[str, float]
    data_sha256: str | None  # None if the model was not trained by this project
    code_sha256: str
    libraries: dict[str, str]  # name -> version
    files: dict[str, str]  # name -> SHA-256 of every other file of the artifact
    # Older artifacts lack the fields below, which then have their defaults.
    precision_reason: str = ""  # in words
    precision_accuracy: dict[str, float] = field(default_factory=dict)  # on the validation split, if two were compared
    # The temperature of the head, and its calibration errors (results/reliability.py)
    calibration: dict[str, float] = field(default_factory=dict)
    # The output `distance` (learning/references.py): its limit, and the shares of photographs within it
    known: dict[str, float] = field(default_factory=dict)
    known_limits: dict[str, float] = field(default_factory=dict)  # class -> its limit, if each class has its own
    serving: dict = field(default_factory=dict)  # the image, Python and packages that the serving code was tested with

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "ModelCard":
        """The card in `text`; fields of a later version are ignored. Raises ArtifactError."""
        try:
            values = json.loads(text)
            given: dict[str, Any] = {
                each.name: values[each.name] for each in fields(cls) if each.name in values or _required(each)
            }
        except (ValueError, TypeError) as error:
            raise ArtifactError(f"{CARD} is not a JSON object: {error}.") from None
        except KeyError as error:
            raise ArtifactError(f"{CARD} lacks {error}.") from None
        lists = ("classes", "labels", "mean", "std")
        if not all(isinstance(given[name], list) for name in lists) or not isinstance(given["files"], dict):
            raise ArtifactError(f"{CARD} is malformed: {', '.join(lists)} must be lists and files an object.")
        given |= {name: tuple(given[name]) for name in lists}
        card = cls(**given)
        if len(card.classes) != len(card.labels) or not card.classes:
            raise ArtifactError(f"{CARD} has {len(card.classes)} classes and {len(card.labels)} labels.")
        return card


def _required(each: Field) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


# ---- writing --------------------------------------------------------------------------------------------------


def complete(folder: Path, card: ModelCard, serving: Path) -> ModelCard:
    """Complete a folder with the graph and the weights to an artifact. Returns the written card.

    `serving` is the archive of the serving code (inference.tar.gz); its config.yaml goes to the root, the rest to
    code/. Raises ArtifactError if the archive is not usable or a file is missing.
    """
    for name, content in _members(serving):
        _write(content, folder / name if name == SERVE_CONFIG else folder / CODE / name)
    files = {name: _sha256(folder / name) for name in _names(folder) if name != CARD}
    tested = folder / CODE / SERVING
    described = json.loads(tested.read_text()) if tested.is_file() else {}
    card = replace(card, files=files, serving=described)
    (folder / CARD).write_text(card.to_json())
    _check_complete(folder, _names(folder))
    return card


def check_serving(archive: Path) -> None:
    """Raise ArtifactError unless `archive` contains the serving code that an artifact needs."""
    names = [name if name == SERVE_CONFIG else f"{CODE}/{name}" for name, _ in _members(archive)]
    wanted = [name for name in REQUIRED if name == SERVE_CONFIG or name.startswith(f"{CODE}/")]
    missing = [name.removeprefix(f"{CODE}/") for name in wanted if name not in names]
    if missing:
        raise ArtifactError(f"{archive} is not the serving code: it lacks {', '.join(missing)}.")


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder as .tar.gz, SERVED first, without times and owners, so the same files give the same bytes."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(_names(folder), key=lambda name: (name not in SERVED, name)):
            member = tarfile.TarInfo(name)
            member.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as content:
                tar.addfile(member, content)


# ---- reading --------------------------------------------------------------------------------------------------


def validate(path: Path) -> ModelCard:
    """The card of the artifact in `path`, a .tar.gz or an unpacked folder. Checks the hash of every file.

    Raises ArtifactError.
    """
    if path.is_dir():
        _check_complete(path, _names(path))
        card = read_card(path)
        present = {name: _sha256(path / name) for name in card.files if (path / name).is_file()}
    else:
        present, text = {}, b""
        for name, content in _members(path):
            if name == CARD:
                text = b"".join(content)
            else:
                present[name] = _hash(content)
        _check_complete(path, [*present, *([CARD] if text else [])])
        card = ModelCard.from_json(text)
    if unlisted := sorted(set(present) - set(card.files) - {CARD}):
        raise ArtifactError(f"{path} has the file {unlisted[0]}, which {CARD} does not list.")
    for name, expected in card.files.items():
        if name not in present:
            raise ArtifactError(f"{path} lacks {name}.")
        if present[name] != expected:
            raise ArtifactError(f"{name} in {path} is corrupt: its hash differs from that in {CARD}.")
    return card


def identity(path: Path) -> str:
    """The SHA-256, in hex, of model.json in `path`, a .tar.gz or an unpacked folder. model.json has the hashes of all
    other files, so the same identity is the same model, whatever archive it is in. Raises ArtifactError."""
    if path.is_dir():
        return _sha256(path / CARD)
    for name, content in _members(path):
        if name == CARD:
            return _hash(content)
    raise ArtifactError(f"{path} lacks {CARD}.")


def require_identity(folder: Path, expected: str) -> None:
    """Raise ArtifactError unless the unpacked artifact is the one with this identity, file by file."""
    found = identity(folder)
    if found != expected:
        raise ArtifactError(
            f"The model in {folder} is not the one that was promoted: the SHA-256 of its {CARD} is {found}, and "
            f"{EXPECTED} is {expected}. Somebody changed the archive. Promote a model again: make promote"
        )
    card = validate(folder)
    code = [name for name in _names(folder) if name.startswith(f"{CODE}/")]
    if unlisted := [name for name in code if name not in card.files]:
        raise ArtifactError(f"{folder} has the file {unlisted[0]}, which {CARD} does not list.")


def read_card(folder: Path) -> ModelCard:
    """The card of an unpacked artifact, without a check of its files. Raises ArtifactError."""
    try:
        return ModelCard.from_json((folder / CARD).read_bytes())
    except OSError:
        raise ArtifactError(f"{folder} lacks {CARD}.") from None


def extract(archive: Path, folder: Path) -> None:
    """Unpack into `folder`: only regular files, and none outside the folder. Raises ArtifactError before it writes any
    other."""
    for name, content in _members(archive):
        _write(content, folder / name)


def extract_graph(archive: IO[bytes], name: str, folder: Path) -> ModelCard:
    """Unpack the files SERVED of a .tar.gz stream into `folder`, and check them. Returns the card.

    The stream is read only up to the last of them. `name` is that of the archive in errors. Raises ArtifactError.
    """
    left = set(SERVED)
    for member, content in _members(archive, name):
        if member in left:
            _write(content, folder / member)
            left.remove(member)
        if not left:
            break
    if left:
        raise ArtifactError(f"{name} lacks {', '.join(sorted(left))}.")
    card = read_card(folder)
    for member in SERVED:
        if member != CARD and _sha256(folder / member) != card.files.get(member):
            raise ArtifactError(f"{member} in {name} is corrupt: its hash differs from that in {CARD}.")
    return card


def _members(archive: Path | IO[bytes], name: str = "") -> Iterator[tuple[str, Iterator[bytes]]]:
    """(name, content in chunks) of each file of a .tar.gz, in order. Read the content before the next file.

    `name` is that of an archive that is a stream.
    """
    total = 0
    source = name or archive
    with _archive_errors(source), gzip.open(archive) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if member.isdir():
                continue
            if not member.isfile() or path.is_absolute() or ".." in path.parts or "\\" in member.name:
                raise ArtifactError(f"{source} contains {member.name!r}, which is a link or is outside the folder.")
            total += member.size
            if total > MAX_BYTES:
                raise ArtifactError(f"{source} unpacks to more than {MAX_BYTES // 1024**3} GiB.")
            content = tar.extractfile(member)
            assert content is not None  # it is a regular file
            yield str(path), _chunks(content, source)
        while unpacked.read(_CHUNK):  # up to the checksum at the end, which other readers check
            pass


@contextmanager
def _archive_errors(archive: object) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ArtifactError(f"{archive} does not exist.") from None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ArtifactError(f"{archive} is not a .tar.gz, or is truncated or corrupt: {error}.") from None


def _chunks(file: IO[bytes], source: object) -> Iterator[bytes]:
    with _archive_errors(source):
        while chunk := file.read(_CHUNK):
            yield chunk


def _write(content: Iterator[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for chunk in content:
            file.write(chunk)


def _check_complete(where: Path, names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise ArtifactError(f"{where} lacks {', '.join(missing)}.")


def _names(folder: Path) -> list[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if "__pycache__" not in path.parts)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return _hash(_chunks(file, path))


def _hash(content: Iterator[bytes]) -> str:
    total = hashlib.sha256()
    for chunk in content:
        total.update(chunk)
    return total.hexdigest()
