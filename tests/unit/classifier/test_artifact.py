"""The artifact: writing, reading, and the errors of wrong archives."""

import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from classifier import artifact
from classifier.artifact import ArtifactError, ModelCard

CARD = ModelCard(
    name="dogs-1",
    architecture="efficientnet-lite0",
    classes=("001.Beagle", "002.Pug"),
    labels=("Beagle", "Pug"),
    input_size=224,
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    precision="fp32",
    created="2026-11-22T16:00:00Z",
    metrics={"test_accuracy": 0.95},
    data_sha256="d" * 64,
    code_sha256="c" * 64,
    libraries={"torch": "2"},
    files={},
)
SERVING = {
    "config.yaml": b"applications: []\n",
    "inference.py": b"# handlers\n",
    "serve_app.py": b"# ray\n",
    "classifier/__init__.py": b"# graph\n",
}


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def serving(tmp_path) -> Path:
    return write_tar(tmp_path / "inference.tar.gz", SERVING)


@pytest.fixture
def folder(tmp_path, serving) -> Path:
    """A complete artifact, unpacked."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("graph.xml", "graph.bin", "weights.safetensors"):
        (folder / name).write_bytes(name.encode() * 1000)
    artifact.complete(folder, CARD, serving)
    return folder


@pytest.fixture
def archive(tmp_path, folder) -> Path:
    artifact.pack(folder, tmp_path / "model.tar.gz")
    return tmp_path / "model.tar.gz"


def test_serving_code_goes_to_code_and_the_configuration_of_ray_to_the_root(folder):
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == set(artifact.REQUIRED)


def test_the_identity_is_that_of_the_content_whatever_the_archive(tmp_path, folder, archive):
    again = write_tar(tmp_path / "again.tar.gz", {name: (folder / name).read_bytes() for name in artifact.REQUIRED})
    assert again.read_bytes() != archive.read_bytes()
    assert artifact.identity(folder) == artifact.identity(archive) == artifact.identity(again)
    artifact.require_identity(folder, artifact.identity(archive))


def test_a_changed_model_is_not_the_promoted_one(folder):
    promoted = artifact.identity(folder)
    (folder / "code" / "numpy.py").write_text("# shadows the library")
    with pytest.raises(ArtifactError, match=r"has the file code/numpy\.py, which model\.json does not list"):
        artifact.require_identity(folder, promoted)
    (folder / "code" / "numpy.py").unlink()
    (folder / "graph.bin").write_bytes(b"other weights")
    with pytest.raises(ArtifactError, match=r"graph\.bin.*is corrupt"):
        artifact.require_identity(folder, promoted)
    with pytest.raises(ArtifactError, match=r"is not the one that was promoted.*make promote"):
        artifact.require_identity(folder, "0" * 64)


def test_a_card_without_a_newer_field_is_read_with_the_default():
    old = {name: value for name, value in json.loads(CARD.to_json()).items() if not name.startswith("precision_")}
    card = ModelCard.from_json(json.dumps(old))
    assert (card.precision, card.precision_reason, card.precision_accuracy) == (CARD.precision, "", {})


def test_an_archive_gives_back_its_card(archive, folder):
    card = artifact.validate(archive)
    assert replace(card, files={}) == CARD
    assert set(card.files) == set(artifact.REQUIRED) - {"model.json"}
    assert artifact.validate(folder) == card


def test_the_same_files_give_the_same_bytes(folder, archive, tmp_path):
    for path in folder.rglob("*"):
        path.chmod(0o700)
    (folder / "graph.bin").touch()
    artifact.pack(folder, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()
    assert archive.read_bytes()[4:8] == bytes(4)  # gzip's time field, which would differ each second


def test_an_archive_that_sagemaker_packed_from_the_folder_is_valid(folder, tmp_path):
    with tarfile.open(tmp_path / "theirs.tar.gz", "w:gz") as tar:
        tar.add(folder, arcname=".")  # names begin with ./ and folders are members
    assert artifact.validate(tmp_path / "theirs.tar.gz").name == "dogs-1"


@pytest.mark.parametrize("name", artifact.REQUIRED)
def test_each_missing_file_is_named(folder, tmp_path, name):
    (folder / name).unlink()
    artifact.pack(folder, tmp_path / "model.tar.gz")
    for path in (folder, tmp_path / "model.tar.gz"):
        with pytest.raises(ArtifactError, match=f"lacks {name}"):
            artifact.validate(path)


def test_a_file_that_was_changed_is_named(folder, tmp_path):
    (folder / "graph.bin").write_bytes(b"graph.bin" * 999 + b"graph.bim")
    artifact.pack(folder, tmp_path / "model.tar.gz")
    for path in (folder, tmp_path / "model.tar.gz"):
        with pytest.raises(ArtifactError, match=r"graph\.bin .*corrupt"):
            artifact.validate(path)


def test_a_file_that_the_card_does_not_list_is_refused(folder, tmp_path):
    (folder / "code" / "extra.py").write_text("1")
    artifact.pack(folder, tmp_path / "model.tar.gz")
    with pytest.raises(ArtifactError, match=r"code/extra\.py.*does not list"):
        artifact.validate(tmp_path / "model.tar.gz")


@pytest.mark.parametrize("kept", [0, 1, 15, 0.5, 0.99, -9])
def test_a_truncated_archive_is_refused(archive, kept):
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * kept)] if isinstance(kept, float) else data[:kept])
    with pytest.raises(ArtifactError, match=r"truncated or corrupt|lacks"):
        artifact.validate(archive)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_an_archive_with_a_flipped_byte_is_refused(archive, place):
    data = bytearray(archive.read_bytes())
    data[int(len(data) * place)] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(ArtifactError):
        artifact.validate(archive)


def test_a_file_that_is_not_an_archive_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(5000))
    for path in (tmp_path / "photo.jpg", write_tar(tmp_path / "plain.tar", SERVING, "w"), tmp_path / "nothing"):
        with pytest.raises(ArtifactError, match=path.name):
            artifact.validate(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "{", "null"])
def test_a_card_that_is_not_valid_is_refused(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"model\.json"):
        artifact.validate(folder)


def test_a_card_whose_labels_do_not_match_its_classes_is_refused(folder):
    (folder / "model.json").write_text(replace(CARD, labels=("Beagle",)).to_json())
    with pytest.raises(ArtifactError, match="2 classes and 1 labels"):
        artifact.validate(folder)


@pytest.mark.parametrize("name", ["../outside", "/outside", "code/../../outside", "a/../../../outside"])
def test_nothing_is_written_outside_the_folder(tmp_path, name):
    evil = write_tar(tmp_path / "evil.tar.gz", {name: b"x"})
    (tmp_path / "deep" / "er").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="outside"):
        artifact.extract(evil, tmp_path / "deep" / "er")
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("graph.xml")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(ArtifactError, match="link"):
        artifact.extract(tmp_path / "evil.tar.gz", tmp_path / "out")
    with pytest.raises(ArtifactError, match="link"):
        artifact.validate(tmp_path / "evil.tar.gz")


def test_packed_files_are_extracted(archive, folder, tmp_path):
    artifact.extract(archive, tmp_path / "out")
    assert artifact.validate(tmp_path / "out") == artifact.validate(folder)


def test_an_archive_without_the_serving_code_is_refused(tmp_path, serving):
    artifact.check_serving(serving)
    other = write_tar(tmp_path / "train.tar.gz", {"train.py": b"", "config.yaml": b""})
    with pytest.raises(ArtifactError, match=r"train\.tar\.gz is not the serving code: it lacks inference\.py"):
        artifact.check_serving(other)


def test_validation_needs_only_the_standard_library():
    shared = Path(artifact.__file__).parent.parent
    code = f"import sys; sys.path.insert(0, {str(shared)!r}); import classifier.artifact"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
