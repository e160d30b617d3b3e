"""Measure how far answers can be trusted: calibration, and pictures that are not one of the classes.

    python -m bench.trust DATA [--split test] [--write]

DATA is a folder {train,valid,test}/<class>. A part of the classes is trained, and the others are near unknown pictures;
`bench.unknown_pictures` has far ones. The head, the temperature and the distance are those of training. Features come
from one graph in int8, calibrated on the training split. `--split valid` shows what the choices in the code depend on.
The limits are those of the validation split. `--write` updates docs/TRUST.md,
and measures the cost of the distance and the heat map.
"""

import argparse
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "payloads" / "shared"))

# ruff: noqa: E402
from classifier.dataset.folders import inspect_splits
from classifier.learning import references
from classifier.learning.calibration import calibrated
from classifier.learning.features import Features, extract
from classifier.learning.head import Head, train_head
from classifier.network import graph, quantize
from classifier.network.model import load_backbone
from classifier.network.runtime import ov
from classifier.results import reliability
from classifier.settings import Settings

from bench import results
from bench.results import write_between_markers
from bench.trust_cost import cost
from bench.unknown_pictures import unknown

DOCUMENT = ROOT / "docs" / "TRUST.md"
TRAINED = (2, 5, 10, None)  # classes; None: all of them
SEEDS = 5  # choices of these classes
METHODS = ("distance", "top probability")

Row = dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.trust", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of {train,valid,test}/<class>")
    parser.add_argument("--split", default="test", choices=("valid", "test"), help="where it is measured (%(default)s)")
    parser.add_argument("--write", action="store_true", help="update docs/TRUST.md")
    arguments = parser.parse_args()
    network, splits, far = features(arguments.data)
    found = {count or "all": list(measure(splits, far, count, arguments.split)) for count in TRAINED}
    text = table(found)
    print(text)
    if arguments.write:
        write_between_markers(DOCUMENT, text)
        head, known = trained(splits)
        size = network.input(0).get_partial_shape()[1].get_length()
        results.save("trust", [cost(network, size, head.weight.numpy(), head.bias.numpy(), known)])
        results.update_documents()
    return 0


def features(data: Path) -> tuple[ov.Model, dict[str, Features], dict[str, np.ndarray]]:
    """The graph, the features of the splits, and those of the far unknown pictures."""
    dataset = inspect_splits({split: data / split for split in ("train", "valid", "test")})
    backbone = load_backbone()
    network = quantize.quantize(graph.convert(backbone), dataset.splits["train"])
    compiled = graph.compile_for("THROUGHPUT", network)
    far = {
        name: np.concatenate([compiled({0: image[np.newaxis]})[0] for image in images])
        for name, images in unknown(backbone.size).items()
    }
    return network, {name: extract(compiled, split) for name, split in dataset.splits.items()}, far


def trained(splits: dict[str, Features]) -> tuple[Head, references.References | None]:
    classes = int(splits["train"].targets.max()) + 1
    head, _ = train_head(splits["train"], splits["valid"], classes, Settings(), announce=lambda line: None)
    return head, references.learn(splits["train"], splits["valid"])


def measure(splits: dict[str, Features], far: dict[str, np.ndarray], count: int | None, split: str) -> Iterator[Row]:
    """The figures of each choice of `count` classes. None: all classes, so there are no near unknown pictures."""
    classes = int(splits["train"].targets.max()) + 1
    for seed in range(1 if count is None else SEEDS):
        kept = np.random.default_rng(seed).permutation(classes)[: count or classes]
        parts = {name: _of(each, kept) for name, each in splits.items()}
        head, _ = train_head(parts["train"], parts["valid"], len(kept), Settings(), announce=lambda line: None)
        better, temperature = calibrated(head, parts["valid"])
        known = references.learn(parts["train"], parts["valid"])
        assert known is not None
        measured, rest = parts[split], splits[split].values[~np.isin(splits[split].targets, kept)]
        row = {"accuracy": better.evaluate(measured).accuracy, "temperature": temperature}
        row |= {"ECE before": _error(head, measured), "ECE": _error(better, measured)}
        scores = {"distance": known.distance, "top probability": functools.partial(_doubt, better)}
        for method, score in scores.items():
            limit = np.quantile(score(parts["valid"].values), references.ACCEPTED)
            limit = 1.0 if method == "distance" else limit
            own = score(measured.values)
            row[f"{method}: known"] = float((own <= limit).mean())
            for name, values in {"near": rest, **far}.items():
                if len(values):
                    row[f"{method}: {name}"] = float((score(values) <= limit).mean())
                    row[f"{method}: {name} AUROC"] = _auroc(own, score(values))
        yield row


def _of(features: Features, kept: np.ndarray) -> Features:
    place = np.full(int(features.targets.max()) + 1, -1)
    place[kept] = np.arange(len(kept))
    chosen = place[features.targets] >= 0
    return Features(np.ascontiguousarray(features.values[chosen]), place[features.targets[chosen]])


def _error(head: Head, features: Features) -> float:
    score = head.evaluate(features)
    right = score.predicted.numpy() == features.targets
    return reliability.calibration_error(reliability.bins(score.confidence.numpy(), right))


def _doubt(head: Head, values: np.ndarray) -> np.ndarray:
    return 1 - head.logits(Features(np.ascontiguousarray(values), np.zeros(len(values)))).softmax(1).amax(1).numpy()


def _auroc(known: np.ndarray, others: np.ndarray) -> float:
    """The probability that a picture of the second kind has a larger score than one of the first."""
    place = np.concatenate([known, others]).argsort().argsort()[len(known) :]
    return float((place.sum() - len(others) * (len(others) - 1) / 2) / (len(known) * len(others)))


def table(found: dict[object, list[Row]]) -> str:
    """The means over the choices of classes, in Markdown."""
    lines = ["| classes | accuracy | temperature | ECE before | ECE |", "|---|---|---|---|---|"]
    for count, rows in found.items():
        mean = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
        cells = [f"{mean[key]:.3f}" for key in ("accuracy", "temperature", "ECE before", "ECE")]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    kinds = [key.removeprefix("distance: ") for key in found[TRAINED[0] or "all"][0] if key.startswith("distance: ")]
    kinds = [kind for kind in kinds if not kind.endswith("AUROC") and kind != "known"]
    lines += ["", f"| classes | by | known accepted | {' | '.join(f'{kind}: accepted, AUROC' for kind in kinds)} |"]
    lines.append("|---" * (3 + len(kinds)) + "|")
    for count, rows in found.items():
        mean = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
        for method in METHODS:
            cells = [
                f"{mean[f'{method}: {kind}']:.1%}, {mean[f'{method}: {kind} AUROC']:.3f}"
                if f"{method}: {kind}" in mean
                else ""
                for kind in kinds
            ]
            lines.append(f"| {count} | {method} | {mean[f'{method}: known']:.1%} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
