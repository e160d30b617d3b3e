"""The images of a split as (path, index of its class), in little memory: about 40 bytes per image instead of 500 in a
tuple of paths. So a million images fit in memory. Needs NumPy."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np


class Samples(Sequence[tuple[Path, int]]):
    """`classes` has (folder, packed names of its files) for each class, in the order of the class indices.

    An integer index gives one (path, index of its class); a slice gives Samples that share the memory.
    """

    def __init__(self, classes: Iterable[tuple[Path, bytes]]):
        folders, packed = zip(*classes, strict=True)
        self._folders: tuple[Path, ...] = folders
        self._names = b"".join(packed)
        counts = [names.count(b"\0") for names in packed]
        self._ends = np.flatnonzero(np.frombuffer(self._names, np.uint8) == 0)
        self._targets = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        self._rows = range(len(self._ends))

    @staticmethod
    def pack(names: Iterable[str]) -> bytes:
        """File names as one block, each followed by a NUL, which a name cannot contain."""
        return b"".join(os.fsencode(name) + b"\0" for name in names)

    @property
    def targets(self) -> np.ndarray:
        """The class of each image, int64 of shape [images]."""
        return self._targets[self._rows.start : self._rows.stop : self._rows.step]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):
        if isinstance(index, slice):
            part = object.__new__(Samples)
            part.__dict__.update(self.__dict__, _rows=self._rows[index])
            return part
        row = self._rows[index]
        start = self._ends[row - 1] + 1 if row else 0
        name = os.fsdecode(self._names[start : self._ends[row]])
        target = int(self._targets[row])
        return self._folders[target] / name, target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Samples) and list(self) == list(other)

    __hash__ = None
