"""Measure the memory of one feature pass over generated images.

    python -m bench.memory <images> [--mapped]

It prints the peak of its anonymous memory in bytes. The images are generated instead of read and decoded. The network
is small but has 1,280 features. Without --mapped, paths and features are in lists and arrays.
"""

import argparse
import contextlib
import threading
from pathlib import Path

import numpy as np
import torch
from classifier.dataset.folders import Split
from classifier.dataset.samples import Samples
from classifier.learning import features
from classifier.network import graph
from classifier.network.model import Backbone

SIZE, WIDTH = 16, 1280


class InMemory(list):
    """(path, class) of each image, like a list."""

    @property
    def targets(self) -> np.ndarray:
        return np.array([target for _, target in self], dtype=np.int64)


@contextlib.contextmanager
def peak_memory():
    """Yield a function that returns the peak of this process's anonymous memory since then, in bytes."""
    most, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            status = Path("/proc/self/status").read_text()
            most[0] = max(most[0], 1024 * int(status.partition("RssAnon:")[2].split()[0]))
            stop.wait(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        stop.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=int)
    parser.add_argument("--mapped", action="store_true")
    given = parser.parse_args()
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    features.read_image = lambda *_: pixels
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(1), torch.nn.Linear(3, WIDTH))
    backbone = Backbone("small", network, SIZE, [127.0] * 3, [128.0] * 3).eval()
    compiled = graph.compile_for("THROUGHPUT", graph.convert(backbone), 1)
    samples = Samples([(Path("/photographs/class"), Samples.pack(f"{n:08}.jpg" for n in range(given.images)))])
    with peak_memory() as peak:
        if not given.mapped:
            samples = InMemory(samples)
            features.allocate = lambda images, width: np.empty((images, width), np.float32)
        features.extract(compiled, Split("made", samples), workers=1)
    print(peak())


if __name__ == "__main__":
    main()
