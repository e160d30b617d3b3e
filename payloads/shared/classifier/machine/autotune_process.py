"""Measure the candidates of autotuning in one process per runtime, because the thread pools of two runtimes in one
process compete for the processors. Each process gets its requests over a pipe, and is idle during the others' turns."""

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from classifier.dataset.folders import Dataset, Split, read_ahead, read_image
from classifier.machine.autotune import AutotuneError, Candidate
from classifier.settings import Settings

PATIENCE = 120  # seconds for one answer; a process that takes longer is stuck
SAMPLE = 256  # images of the training split, from all its classes
BATCH = 16  # for fine-tuning; larger batches have the same rate


class Images(list):
    """(path, index of its class) of some images, like those of a split."""

    @property
    def targets(self) -> np.ndarray:
        return np.array([target for _, target in self], dtype=np.int64)


def sample(split: Split) -> Images:
    """Select images evenly from the split, so from all of its classes."""
    step = max(1, len(split) // SAMPLE)
    return Images(islice(iter(split.samples[::step]), SAMPLE))


def repeated(images: Images, number: int) -> Split:
    return Split("autotune", Images(islice(cycle(images), number)))


class Graphs:
    """The feature pass with OpenVINO. `folders` has one graph per precision."""

    def __init__(self, folders: dict[str, Path], images: Images):
        from classifier.network import graph

        self.images = images
        self.graphs = {precision: graph.load(folder) for precision, folder in folders.items()}
        self.compiled = {}

    def seconds(self, way: Candidate, number: int) -> float:
        from classifier.learning.features import extract
        from classifier.network import graph

        key = way.precision, way.threads
        if key not in self.compiled:
            self.compiled[key] = graph.compile_for("THROUGHPUT", self.graphs[way.precision], way.threads)
        began = time.monotonic()
        extract(self.compiled[key], repeated(self.images, number), workers=way.workers)
        return time.monotonic() - began


class Eager:
    """The feature pass with PyTorch, in eager mode."""

    def __init__(self, architecture: str, weights: Path, images: Images, resolution: int | None = None):
        from classifier.network.model import load_backbone

        self.images = images
        self.backbone = load_backbone(architecture, weights, resolution)

    def seconds(self, way: Candidate, number: int) -> float:
        import torch

        torch.set_num_threads(way.threads)
        self.backbone.to(memory_format=getattr(torch, memory_format(way)))
        paths = (path for path, _ in repeated(self.images, number).samples)
        began = time.monotonic()
        images = read_ahead(lambda path: read_image(path, self.backbone.size), paths, way.workers)
        with torch.inference_mode():
            while batch := list(islice(images, BATCH)):
                self.backbone(torch.from_numpy(np.stack(batch)))
        return time.monotonic() - began


class FineTuning:
    """The steps of fine-tuning, as in the run: decoding, augmentation, forward, backward, update."""

    def __init__(self, architecture: str, weights: Path, images: Images, settings: Settings):
        from classifier.network.model import load_backbone

        self.images = images
        self.settings = replace(settings, batch_size=BATCH)
        self.load = lambda: load_backbone(architecture, weights, settings.resolution)
        self.learners = {}

    def seconds(self, way: Candidate, number: int) -> float:
        import torch

        torch.set_num_threads(way.threads)
        if way.memory_format not in self.learners:
            self.learners[way.memory_format] = self._learner(way)
        learner = self.learners[way.memory_format]
        learner.workers, learner.precision = way.workers, way.precision
        learner.dataset = replace(learner.dataset, splits={"train": repeated(self.images, number)})
        began = time.monotonic()
        learner.train_epoch(1)
        return time.monotonic() - began

    def _learner(self, way: Candidate):
        import torch

        from classifier.learning.distributed import ALONE
        from classifier.learning.fine_tuning import NetworkLearner
        from classifier.learning.head import Head

        backbone = self.load()
        classes = int(self.images.targets.max()) + 1
        head = Head(torch.zeros(classes, backbone.width), torch.zeros(classes))
        nothing = Dataset(tuple(map(str, range(classes))), {}, ())
        return NetworkLearner(
            backbone, head, nothing, self.settings, None, ALONE, memory_format=way.memory_format or "contiguous"
        )


def memory_format(way: Candidate) -> str:
    """PyTorch's own name for it."""
    return "channels_last" if way.memory_format == "channels_last" else "contiguous_format"


# ---- the process ----------------------------------------------------------------------------------------------


class Bench:
    """A process that makes a `kind` from `arguments` and measures with it. Close it, or use it in a `with`."""

    def __init__(self, kind: type, *arguments):
        spawn = multiprocessing.get_context("spawn")  # a fork would inherit threads that hold locks
        self._pipe, other = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(other, kind, arguments), daemon=True)
        self._process.start()
        other.close()

    def seconds(self, way: Candidate, images: int) -> float:
        """The seconds that the candidate takes for this number of images. Raises AutotuneError."""
        try:
            self._pipe.send((way, images))
            if not self._pipe.poll(PATIENCE):
                raise AutotuneError(f"no answer in {PATIENCE} s")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise AutotuneError(f"its process ended with status {self._process.exitcode}") from None
        if isinstance(answer, str):
            raise AutotuneError(answer)
        return answer

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, kind: type, arguments: tuple) -> None:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.suppress(EOFError):
        try:
            bench = kind(*arguments)
        except Exception as error:
            bench, reason = None, _words(error)
        for way, images in _requests(pipe):
            try:
                pipe.send(bench.seconds(way, images) if bench else reason)
            except Exception as error:  # a candidate that cannot be measured does not end the run
                pipe.send(_words(error))
    sys.exit(0)


def _requests(pipe: Connection) -> Iterator[tuple[Candidate, int]]:
    while True:
        yield pipe.recv()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
