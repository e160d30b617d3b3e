"""One of the processes that share work in the bench. torchrun starts it.

    torchrun ... -m bench.shared_work <photos> features|fine_tuning <images> <threads>

The writer writes the total images per second of all processes to the file RESULT.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from classifier.learning import distributed
from classifier.learning.features import allocate, extract
from classifier.network import graph

from bench.training_candidates import _graph, _learner, _split


def main() -> None:
    photos, work, images, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    with distributed.joined() as world:
        if work == "features":
            split = _split(photos, "train", images)
            # Like `Machine`: a single process sets no threads and uses the whole machine.
            given = threads if world.size > 1 else None
            compiled = graph.compile_for("THROUGHPUT", _graph("efficientnet-lite0", photos, "fp32"), given)

            def once() -> int:
                own = extract(compiled, replace(split, samples=world.share(split.samples)), workers=threads)
                world.gather(own.values, len(split), allocate)
                return len(split)
        else:
            learner = _learner(photos, images, world)

            def once() -> int:
                learner.train_epoch(1)
                return len(learner.dataset.splits["train"])

        once()
        world.sum(0.0)  # all processes start together
        began = time.perf_counter()
        done = once()
        world.sum(0.0)
        if world.is_writer:
            Path(os.environ["RESULT"]).write_text(str(done / (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
