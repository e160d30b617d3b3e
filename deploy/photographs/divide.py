"""Divide photographs into splits: reproducibly, each class in the same shares, and copies and bursts together.

The order depends on the seed and the bytes of the photographs alone, so the same photographs in another folder, with
other names, are divided in the same way.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from deploy.console import Failure
from deploy.photographs.found import Photo, printable

SHARES = "70/15/15"
SEED = 1
# The largest mean difference of thumbnails, of 255, of two shots one after the other. Two shots of handwritten digits
# are never below 3.5, photographs of different dogs never below 18 (classifier.dataset.checks).
BURST = 3.0


def shares_of(text: str) -> dict[str, int]:
    """`70/15/15` as the shares of train, valid and test. Raises Failure."""
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})/(\d{1,3})", text.strip())
    shares = [int(each) for each in match.groups()] if match else []
    if not shares or min(shares) < 1 or sum(shares) != 100:
        raise Failure(f"SPLIT is {text!r}: it must be three whole numbers from 1 whose sum is 100, such as {SHARES}.")
    return dict(zip(("train", "valid", "test"), shares, strict=True))


def divide(
    photos: Sequence[Photo], hashes: np.ndarray, thumbnails: np.ndarray, shares: Mapping[str, int], seed: int
) -> list[Photo]:
    """The photographs, each with its split. `hashes` and `thumbnails` are those of classifier.dataset.checks.

    Raises Failure if a class has fewer different photographs than there are splits.
    """
    keys = [hashlib.sha256(f"{seed} ".encode() + row.tobytes()).digest() for row in hashes]
    by_class: dict[str, list[list[int]]] = {}
    for rows in _together(photos, hashes, thumbnails):
        by_class.setdefault(photos[rows[0]].label, []).append(rows)
    chosen: dict[int, str] = {}
    for label, groups in by_class.items():
        if len(groups) < len(shares):
            raise Failure(
                f"The class {printable(label)} has {len(groups)} different photographs, too few for "
                f"{', '.join(shares)}. Add photographs, or leave the class out. Nothing was uploaded."
            )
        groups.sort(key=lambda rows: (-len(rows), min(keys[row] for row in rows)))
        chosen |= _shared_out(groups, shares)
    return [replace(photo, split=chosen[row]) for row, photo in enumerate(photos)]


def _shared_out(groups: list[list[int]], shares: Mapping[str, int]) -> dict[int, str]:
    """Row -> split. Each group goes to the split that lacks the largest part of its share."""
    have = dict.fromkeys(shares, 0)
    total, chosen = sum(map(len, groups)), {}
    for left, rows in zip(range(len(groups), 0, -1), groups, strict=True):
        empty = [name for name in shares if not have[name]]
        names = empty if len(empty) >= left else list(shares)
        split = max(names, key=lambda name: 1 - have[name] / (total * shares[name] / sum(shares.values())))
        have[split] += len(rows)
        chosen |= dict.fromkeys(rows, split)
    return chosen


def _together(photos: Sequence[Photo], hashes: np.ndarray, thumbnails: np.ndarray) -> list[list[int]]:
    """Groups of rows that must not be in two splits: equal bytes, the same look, or one burst."""
    from classifier.dataset.checks import alike, equal

    parent = list(range(len(photos)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for rows in [*(group.tolist() for group in equal(hashes)), *alike(thumbnails), *_bursts(photos, thumbnails)]:
        for row in rows[1:]:
            parent[root(row)] = root(rows[0])
    groups: dict[int, list[int]] = {}
    for row in range(len(photos)):
        groups.setdefault(root(row), []).append(row)
    return list(groups.values())


def _bursts(photos: Sequence[Photo], thumbnails: np.ndarray) -> list[list[int]]:
    """Pairs of shots of one class that follow each other by their names and look nearly the same."""
    order = sorted(range(len(photos)), key=lambda row: (photos[row].label, _natural(photos[row].name)))
    values = thumbnails.reshape(len(photos), -1).astype(np.int16)
    return [
        [one, other]
        for one, other in itertools.pairwise(order)
        if photos[one].label == photos[other].label and np.abs(values[one] - values[other]).mean() <= BURST
    ]


def _natural(name: str) -> list:
    """IMG_9 before IMG_10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
