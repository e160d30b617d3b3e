"""The cost of the distance: the served graph with and without this output. Heat maps have a graph of their own."""

import tempfile
from pathlib import Path

from bench.harness import BenchmarkCandidate, Comparison, compare

SECONDS, ROUNDS = 2.0, 7


def cost(network, size: int, weight, bias, known) -> Comparison:
    """Images per second of the backbone's graph `network` with its head, in the endpoint's way to run it."""
    from classifier.network import graph
    from classifier.network.runtime import ops, ov

    whole = graph.add_head(network, weight, bias, known)
    bare = whole.clone()
    only = ops.result(bare.get_results()[0].input_value(0))
    bare = ov.Model([only], bare.get_parameters(), "bare")
    with tempfile.TemporaryDirectory() as folder:
        candidates = []
        for name, made in (("probabilities only", bare), ("with distance", whole)):
            place = Path(folder, name)
            place.mkdir()
            graph.save(made, place)
            (place / "model.json").write_text(_card(size, len(bias)))
            arguments = {"model": str(place), "seconds": SECONDS}
            candidates.append(BenchmarkCandidate(name, "bench.serving_candidates:bare", arguments))
        return compare(
            "Distance to the training photographs, EfficientNet-Lite0 in int8",
            candidates,
            unit="images/s",
            repeats=ROUNDS,
            target=0.95,
            note="The graph without decoding and HTTP, of 20 dog breeds with 1,680 training photographs.",
        )


def _card(size: int, classes: int) -> str:
    from classifier.artifact import ModelCard

    names = tuple(map(str, range(classes)))
    mean = (0.0,) * 3
    card = ModelCard("bench", "bench", names, names, size, mean, mean, "int8", "", {}, None, "", {}, {})
    return card.to_json()
