"""Check the layout of an ImageFolder of labelled photographs, and read its files.

    root/{train,valid,test}/<class folder>/*.{jpg,jpeg,jpe,jfif,png,webp}

The checks need Pillow and NumPy only.
"""

import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import numpy as np
from PIL import Image

from classifier.contract import ApiError
from classifier.dataset.samples import Samples
from classifier.images.decoding import decode

SPLITS = ("train", "valid", "test")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp")

Pixels = TypeVar("Pixels", np.ndarray, Image.Image)
Result = TypeVar("Result")


class DatasetError(Exception):
    """The photographs are not usable for training. The message names the split, class or file."""


class ImageList(Protocol):
    """Images as (path, index of its class)."""

    @property
    def targets(self) -> np.ndarray:
        """The class of each image, int64 of shape [images]."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[Path, int]]: ...
    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True)
class Split:
    """The images of one split as (path, index of its class), sorted by class and name."""

    name: str
    samples: ImageList

    @property
    def targets(self) -> np.ndarray:
        """The class of each image, int64 of shape [images]."""
        return self.samples.targets

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class Dataset:
    """Three splits of the same classes: the folder names, sorted. `ignored` are the files that are not images."""

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    ignored: tuple[Path, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in words: `001.Basset_hound` -> `Basset hound`. If that is ambiguous, the folder names."""
        words = tuple(re.sub(r"^\d+\.", "", name).replace("_", " ").strip() for name in self.classes)
        return words if all(words) and len(set(words)) == len(words) else self.classes

    def hashes(self) -> np.ndarray:
        """SHA-256 of every image's bytes, split by split, in the order of the samples: uint8 [images, 32]."""
        made = np.empty((sum(map(len, self.splits.values())), 32), np.uint8)
        paths = (path for split in self.splits.values() for path, _ in split.samples)
        for row, path in enumerate(paths):
            made[row] = np.frombuffer(hashlib.sha256(path.read_bytes()).digest(), np.uint8)
        return made

    def fingerprint(self, hashes: np.ndarray | None = None) -> str:
        """SHA-256 over every image's split, class, name and bytes: equal for equal data in any folder.

        `hashes` are those of the dataset, if they are already computed.
        """
        total = hashlib.sha256()
        contents = iter(self.hashes() if hashes is None else hashes)
        for name, split in self.splits.items():
            for path, _ in split.samples:
                total.update(os.fsencode(f"{name}/{path.parent.name}/{path.name} {next(contents).tobytes().hex()}\n"))
        return total.hexdigest()

    def __str__(self) -> str:
        sizes = ", ".join(f"{len(split)} {name}" for name, split in self.splits.items())
        return f"{len(self.classes)} classes: {sizes} images"


def inspect_dataset(root: Path) -> Dataset:
    """Check and return the dataset in `root`, see `inspect_splits`. Raises DatasetError."""
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder. It must be a folder with {', '.join(SPLITS)}.")
    missing = [name for name in SPLITS if not (root / name).is_dir()]
    if missing:
        found = ", ".join(sorted(p.name for p in root.iterdir() if p.is_dir())) or "no folder"
        raise DatasetError(
            f"{root} lacks {', '.join(missing)} (it has {found}); "
            "arrange the photographs as {train,valid,test}/<class>/<image>."
        )
    return inspect_splits({name: root / name for name in SPLITS})


def inspect_splits(folders: Mapping[str, Path]) -> Dataset:
    """Check and return the dataset with the splits `folders` (each of SPLITS -> the folder of its class folders).

    Raises DatasetError if a folder is missing, a split or class has no image, there are fewer than two classes, or the
    classes differ between splits. Hidden files are skipped; other files that are not images are listed as ignored.
    `checks` examines the contents of the images.
    """
    found = {name: _scan_split(name, folders[name]) for name in SPLITS}
    classes = tuple(sorted(found["train"][0]))
    for name, (by_class, _) in found.items():
        _check_same_classes(name, set(by_class), set(classes))
    if len(classes) < 2:
        raise DatasetError(f"There is only one class, {classes[0]}; a classifier needs at least two.")
    splits = {}
    for name, (by_class, _) in found.items():
        splits[name] = Split(name, Samples((folders[name] / folder, by_class[folder]) for folder in classes))
    return Dataset(classes, splits, tuple(path for _, ignored in found.values() for path in ignored))


def _scan_split(name: str, folder: Path) -> tuple[dict[str, bytes], list[Path]]:
    """({class folder: the packed names of its images}, the files ignored) of one split."""
    if not folder.is_dir():
        raise DatasetError(f"The split {name} is missing: {folder} is not a folder.")
    by_class: dict[str, bytes] = {}
    ignored: list[Path] = []
    for entry in sorted(_visible(folder)):
        if not entry.is_dir():
            ignored.append(entry)
            continue
        with os.scandir(entry) as inside:
            files = sorted(file.name for file in inside if not file.name.startswith(".") and file.is_file())
        by_class[entry.name] = Samples.pack(file for file in files if file.lower().endswith(SUFFIXES))
        ignored += [entry / file for file in files if not file.lower().endswith(SUFFIXES)]
    if not any(by_class.values()):
        kinds = " ".join(SUFFIXES)
        raise DatasetError(f"The split {name} has no image ({kinds}) in a class folder of {folder}.")
    for class_name, images in by_class.items():
        if not images:
            raise DatasetError(f"The class {class_name} has no image in {name}: {folder / class_name}.")
    return by_class, ignored


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _check_same_classes(split: str, present: set[str], expected: set[str]) -> None:
    differences = [
        f"{word} {', '.join(sorted(names)[:5])}{' ...' if len(names) > 5 else ''}"
        for word, names in (("lacks", expected - present), ("has in addition", present - expected))
        if names
    ]
    if differences:
        raise DatasetError(f"The classes differ: {split}, compared with train, {' and '.join(differences)}.")


# ---- reading --------------------------------------------------------------------------------------------------


@overload
def read_image(path: Path, size: int) -> np.ndarray: ...
@overload
def read_image(path: Path, size: int, decoder: Callable[[bytes, int], Pixels]) -> Pixels: ...
def read_image(path: Path, size: int, decoder: Callable[[bytes, int], np.ndarray | Image.Image] = decode):
    """`decode` or `decode_whole` for a file of the dataset. Raises DatasetError, which names the file."""
    try:
        return decoder(path.read_bytes(), size)
    except ApiError as error:
        raise DatasetError(f"{path}: {error.message}") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from None


def read_ahead(read: Callable[[Path], Result], paths: Iterable[Path], workers: int | None = None) -> Iterator[Result]:
    """`read(path)` of each path, in order, by `workers` threads (None: one per processor).

    Each thread reads a few images ahead, so the memory does not grow with the number of images. Threads are enough,
    because Pillow releases the interpreter's lock while it decodes.
    """
    workers = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        for path in paths:
            pending.append(pool.submit(read, path))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
