"""Features of a frozen backbone: computed once an image, since nothing in them changes from epoch to epoch."""

from dataclasses import dataclass

import numpy as np

from classifier import graph
from classifier.data import Split, read_ahead, read_image
from classifier.progress import progress
from classifier.runtime import ov


@dataclass(frozen=True)
class Features:
    """`values` float32 [images, width] and `targets` int64 [images] of one split."""

    values: np.ndarray
    targets: np.ndarray


def extract(
    backbone: ov.Model | ov.CompiledModel, split: Split, *, threads: int | None = None, workers: int | None = None
) -> Features:
    """Run every image of the split through the backbone's graph.

    `workers` threads decode while `threads` threads compute; None means as many as there are processors. A graph that
    is compiled already keeps its own threads. Raises DatasetError for an image that cannot be decoded. Prints
    `features train 512/1680` every few seconds.
    """
    if isinstance(backbone, ov.Model):
        backbone = graph.compile_for("THROUGHPUT", backbone, threads)
    size = backbone.input(0).get_partial_shape()[1].get_length()
    width = backbone.output(0).get_partial_shape()[1].get_length()
    values = np.empty((len(split), width), dtype=np.float32)

    def keep(request: ov.InferRequest, row: int) -> None:
        values[row] = request.get_output_tensor().data[0]

    requests = ov.AsyncInferQueue(backbone)
    requests.set_callback(keep)
    paths = [path for path, _ in split.samples]
    images = read_ahead(lambda path: read_image(path, size), paths, workers)
    try:
        for row, image in enumerate(progress(images, len(split), f"features {split.name}")):
            requests.start_async({0: image[np.newaxis]}, row)
    finally:
        requests.wait_all()  # also on the way out with an error: destroyed while it works, the queue waits for ever
    return Features(values, split.targets)
