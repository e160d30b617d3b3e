"""The images of a split, as (path, index of its class), in little memory: some 40 bytes an image where a tuple of
paths takes 500, so that a million images are not what fills a machine. Needs NumPy."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np


class Samples(Sequence[tuple[Path, int]]):
    """`classes` is (folder, packed names of its files) for each class, in the order of their indices.

    An integer index gives one (path, index of its class); a slice gives Samples that share the memory of the whole.
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
        """File names as one block: a NUL after each, which no name can hold."""
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
