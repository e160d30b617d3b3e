"""The trial of streams when an endpoint starts: what is tried, what is chosen, and that it is bounded."""

import numpy as np
import pytest
from classifier.machine import autotune, streams
from classifier.machine.autotune import Candidate
from classifier.network import graph
from classifier.network.runtime import ops, ov

IMAGES = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def network():
    image = ops.parameter([1, 32, 32, 3], np.uint8)
    means = ops.reduce_mean(ops.convert(image, "f32"), np.array([1, 2], np.int64), False)
    weight = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    return ov.Model([ops.result(ops.matmul(means, weight, False, False))], [image], "made")


def with_rates(monkeypatch, rates: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
    """Let each (streams, threads) have these images per second; OpenVINO's own has 100. Returns what is measured."""
    asked = []

    def seconds(callers: streams.Callers, images: int) -> float:
        way = streams.own_way(callers.compiled)
        asked.append((way.workers, way.threads))
        return images / rates.get(asked[-1], 100.0)

    monkeypatch.setattr(streams.Callers, "seconds", seconds)
    monkeypatch.setattr(streams, "SECONDS", 3600.0)
    return asked


def test_every_number_is_a_way_to_run_the_graph_with_the_same_answers(network):
    expected = graph.compile_for("LATENCY", network)(IMAGES)[0]
    for way in streams.ways(2):
        compiled = graph.compile_for("THROUGHPUT", network, way.threads, way.workers)
        assert streams.own_way(compiled) == way
        np.testing.assert_allclose(compiled(IMAGES)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("processors", "expected"),
    [(1, [(1, 1)]), (2, [(2, 2), (1, 1), (2, 1)]), (8, [(8, 8), (4, 4), (8, 1)])],
)
def test_the_numbers_follow_from_the_processors(processors, expected):
    assert [(way.threads, way.workers) for way in streams.ways(processors)] == expected


def test_a_faster_number_is_chosen_and_the_log_has_the_figures(network, monkeypatch):
    monkeypatch.setattr(streams, "ways", lambda processors: [Candidate("openvino", 1, 1)])
    own = streams.own_way(graph.compile_for("THROUGHPUT", network, 2, 2))
    whole = graph.compile_for
    monkeypatch.setattr(graph, "compile_for", lambda hint, model, *numbers: whole(hint, model, *(numbers or (2, 2))))
    with_rates(monkeypatch, {(own.workers, own.threads): 100.0, (1, 1): 125.0})
    found = streams.fitted(network)
    assert streams.own_way(found.compiled) == Candidate("openvino", 1, 1)
    assert found.why.startswith("OpenVINO: 1 stream, 1 thread: 125 images/s (8.0 ms each); tried 2 streams, 2 threads")


def test_within_the_noise_openvino_decides(network, monkeypatch):
    own = streams.own_way(graph.compile_for("THROUGHPUT", network))
    asked = with_rates(
        monkeypatch, {way: 109.0 for way in [(1, 1), (1, 2), (2, 2)] if way != (own.workers, own.threads)}
    )
    assert streams.own_way(streams.fitted(network).compiled) == own
    assert len(set(asked)) > 1 or autotune.processors() == 1


@pytest.mark.parametrize(("start", "image", "more"), [(0.2, 0.003, 3), (0.4, 0.005, 2), (0.9, 0.01, 1), (4, 0.01, 0)])
def test_a_slow_network_is_tried_in_fewer_ways_or_not_at_all(start, image, more):
    assert streams.affordable(start, image) == more


def test_without_time_for_a_trial_the_log_says_so(network, monkeypatch):
    monkeypatch.setattr(streams, "affordable", lambda start, image: 0)
    found = streams.fitted(network)
    assert found.why.endswith("a trial of others would take over 2 s")
    assert found.compiled(IMAGES)[0].shape == (1, 8)


def test_on_one_processor_there_is_nothing_to_try(network, monkeypatch):
    monkeypatch.setattr(streams, "ways", lambda processors: [streams.own_way(graph.compile_for("THROUGHPUT", network))])
    monkeypatch.setattr(autotune, "compare", None)
    assert streams.fitted(network).why.endswith("; nothing else to try")


def test_threads_share_the_images(network):
    callers = streams.Callers(graph.compile_for("THROUGHPUT", network, 2, 2))
    done = []
    callers._requests = [type("Request", (), {"infer": lambda self, given: done.append(1)})() for _ in range(3)]
    callers.seconds(10)
    assert len(done) == 10
