"""Find problems in readable photographs: duplicates, and classes with too few images.

The worst problem is a photograph in the training split and in another one. The model is then tested on photographs that
it was trained on, and the accuracy is too high. `make data` stops in this case. Training computes the hashes anyway; it
prints a warning, and the report repeats it. Needs Pillow and NumPy only.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from classifier.dataset.folders import Dataset
from classifier.images.decoding import decode

# With fewer images in train, a model hardly learns the class. In the other splits, one image changes its score a lot.
FEWEST = {"train": 5, "valid": 3, "test": 3}
NAMED = 5  # named examples per finding

SIDE = 8  # pixels of the thumbnails that are compared
# The largest mean difference of two thumbnails' values, of 255, at which they are the same photograph. Of 800
# photographs of dogs, encoded again or scaled by half, none was above 0.65. Two different photographs were never below
# 18, and two handwritten digits never below 3.5.
SAME = 1.5
BANDS = 4  # of 16 bits; copies differ in at most 4 of 64 bits, so nearly all have a band in common
NEIGHBOURS = 50  # compared in a band; if more look the same, each is still compared with the next


@dataclass(frozen=True)
class Finding:
    """A problem: a sentence with the number of cases, and some of them by name."""

    title: str
    examples: tuple[str, ...]
    stops: bool = False  # stops the upload

    def __str__(self) -> str:
        return "\n  ".join((self.title, *self.examples))


@dataclass(frozen=True)
class Photograph:
    """The place of a photograph in the dataset."""

    split: str
    class_name: str
    name: str

    def __str__(self) -> str:
        return f"{self.split}/{self.class_name}/{self.name}"


Group = tuple[Photograph, ...]


def find(dataset: Dataset, hashes: np.ndarray) -> list[Finding]:
    """The findings from the dataset's `hashes` and its numbers of images. Those that stop an upload are first."""
    groups = _groups(dataset, equal(hashes))
    within = [group for group in groups if len(_splits(group)) == 1]
    return [
        *_across_splits(dataset, groups, "byte for byte", stops=True),
        *_finding([group for group in within if _classes(group) > 1], "in more than one class, byte for byte"),
        *_finding([group for group in within if _classes(group) == 1], "more than once in the same class and split"),
        *_small_classes(dataset),
    ]


def find_lookalikes(dataset: Dataset, hashes: np.ndarray, thumbnails: Iterable[np.ndarray]) -> list[Finding]:
    """Photographs in several splits that look the same although their bytes differ: encoded again, or scaled.

    `thumbnails` has that of each image, in the order of the samples. These may be two different photographs of one
    object, so they do not stop an upload.
    """
    firsts = np.sort(np.unique(_whole(hashes), return_index=True)[1])  # the hashes find copies with equal bytes
    same = alike(np.stack(list(thumbnails))[firsts])
    groups = _groups(dataset, [firsts[rows] for rows in same])
    return _across_splits(dataset, groups, "with the same look: encoded again, or scaled")


def thumbnail(content: bytes) -> np.ndarray:
    """An image decoded, as uint8 [SIDE, SIDE, 3]. It takes about 1 ms. Raises ApiError."""
    small = Image.fromarray(decode(content, 4 * SIDE))
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BOX))


# ---- findings -------------------------------------------------------------------------------------------------


def _across_splits(dataset: Dataset, groups: list[Group], how: str, *, stops: bool = False) -> list[Finding]:
    across = [group for group in groups if len(_splits(group)) > 1]
    trained_on = [
        f"{count} of the {len(dataset.splits[split])} {split} images {'is' if count == 1 else 'are'} in train too"
        for split in ("valid", "test")
        if (count := sum(photo.split == split for group in across if "train" in _splits(group) for photo in group))
    ]
    return _finding(across, "; ".join([f"in more than one split, {how}", *trained_on]), stops=stops)


def _finding(groups: list[Group], where: str, *, stops: bool = False) -> list[Finding]:
    if not groups:
        return []
    count = f"{len(groups):,} photographs are" if len(groups) > 1 else "1 photograph is"
    return [Finding(f"{count} {where}", _some([" = ".join(map(str, group)) for group in groups]), stops)]


def _small_classes(dataset: Dataset) -> list[Finding]:
    counts = {
        name: np.bincount(split.targets, minlength=len(dataset.classes)) for name, split in dataset.splits.items()
    }
    few = []
    for number, class_name in enumerate(dataset.classes):
        short = [f"{counts[name][number]} in {name}" for name in counts if counts[name][number] < FEWEST[name]]
        if short:
            few.append(f"{class_name}: {', '.join(short)}")
    if not few:
        return []
    wanted = ", ".join(f"{count} in {name}" for name, count in FEWEST.items())
    title = f"{len(few):,} classes have" if len(few) > 1 else "1 class has"
    return [Finding(f"{title} very few images: fewer than {wanted}", _some(few))]


def _some(examples: list[str]) -> tuple[str, ...]:
    rest = len(examples) - NAMED
    return (*map(_printable, examples[:NAMED]), *([f"and {rest:,} more"] if rest > 0 else []))


def _printable(text: str) -> str:
    """A name for a line of a log. A file name may contain line ends or bytes that are not text."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


# ---- groups of copies -----------------------------------------------------------------------------------------


def _groups(dataset: Dataset, rows_of_groups: Iterable[Iterable[int]]) -> list[Group]:
    """Photographs by number. The numbers continue from split to split."""
    return [tuple(_photograph(dataset, row) for row in rows) for rows in rows_of_groups]


def _photograph(dataset: Dataset, row: int) -> Photograph:
    for split in dataset.splits.values():
        if row < len(split):
            path, _ = split.samples[row]
            return Photograph(split.name, path.parent.name, path.name)
        row -= len(split)
    raise IndexError(row)


def _splits(group: Group) -> set[str]:
    return {photograph.split for photograph in group}


def _classes(group: Group) -> int:
    return len({photograph.class_name for photograph in group})


def _whole(hashes: np.ndarray) -> np.ndarray:
    """uint8 [images, 32] as one sortable value per image."""
    return np.ascontiguousarray(hashes).view(f"V{hashes.shape[1]}").ravel()


def equal(hashes: np.ndarray) -> list[np.ndarray]:
    """Groups of images with equal bytes, as numbers in order."""
    values = _whole(hashes)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    bounds = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
    several = np.flatnonzero(np.diff(bounds) > 1)
    return sorted((order[bounds[each] : bounds[each + 1]] for each in several), key=lambda rows: rows[0])


def alike(thumbnails: np.ndarray) -> list[list[int]]:
    """Groups of rows whose thumbnails differ by at most SAME. `thumbnails` is uint8 [images, SIDE, SIDE, 3].

    Comparing every pair would take too long for a million images. Each image has a difference hash: 64 bits that tell
    if a pixel is brighter than the one before. Images with a quarter of it in common are sorted by brightness, in which
    copies differ by at most SAME, and compared with the next ones.
    """
    values = thumbnails.reshape(len(thumbnails), -1).astype(np.int16)
    brightness = values.mean(axis=1)
    parent = list(range(len(values)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for band in _difference_bands(thumbnails):
        order = np.lexsort((brightness, band))
        for distance in range(1, NEIGHBOURS + 1):
            left, right = order[:-distance], order[distance:]
            near = (band[left] == band[right]) & (brightness[right] - brightness[left] <= SAME)
            if not near.any():
                break
            left, right = left[near], right[near]
            same = np.abs(values[left] - values[right]).mean(axis=1) <= SAME
            for one, other in zip(left[same].tolist(), right[same].tolist(), strict=True):
                parent[root(one)] = root(other)
    groups: dict[int, list[int]] = {}
    for row in range(len(values)):
        groups.setdefault(root(row), []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def _difference_bands(thumbnails: np.ndarray) -> list[np.ndarray]:
    """The difference hash of each image as BANDS numbers: uint16 [images] each."""
    grey = thumbnails.astype(np.int16).sum(axis=3)
    brighter = np.roll(grey, -1, axis=2) > grey  # compares the last column with the first
    packed = np.packbits(brighter.reshape(len(grey), -1), axis=1).view(np.uint16)
    return [packed[:, band] for band in range(BANDS)]
