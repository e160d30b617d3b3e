"""Archives that others made: what is unpacked is inside the folder, and the rest is refused in words."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from localaws import archives
from localaws.archives import ArchiveError, unpack_tar, unpack_zip
from localaws.services.lambda_.environment import unpack as unpack_function

Entry = tuple[str, bytes, str | bytes]  # name, type, content or target


def tar(path: Path, entries: Iterable[Entry], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = str(content)
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def outside(folder: Path) -> list[Path]:
    return [each for each in folder.parent.rglob("*") if folder not in (each, *each.parents) and each.name != "a.tar"]


FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
LONG = "d" * 247

HOSTILE: dict[str, tuple[list[Entry], str]] = {
    "parent": ([("../outside", FILE, b"x")], "leads out"),
    "parent within": ([("a/../../outside", FILE, b"x")], "leads out"),
    "link out": ([("a", LINK, "../outside")], "link out of the folder"),
    "absolute link": ([("a", LINK, "/etc/passwd")], "link out of the folder"),
    "through a link": ([("a", LINK, "."), ("a/b", FILE, b"x")], "is a link, and"),
    "link where a folder was": ([("a/b", FILE, b"x"), ("a", LINK, ".")], "there twice"),
    "link and file": ([("a", LINK, "b"), ("a", FILE, b"x")], "there twice"),
    "link through a link": ([("a", LINK, "b/c"), ("x", LINK, "a/../../outside"), ("b/c/d", FILE, b"x")], "link"),
    "two steps": ([("a/b/c", DIR, b""), ("l", LINK, "a/b/c"), ("m", LINK, "l/../../../outside")], "link"),
    "hard link out": ([("a", HARD, "../outside")], "leads out"),
    "hard link to a link": ([("a", LINK, "b"), ("h", HARD, "a")], "not a file in it"),
    "hard link to nothing": ([("h", HARD, "absent")], "not a file in it"),
    "file as a folder": ([("a", FILE, b"x"), ("a/b", FILE, b"x")], "is a file, and"),
    "folder as a file": ([("a/b", FILE, b"x"), ("a", FILE, b"x")], "there twice"),
    "fifo": ([("pipe", tarfile.FIFOTYPE, b"")], "a device, a pipe"),
    "device": ([("null", tarfile.CHRTYPE, b"")], "a device, a pipe"),
    "long name": ([("n" * 300, FILE, b"x")], "more than 255 bytes"),
    "long name in bytes": ([("ü" * 200, FILE, b"x")], "more than 255 bytes"),
    "deep": ([("d/" * 500 + "f", FILE, b"x")], "deeper than"),
    "long path": ([(f"{LONG}/{LONG}/{LONG}/{LONG}/{LONG}", FILE, b"x")], "longer than"),
    # CVE-2025-4517: the way is longer than the system takes, so Python's filter stopped looking at it.
    "CVE-2025-4517": (
        [
            *((("/".join([LONG] * level), DIR, b"")) for level in range(1, 5)),
            *((("/".join([*[LONG] * level, "l"]), LINK, LONG)) for level in range(1, 5)),
            ("/".join("l" * 16) + "/" + "l" * 254, LINK, "../" * 16),
            ("escape", LINK, "/".join("l" * 16) + "/" + "l" * 254 + "/../outside"),
            ("flag", HARD, "escape"),
            ("flag", FILE, b"x"),
        ],
        "",
    ),
    "the folder itself": ([(".", FILE, b"x")], "without a name"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_nothing_is_written(tmp_path, name):
    entries, words = HOSTILE[name]
    folder = tmp_path / "deep" / "folder"
    with pytest.raises(ArchiveError) as refused:
        unpack_tar(tar(tmp_path / "a.tar", entries), folder)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 400
    assert not folder.exists()


def test_an_ordinary_archive_is_unpacked(tmp_path):
    entries = [
        ("./", DIR, b""), ("./lib/libx.so.1.2", FILE, b"library"), ("./lib/libx.so.1", LINK, "libx.so.1.2"),
        ("lib/libx.so", LINK, "libx.so.1"), ("./copy", HARD, "./lib/libx.so.1.2"), ("/code/x/", DIR, b""),
        ("code/up", LINK, "../lib"), ("model.json", FILE, b"1"), ("model.json", FILE, b"{}"),
    ]  # fmt: skip
    for mode in ("w:gz", "w", "w:xz", "w:bz2"):
        folder = tmp_path / mode.replace(":", "")
        unpack_tar(tar(tmp_path / "a.tar", entries, mode), folder)
        assert (folder / "lib" / "libx.so").read_bytes() == b"library"
        assert (folder / "copy").read_bytes() == b"library"
        assert (folder / "code" / "up" / "libx.so").read_bytes() == b"library"
        assert (folder / "model.json").read_bytes() == b"{}"
        assert not outside(folder) or mode != "w:gz"


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, None])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tar(tmp_path / "a.tar", [("a", FILE, os.urandom(100_000))])
    path.write_bytes(path.read_bytes()[:50_000] if content is None else content)
    with pytest.raises(ArchiveError, match=r"not a tar archive|its content"):
        unpack_tar(path, tmp_path / "folder")


def test_a_bomb_is_refused_before_it_is_written(tmp_path):
    path = tar(tmp_path / "a.tar", [("zeros", FILE, bytes(30_000_000))])
    assert path.stat().st_size < 100_000
    with pytest.raises(ArchiveError, match="20000000 bytes that there is space for"):
        unpack_tar(path, tmp_path / "folder", most=20_000_000)
    assert not (tmp_path / "folder").exists()


def test_an_archive_that_says_it_has_more_than_the_disk_is_refused_at_once(tmp_path):
    info = tarfile.TarInfo("huge")
    info.size = 1 << 50
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(ArchiveError, match="space for"):
        unpack_tar(tmp_path / "a.tar", tmp_path / "folder")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    with pytest.raises(ArchiveError, match="more than 10 members"):
        unpack_tar(tar(tmp_path / "a.tar", ((f"{n}", FILE, b"") for n in range(11))), tmp_path / "folder")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path, kind):
    """Python reads such a header at once, whatever size it says."""
    with pytest.raises(ArchiveError, match="a header of"):
        unpack_tar(tar(tmp_path / "a.tar", [("header", kind, bytes(3_000_000)), ("a", FILE, b"")]), tmp_path / "folder")


def zipped(*entries: tuple[str, bytes, int]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            package.writestr(info, content, zipfile.ZIP_DEFLATED)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("a", b"../outside", stat.S_IFLNK | 0o777)], "link out"),
        ([("a", b"b", stat.S_IFLNK | 0o777), ("a/c", b"x", 0o644)], "is a link, and"),
        ([("a", b"x" * 2000, stat.S_IFLNK | 0o777)], "too long"),
        ([("a", b"x", stat.S_IFIFO)], "a pipe"),
        ([("a", b"x", 0), ("a/b", b"x", 0)], "is a file, and"),
        ([("n" * 300, b"x", 0)], "more than 255 bytes"),
        ([("d/" * 500 + "f", b"x", 0)], "deeper than"),
        ([("zeros", bytes(30_000_000), 0)], "space for"),
    ],
)
def test_a_hostile_zip_is_refused_and_nothing_is_written(tmp_path, entries, words):
    with pytest.raises(ArchiveError, match=words):
        unpack_zip(zipped(*entries), tmp_path / "folder", most=20_000_000)
    assert not (tmp_path / "folder").exists()


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    body = zipped(("a", bytes(1_000_000), 0)).getvalue()
    lying = body.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(ArchiveError):
        unpack_zip(io.BytesIO(lying), tmp_path / "folder")
    assert sum(each.stat().st_size for each in (tmp_path / "folder").rglob("*")) < 100


def test_a_deployment_package_is_there_whole_or_not_at_all(tmp_path):
    bad = zipped(("handler.py", b"x", 0o644), ("handler.py/b", b"x", 0))
    with pytest.raises(ArchiveError):
        unpack_function(bad.getvalue(), tmp_path / "code")
    assert list(tmp_path.iterdir()) == []
    good = zipped(("bin/run", b"x", 0o755), ("handler.py", b"x", 0o600), ("link.py", b"handler.py", stat.S_IFLNK))
    unpack_function(good.getvalue(), tmp_path / "code")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "code").rglob("*.*")}
    assert modes == {"handler.py": 0o644, "link.py": 0o644}
    assert os.access(tmp_path / "code" / "bin" / "run", os.X_OK)
