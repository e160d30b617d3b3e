"""What is wrong with photographs that can be read: copies of one another, and classes with too few of them.

A photograph that is in the training split and in another one is the worst of it: the model is then examined on what
it has learnt by heart, and the accuracy is better than it deserves. `make data` stops there; training, which has the
hashes anyway, warns, and the report says so. Needs Pillow and NumPy only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from classifier.dataset.folders import Dataset, read_ahead, read_image

# With fewer a class is hardly learnt; and in the other splits a single photograph decides about it.
FEWEST = {"train": 5, "valid": 3, "test": 3}
NAMED = 5  # examples of each finding

SIDE = 8  # pixels of the thumbnails that are compared
# Mean difference of two thumbnails' values, of 255, up to which they are one photograph. Of 800 photographs of dogs,
# encoded again or scaled by half, none was above 0.65; two that are not copies of one another were never below 18,
# and two handwritten digits never below 3.5.
SAME = 1.5
BANDS = 4  # of 16 bits: copies differ in 4 of 64 bits at most, so that hardly any has none in common
NEIGHBOURS = 50  # compared in a band; where more look the same, each is still compared with the next


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: how many of it, in a sentence, and some of them by name."""

    title: str
    examples: tuple[str, ...]
    stops: bool = False  # nobody should train on it unknowingly

    def __str__(self) -> str:
        return "\n  ".join((self.title, *self.examples))


@dataclass(frozen=True)
class Photograph:
    """Where one lies in the dataset."""

    split: str
    class_name: str
    name: str

    def __str__(self) -> str:
        return f"{self.split}/{self.class_name}/{self.name}"


Group = tuple[Photograph, ...]


def find(dataset: Dataset, hashes: np.ndarray) -> list[Finding]:
    """What `hashes`, the dataset's own, and its numbers of images show. What stops comes first."""
    groups = _groups(dataset, _equal(hashes))
    within = [group for group in groups if len(_splits(group)) == 1]
    return [
        *_across_splits(dataset, groups, "byte for byte", stops=True),
        *_finding([group for group in within if _classes(group) > 1], "in more than one class, byte for byte"),
        *_finding([group for group in within if _classes(group) == 1], "more than once in the same class and split"),
        *_small_classes(dataset),
    ]


def find_lookalikes(dataset: Dataset, hashes: np.ndarray, thumbnails: Iterable[np.ndarray]) -> list[Finding]:
    """Photographs of several splits that look the same though their bytes differ: encoded again, or scaled.

    `thumbnails` are what the function of that name gives. They may be two photographs of one thing after all, so
    nothing stops here.
    """
    firsts = np.sort(np.unique(_whole(hashes), return_index=True)[1])  # copies of equal bytes are found by these
    same = _alike(np.stack(list(thumbnails))[firsts])
    groups = _groups(dataset, [firsts[rows] for rows in same])
    return _across_splits(dataset, groups, "by the look of them: encoded again, or scaled")


def thumbnails(dataset: Dataset) -> Iterator[np.ndarray]:
    """Every image decoded, as uint8 [SIDE, SIDE, 3], split by split. Takes about 1 ms an image.

    Raises DatasetError, which names the file, for one that cannot be decoded.
    """

    def thumbnail(path: Path) -> np.ndarray:
        small = Image.fromarray(read_image(path, 4 * SIDE))
        return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BOX))

    return read_ahead(thumbnail, (path for split in dataset.splits.values() for path, _ in split.samples))


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
    """Fit for a line of a log: files may be called what is no text, or ends the line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


# ---- groups of copies -----------------------------------------------------------------------------------------


def _groups(dataset: Dataset, rows_of_groups: Iterable[Iterable[int]]) -> list[Group]:
    """Photographs in the place of their numbers, which count on from split to split."""
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
    """uint8 [images, 32] as one value each, which can be sorted."""
    return np.ascontiguousarray(hashes).view(f"V{hashes.shape[1]}").ravel()


def _equal(hashes: np.ndarray) -> list[np.ndarray]:
    """The numbers of the images of equal bytes, where there are several, in order."""
    values = _whole(hashes)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    bounds = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
    several = np.flatnonzero(np.diff(bounds) > 1)
    return sorted((order[bounds[each] : bounds[each + 1]] for each in several), key=lambda rows: rows[0])


def _alike(thumbnails: np.ndarray) -> list[list[int]]:
    """The rows whose thumbnails are the same but for SAME, in groups; `thumbnails` uint8 [images, SIDE, SIDE, 3].

    Not every pair is compared, which a million images would not allow. Each image has a difference hash (64 bits:
    where it gets brighter from pixel to pixel). Those with a quarter of it in common are ordered by their brightness,
    in which copies cannot differ by more than SAME, and compared with the next.
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
    """The difference hash of each image in BANDS numbers: uint16 [images] each."""
    grey = thumbnails.astype(np.int16).sum(axis=3)
    brighter = np.roll(grey, -1, axis=2) > grey  # the last column is held against the first
    packed = np.packbits(brighter.reshape(len(grey), -1), axis=1).view(np.uint16)
    return [packed[:, band] for band in range(BANDS)]
