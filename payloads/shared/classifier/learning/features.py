"""Features of a frozen backbone: computed once per image, because they are the same in every epoch.

They are in a memory-mapped file without a name. So the system can write parts of it to disk if it needs memory, and
nothing remains after the run. The file is in the folder for temporary files, TMPDIR.
"""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from classifier.dataset.folders import Split, read_ahead, read_image
from classifier.examination.oddness import look
from classifier.images.decoding import decode
from classifier.network import graph
from classifier.network.runtime import ov
from classifier.progress import progress


class DiskSpaceError(Exception):
    """The disk is too small for the features. The message has the sizes and the way out."""


ZEROS = bytes(1024 * 1024)


@dataclass(frozen=True)
class Features:
    """`values` float32 [images, width] and `targets` int64 [images] of one split."""

    values: np.ndarray
    targets: np.ndarray


def allocate(images: int, width: int) -> np.ndarray:
    """float32 [images, width] in a file without a name, which is deleted with the array. Raises DiskSpaceError."""
    size = max(images, 1) * width * np.dtype(np.float32).itemsize  # an empty file cannot be mapped
    folder = tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # Allocate everything now. If the disk becomes full later, a write to a mapped file is a SIGBUS.
            _reserve(file, size)
        except OSError as error:
            disk = os.statvfs(folder)
            free = disk.f_bavail * disk.f_frsize
            raise DiskSpaceError(
                f"The features of {images:,} images need {size / 1e9:,.2f} GB in {folder}, where {free / 1e9:,.2f} GB "
                f"are free ({error.strerror}): set TMPDIR to a folder on a larger disk, or use an instance with one."
            ) from None
        return np.asarray(np.memmap(file, np.float32, "r+", shape=(max(images, 1), width)))[:images]


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the space on the disk. Raises OSError if there is none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, len(ZEROS)):  # macOS
        file.write(ZEROS[: size - start])
    file.flush()


def extract(
    backbone: ov.Model | ov.CompiledModel,
    split: Split,
    *,
    threads: int | None = None,
    workers: int | None = None,
    decoder: Callable[[bytes, int], np.ndarray] = decode,
    looks: np.ndarray | None = None,
) -> Features:
    """Run every image of the split through the backbone's graph.

    `looks` [images, oddness.WIDTH] receives the look of each image, if given.

    `workers` threads decode while `threads` threads compute. None means one per processor. A compiled graph keeps its
    own threads. Raises DatasetError if an image cannot be decoded, and DiskSpaceError before the first image if the
    disk is too small. Prints `features train 512/1680` every few seconds.
    """
    if isinstance(backbone, ov.Model):
        backbone = graph.compile_for("THROUGHPUT", backbone, threads)
    size = backbone.input(0).get_partial_shape()[1].get_length()
    width = backbone.output(0).get_partial_shape()[1].get_length()
    values = allocate(len(split), width)

    # Wait for the requests in turn, without callbacks. Callbacks of a queue need the interpreter's lock and deadlock if
    # the thread that holds it releases the graph. There are twice as many requests as can run at once, so there is
    # always a next one.
    count = 2 * backbone.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    free = [backbone.create_infer_request() for _ in range(count)]
    working: deque[tuple[ov.InferRequest, int]] = deque()

    def finish_oldest() -> None:
        request, row = working.popleft()
        request.wait()
        values[row] = request.get_output_tensor().data[0]
        free.append(request)

    def read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
        image = read_image(path, size, decoder)
        return image, None if looks is None else look(image)

    images = read_ahead(read, (path for path, _ in split.samples), workers)
    try:
        for row, (image, seen) in enumerate(progress(images, len(split), f"features {split.name}")):
            if looks is not None:
                looks[row] = seen
            if not free:
                finish_oldest()
            request = free.pop()
            request.start_async({0: image[np.newaxis]})
            working.append((request, row))
    finally:
        while working:
            finish_oldest()
    return Features(values, split.targets)


def folds(features: Features, count: int, most: int) -> Iterator[tuple[Features, Features]]:
    """Yields (rest, fold) `count` times. A fold has every `count`-th image, so sorted classes are spread evenly.

    If there are more than `most` images, an even selection is used. Both are copies in memory.
    """
    step = -(-len(features.targets) // most)
    values, targets = features.values[::step], features.targets[::step]
    turns = np.arange(len(targets)) % count
    for turn in range(count):
        rest, fold = turns != turn, turns == turn
        yield Features(values[rest], targets[rest]), Features(values[fold], targets[fold])


def stacked(parts: Sequence[Features]) -> Features:
    """Concatenate features into a new file. Raises DiskSpaceError."""
    if len(parts) == 1:
        return parts[0]
    values = allocate(sum(len(part.values) for part in parts), parts[0].values.shape[1])
    np.concatenate([part.values for part in parts], out=values)
    return Features(values, np.concatenate([part.targets for part in parts]))
