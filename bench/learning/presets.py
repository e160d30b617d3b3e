"""The trial of the presets, and the test accuracy of each preset's choice: a head on all photographs, in float32."""

from classifier.dataset.folders import Dataset
from classifier.learning.features import extract
from classifier.learning.head import train_head
from classifier.machine.plan import Machine
from classifier.network import graph
from classifier.network.model import load_backbone
from classifier.presets import choice, trial
from classifier.results.evaluation import interval
from classifier.settings import PRESETS, Settings


def measure(dataset: Dataset) -> dict:
    """The table of the trial, and for each preset its choice with the test accuracy and its 95 % interval. The test
    split chooses nothing."""
    tried = [trial._measure(*each, dataset, None, Machine(), 0) for each in choice.CANDIDATES]
    chosen = {preset: choice.choose(tried, preset) for preset in PRESETS}
    tested = {each: _test(dataset, each.architecture, each.resolution) for each in set(chosen.values())}
    table = choice.records(tried, "balanced")
    return {"trial": table, "presets": {preset: tested[each] for preset, each in chosen.items()}}


def _test(dataset: Dataset, architecture: str, resolution: int) -> dict:
    network = graph.convert(load_backbone(architecture, None, resolution))
    train, valid, test = (extract(network, dataset.splits[name]) for name in ("train", "valid", "test"))
    head, _ = train_head(train, valid, len(dataset.classes), Settings(), announce=lambda line: None)
    accuracy = head.evaluate(test).accuracy
    low, high = interval(accuracy, len(test.targets))
    return {"network": architecture, "resolution": resolution, "test": accuracy, "low": low, "high": high}
