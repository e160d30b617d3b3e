"""Find the photographs in a folder, in any of the usual layouts.

    {train,valid,test}/<class>/…     also val, validation, dev, training, testing
    <class>/…                        divided later
    wrapping/…                       a folder that has nothing but one of these
    metadata.csv or metadata.jsonl   the list of a Hugging Face image folder, or one in each split

Below a class, folders are searched too, as torchvision's ImageFolder does.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.console import Failure
from deploy.photographs import found as reasons
from deploy.photographs.found import Collection, Photo, label_of, printable

if TYPE_CHECKING:
    from deploy.photographs.sources import Scratch

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
OTHER_FORMATS = frozenset(
    {".heic", ".heif", ".avif", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".jp2", ".j2k", ".jxl", ".ico", ".ppm", ".pgm"}
    | {".psd", ".svg", ".tga", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"}
)
LISTS = ("metadata.csv", "metadata.jsonl")


def find(root: Path, scratch: Scratch) -> Collection:
    """The photographs in `root`. Raises Failure if it is not one of the layouts."""
    from deploy.photographs import lists

    found = Collection()
    root = _unwrapped(root, found)
    for name in LISTS:
        if (root / name).is_file():
            return lists.read(root / name, scratch)
    folders = _folders(root)
    splits = _splits(root, folders)
    for entry in sorted(root.iterdir()):
        if entry.name not in folders:
            _leave_out(entry, root, found)
    for folder in folders.values():
        if not splits:
            _read_class(folder, None, root, found)
        elif folder.name.lower() in SPLIT_NAMES:
            _read_split(folder, SPLIT_NAMES[folder.name.lower()], root, found, scratch)
        else:
            _leave_out_all(folder, root, found)
    if not found.photos:
        raise Failure(_nothing(root, found))
    return found


def is_image_name(name: str) -> bool:
    from classifier.dataset.folders import SUFFIXES

    return name.lower().endswith(SUFFIXES)


def _unwrapped(root: Path, found: Collection) -> Path:
    """The folder itself, or the one folder in it that has photographs, if that has the classes or splits.

    What is left out with the wrapping folder is counted.
    """
    top = root
    while not any((root / name).is_file() for name in LISTS) and not _has_images(root):
        inside = [folder for folder in _folders(root).values() if _has_any_image(folder)]
        if len(inside) != 1 or _has_images(inside[0]):  # several classes, or one with images of its own
            break
        has_list = any((inside[0] / name).is_file() for name in LISTS)
        if not has_list and not _folders(inside[0]):
            break
        for entry in sorted(root.iterdir()):
            if entry.is_dir() and entry != inside[0]:
                for path in _files(entry, top, found, set()):
                    _leave_out(path, top, found)
            elif entry != inside[0]:
                _leave_out(entry, top, found)
        root = inside[0]
    return root


def _has_any_image(folder: Path) -> bool:
    return any(is_image_name(name) for _, _, names in os.walk(folder, followlinks=False) for name in names)


def _folders(root: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and not _is_hidden(path.name)}


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _has_images(folder: Path) -> bool:
    return any(is_image_name(path.name) for path in folder.iterdir() if not _is_hidden(path.name))


def _splits(root: Path, folders: dict[str, Path]) -> set[str]:
    """The splits that the folders name. One name alone, as in {car,plane,train}, is a class."""
    named: dict[str, list[str]] = {}
    for name in folders:
        if name.lower() in SPLIT_NAMES:
            named.setdefault(SPLIT_NAMES[name.lower()], []).append(name)
    double = [names for names in named.values() if len(names) > 1]
    if double:
        raise Failure(f"{root} has two folders of one split: {' and '.join(double[0])}. Join them.")
    if "train" not in named or (len(named) == 1 and len(folders) > 1):
        return set()
    return set(named)


def _read_split(folder: Path, split: str, root: Path, found: Collection, scratch: Scratch) -> None:
    from deploy.photographs import lists

    for name in LISTS:
        if (folder / name).is_file():  # a Hugging Face image folder has one in each split
            listed = lists.read(folder / name, scratch)
            found.photos += [replace(photo, split=split) for photo in listed.photos]
            found.unused |= listed.unused
            return
    seen: dict[str, str] = {}
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir() or _is_hidden(entry.name):
            _leave_out(entry, root, found)
            continue
        label = _read_class(entry, split, root, found)
        other = seen.setdefault(label, entry.name)
        if other != entry.name:
            found.notes.append(f"{split}/{label} has two folders whose names differ in their Unicode form: one class")


def _read_class(folder: Path, split: str | None, root: Path, found: Collection) -> str:
    label = label_of(folder.name, str(folder.parent))
    before = len(found.photos)
    for path in _files(folder, root, found, set()):
        if is_image_name(path.name) and path.is_file():
            found.photos.append(Photo(path, label, split, path.relative_to(folder).as_posix()))
        else:
            _leave_out(path, root, found, inside=True)
    if len(found.photos) == before:
        found.notes.append(f"The class {printable(_shown(folder, root))} has no image that can be used")
    return label


def _files(folder: Path, root: Path, found: Collection, above: set[str]) -> list[Path]:
    """Every file below a folder, also through links to folders, but not through a link to a folder above."""
    real = os.path.realpath(folder)
    if real in above:
        return []
    files = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not _is_hidden(entry.name):
            files += _files(entry, root, found, above | {real})
        else:
            files.append(entry)
    return files


def _leave_out_all(folder: Path, root: Path, found: Collection) -> None:
    for path in _files(folder, root, found, set()):
        found.leave_out(reasons.NO_SPLIT, _shown(path, root))


def _leave_out(path: Path, root: Path, found: Collection, *, inside: bool = False) -> None:
    name = _shown(path, root)
    if _is_hidden(path.name):
        found.leave_out(reasons.HIDDEN, name)
    elif path.is_symlink() and not path.exists():
        found.leave_out(reasons.DANGLING, name)
    elif path.suffix.lower() in OTHER_FORMATS:
        found.leave_out(reasons.FORMAT, name)
    elif is_image_name(path.name) and not inside:
        found.leave_out(reasons.OUTSIDE, name)
    else:
        found.leave_out(reasons.OTHER, name)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _nothing(root: Path, found: Collection) -> str:
    from classifier.dataset.folders import SUFFIXES

    arrowed = next((path for kind in ("*.parquet", "*.arrow") for path in root.rglob(kind)), None)
    if arrowed is not None:
        return (
            f"{arrowed} has its images inside a table. Write them to files first, for example with "
            "datasets.load_dataset(…) and image.save(f'photos/{label}/{number}.jpg'). Nothing was uploaded."
        )
    there = "\n  ".join(found.report()) or "it is empty"
    return (
        f"{root} has no image ({' '.join(SUFFIXES)}) in a class folder: {there}\nArrange the photographs as "
        "<class>/<image>, {train,valid,test}/<class>/<image>, or in a CSV of paths and labels. Nothing was uploaded."
    )
