"""The measurements of `bench.processors`. Each function prepares and returns one, see `BenchmarkCandidate`."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bench.harness import ROOT

ARCH, SIZE = "efficientnet-lite0", 224
CALLS = 64  # at once


def eager(seconds: float) -> Callable[[], float]:
    """Images per second of PyTorch without a graph, one image at a time on all processors."""
    import torch
    from classifier.network.model import load_backbone

    backbone, image = load_backbone(ARCH), torch.from_numpy(_image())

    def call(_: int) -> None:
        with torch.inference_mode():
            backbone(image)

    return _rate(lambda: list(map(call, range(4))), 4, seconds)


def alone(photos: str, precision: str, seconds: float) -> Callable[[], float]:
    """Images per second of the graph. bf16 is the float32 graph, computed in bf16."""
    from classifier.network.runtime import ov

    from bench.training_candidates import _graph

    network = _graph(ARCH, photos, "int8" if precision == "int8" else "fp32")
    network.reshape([1, SIZE, SIZE, 3])
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
    compiled, image = ov.Core().compile_model(network, "CPU", settings), _image()
    queue = ov.AsyncInferQueue(compiled)

    def calls() -> None:
        for _ in range(CALLS):
            queue.start_async({0: image})
        queue.wait_all()

    return _rate(calls, CALLS, seconds)


def served(model: str, trial: bool, seconds: float) -> Callable[[], dict]:
    """Images per second of the artifact's graph in the endpoint's way, and the endpoint's number of threads."""
    network, image = _network(model, trial), _image()
    pool = ThreadPoolExecutor(network.threads)
    rate = _rate(lambda: list(pool.map(lambda _: network(image), range(CALLS))), CALLS, seconds)
    return lambda: {"value": rate(), "streams": network.threads - 1}


def loading(model: str, trial: bool) -> Callable[[], float]:
    """Seconds until the artifact's graph has computed an image. The first time, which loads the libraries, is not
    measured."""

    def measure() -> float:
        began = time.perf_counter()
        _network(model, trial)
        return time.perf_counter() - began

    measure()
    return measure


def _network(model: str, trial: bool):
    from classifier.artifact import read_card

    sys.path.append(str(ROOT / "payloads" / "inference"))
    from networks import network_for

    return network_for(Path(model), read_card(Path(model)), trial=trial)


def _image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)


def _rate(calls: Callable[[], object], images: int, seconds: float) -> Callable[[], float]:
    def measure() -> float:
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            calls()
            done += images
        return done / (time.perf_counter() - began)

    measure()
    return measure
