"""python -m bench.learning few-shot|wrong-labels|presets DATA: print a table as JSON."""

import argparse
import json
from pathlib import Path

import numpy as np
from classifier.dataset.folders import inspect_dataset
from classifier.learning.features import Features, extract
from classifier.network import graph
from classifier.network.model import load_backbone

from bench.learning import few_shot, presets, wrong_labels


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.learning", description=__doc__)
    parser.add_argument("what", choices=("few-shot", "wrong-labels", "presets"))
    parser.add_argument("data", type=Path, help="a folder {train,valid,test}/<class>/<image>")
    parser.add_argument("--cache", type=Path, help="an .npz file that keeps the features between runs")
    given = parser.parse_args()
    dataset = inspect_dataset(given.data)
    if given.what == "presets":
        print(json.dumps(presets.measure(dataset), indent=2))
        return
    features = _features(given.cache, dataset)
    classes = len(dataset.classes)
    if given.what == "few-shot":
        found: object = few_shot.measure(features, classes)
    else:
        found = wrong_labels.measure(features["train"], classes)
    print(json.dumps(found, indent=2))


def _features(cache: Path | None, dataset) -> dict[str, Features]:
    if cache and cache.is_file():
        kept = np.load(cache)
        return {name: Features(kept[name], dataset.splits[name].targets) for name in dataset.splits}
    network = graph.convert(load_backbone())
    features = {name: extract(network, split) for name, split in dataset.splits.items()}
    if cache:
        np.savez(cache, **{name: each.values for name, each in features.items()})
    return features


if __name__ == "__main__":
    main()
