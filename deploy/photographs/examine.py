"""Read every photograph once, in parallel: its hash, its thumbnail, or the reason why it cannot be decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy import console
from deploy.console import Failure
from deploy.photographs.found import Photo, printable

NAMED = 100  # broken files in a message


@dataclass(frozen=True)
class Examined:
    """The photographs that can be decoded, with uint8 [photographs, 32] and [photographs, side, side, 3]."""

    photos: list[Photo]
    hashes: np.ndarray
    thumbnails: np.ndarray


def examine(photos: Sequence[Photo], *, skip_broken: bool = False) -> Examined:
    """Raises Failure, which names all broken files, unless `skip_broken` leaves them out with a warning."""
    from classifier.contract import ApiError
    from classifier.dataset.checks import thumbnail
    from classifier.dataset.folders import read_ahead

    def read(path: Path) -> tuple[bytes, np.ndarray] | str:
        try:
            content = path.read_bytes()
            return hashlib.sha256(content).digest(), thumbnail(content)
        except ApiError as error:
            return error.message
        except OSError as error:
            return f"It cannot be read: {error.strerror}."

    with console.progress() as bar:
        results = read_ahead(read, (photo.path for photo in photos))
        read_all = list(bar.track(results, total=len(photos), description="reading"))
    broken = [
        f"{printable(str(photo.path))}: {result}"
        for photo, result in zip(photos, read_all, strict=True)
        if isinstance(result, str)
    ]
    if broken:
        _report(broken, len(photos), skip_broken)
    kept = [(photo, result) for photo, result in zip(photos, read_all, strict=True) if not isinstance(result, str)]
    return Examined(
        [photo for photo, _ in kept],
        np.stack([np.frombuffer(digest, np.uint8) for _, (digest, _) in kept]),
        np.stack([small for _, (_, small) in kept]),
    )


def _report(broken: list[str], total: int, skip_broken: bool) -> None:
    rest = [f"and {len(broken) - NAMED:,} more"] if len(broken) > NAMED else []
    count = f"{len(broken):,} of {total:,} files cannot be used"
    lines = "\n  ".join([f"{count}:", *broken[:NAMED], *rest])
    if not skip_broken:
        raise Failure(f"{lines}\nNothing was uploaded. Repair or remove them, or go on without them: SKIP_BROKEN=1.")
    if len(broken) == total:
        raise Failure(f"{lines}\nNothing was uploaded, because no file is left.")
    console.warn(lines)
