"""One feature pass over generated images, for its memory.

    python bench/memory.py <images> [--mapped]

Prints the peak of its anonymous memory in bytes. The images are made up where they would be read and decoded, and the
network is small but has 1,280 features. Without --mapped, paths and features are kept as lists and arrays.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from classifier.dataset.folders import Split
from classifier.dataset.samples import Samples
from classifier.learning import features
from classifier.network import graph
from classifier.network.model import Backbone

from bench.training_candidates import peak_memory

SIZE, WIDTH = 16, 1280


class InMemory(list):
    """(path, class) for each image, as a list has them."""

    @property
    def targets(self) -> np.ndarray:
        return np.array([target for _, target in self], dtype=np.int64)


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
