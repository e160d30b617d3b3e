"""The fastest number of OpenVINO's streams for a graph on the machine that serves it, by a trial of a second.

OpenVINO chooses the number from the processors that it sees. It does not see whether two of them are one core that this
graph fills already, or how much of their time a container gets. So an endpoint tries a few numbers when it starts.

A stream computes one image at a time with its threads. Their number changes no answer, except the order of additions.
The precision is not tried: docs/adr/0034 has the reasons and the figures.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from classifier.machine import autotune
from classifier.machine.autotune import ROUNDS, Candidate, Result, count
from classifier.network import graph
from classifier.network.runtime import ov

SECONDS = 2.0  # at most, in addition to the start with OpenVINO's own choice
MEASUREMENT = 0.08  # seconds
MARGIN = 0.1  # how much faster another number must be; the machine may do other work during the trial


@dataclass(frozen=True)
class Fitted:
    """The graph compiled in the fastest way, and a line for the log."""

    compiled: ov.CompiledModel
    why: str


def fitted(network: ov.Model) -> Fitted:
    """Compile the graph, whose input has a fixed shape of one image, for the largest number of images per second."""
    began = time.monotonic()
    first = Callers(graph.compile_for("THROUGHPUT", network))
    start_seconds = time.monotonic() - began
    own = own_way(first.compiled)
    callers = {own: first}

    def measure(way: Candidate, images: int) -> float:
        if way not in callers:
            callers[way] = Callers(graph.compile_for("THROUGHPUT", network, way.threads, way.workers))
        return callers[way].seconds(images)

    others = [way for way in ways(autotune.processors()) if way != own]
    tried = [own, *others[: affordable(start_seconds, first.seconds(1))]]
    if len(tried) == 1:
        reason = f"a trial of others would take over {SECONDS:g} s" if others else "nothing else to try"
        return Fitted(first.compiled, f"OpenVINO: {in_words(own)}; {reason}")
    began = time.monotonic()
    results = autotune.compare(tried, measure, MEASUREMENT, lambda: time.monotonic() - began < SECONDS)
    chosen = autotune.choose(results, MARGIN)
    return Fitted(callers[chosen.candidate].compiled, described(chosen, results, time.monotonic() - began))


class Callers:
    """Threads that ask a compiled graph as the endpoint does: one more than there are streams."""

    def __init__(self, compiled: ov.CompiledModel):
        self.compiled = compiled
        self._grey = np.full(list(compiled.input(0).shape), 128, np.uint8)
        self._requests = [compiled.create_infer_request() for _ in range(1 + own_way(compiled).workers)]
        for request in self._requests:  # the first time prepares memory; it must be in one thread (networks.py)
            request.infer({0: self._grey})

    def seconds(self, images: int) -> float:
        """The time of `images` grey images."""
        left = iter(range(images))  # next() of a range is atomic

        def call(request: ov.InferRequest) -> None:
            for _ in left:
                request.infer({0: self._grey})

        with ThreadPoolExecutor(len(self._requests)) as pool:
            began = time.monotonic()
            list(pool.map(call, self._requests))
            return time.monotonic() - began


def ways(processors: int) -> list[Candidate]:
    """The numbers to try: a stream for each processor, one for every second processor, and one stream on all. With two
    threads per core, the second is the number of cores. `workers` are the streams, `threads` those of all streams."""
    half = max(1, processors // 2)
    pairs = [(processors, processors), (half, half), (processors, 1)]
    return [Candidate("openvino", threads, streams) for threads, streams in dict.fromkeys(pairs)]


def own_way(compiled: ov.CompiledModel) -> Candidate:
    """OpenVINO's own choice."""
    threads, streams = (int(compiled.get_property(name)) for name in ("INFERENCE_NUM_THREADS", "NUM_STREAMS"))
    return Candidate("openvino", threads, streams)


def affordable(start_seconds: float, image_seconds: float) -> int:
    """How many more ways can be compiled and measured in SECONDS, if the first one started in `start_seconds` and
    takes `image_seconds` for an image. The compilation of a large network alone takes that long."""
    few = autotune.FEW * image_seconds  # autotune.compare finds the number of images with so many
    measured = few + ROUNDS * max(MEASUREMENT, few)
    return max(0, int((SECONDS - measured) / (start_seconds + measured)))


def described(chosen: Result, results: list[Result], trial: float) -> str:
    """`OpenVINO: 2 streams, 2 threads: 412 images/s; tried 1 stream, 2 threads: 380 images/s; trial of 0.9 s`"""
    others = [f"{in_words(each.candidate)}: {each.rate:.0f} images/s" for each in results if each is not chosen]
    rate = f"{chosen.rate:.0f} images/s ({1000 / chosen.rate:.1f} ms each)"
    return f"OpenVINO: {in_words(chosen.candidate)}: {rate}; tried {'; '.join(others)}; trial of {trial:.1f} s"


def in_words(way: Candidate) -> str:
    return f"{count(way.workers, 'stream')}, {count(way.threads, 'thread')}"
