"""Measure the candidates of a preset on a part of the photographs, and choose one.

Each candidate's graph computes the features of a part of the training and validation splits. The accuracy is that of a
regularised head on the validation part; the test split has no influence. The latency is that of the float32 graph for
one image, because quantising each candidate would take longer than the trial. int8 makes each about as much faster.
"""

import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from classifier.dataset.folders import Dataset, Split
from classifier.learning.distributed import World
from classifier.learning.features import extract
from classifier.learning.regularised import fit_head
from classifier.machine.plan import Machine
from classifier.network import graph
from classifier.network.model import load_backbone
from classifier.network.quantize import part
from classifier.network.runtime import ov
from classifier.presets.choice import CANDIDATES, PresetTrial, records, table
from classifier.settings import Settings

MEMO = "preset.json"
IMAGES = 500  # of each split, at most
WARM, TIMED = 3, 30  # images for the latency


def resolved(
    settings: Settings,
    dataset: Dataset,
    weights: Path | None,
    machine: Machine,
    world: World,
    memo: Path | None,
    data_sha256: str,
) -> tuple[Settings, list[dict]]:
    """`settings` with the network and resolution of the preset, and the table of the trial. Without a preset, as given.

    The writer measures; all processes of `world` call this together and get its choice. A resumed run finds the choice
    in the folder `memo`, because another one would not fit its checkpoint. Raises ModelError.
    """
    if settings.preset is None:
        return settings, []
    rows = _recall(memo, settings.preset, data_sha256) if world.is_writer else []
    if world.is_writer and not rows:
        print(f"preset {settings.preset}: trying {len(CANDIDATES)} networks on a part of the photographs", flush=True)
        began = time.monotonic()
        measured = [_measure(*each, dataset, weights, machine, settings.seed) for each in CANDIDATES]
        rows = records(measured, settings.preset)
        print(f"{table(rows)}\nthe trial took {time.monotonic() - began:.0f} s", flush=True)
        _remember(memo, settings.preset, data_sha256, rows)
    rows = world.broadcast(rows)
    chosen = next(row for row in rows if row["chosen"])
    print(f"preset {settings.preset}: {chosen['architecture']} at {chosen['resolution']} pixels", flush=True)
    return replace(settings, architecture=chosen["architecture"], resolution=chosen["resolution"]), rows


def _measure(
    architecture: str, resolution: int, dataset: Dataset, weights: Path | None, machine: Machine, seed: int
) -> PresetTrial:
    network = graph.convert(load_backbone(architecture, weights, resolution))
    train, valid = (
        extract(network, _part(dataset.splits[name]), threads=machine.threads, workers=machine.workers)
        for name in ("train", "valid")
    )
    head, _ = fit_head(train, train, len(dataset.classes))
    accuracy = head.evaluate(valid).accuracy
    return PresetTrial(architecture, resolution, accuracy, len(valid.targets), _latency(network, machine, seed))


def _part(split: Split) -> Split:
    return part(split, IMAGES) if len(split) > IMAGES else split


def _latency(network: ov.Model, machine: Machine, seed: int) -> float:
    """The median milliseconds for one image, which arrives alone."""
    compiled = graph.compile_for("LATENCY", network, machine.threads)
    side = network.input(0).get_partial_shape()[1].get_length()
    image = np.random.default_rng(seed).integers(0, 256, (1, side, side, 3), np.uint8)
    seconds = []
    for _ in range(WARM + TIMED):
        began = time.perf_counter()
        compiled([image])
        seconds.append(time.perf_counter() - began)
    return round(1000 * statistics.median(seconds[WARM:]), 3)


def _remember(memo: Path | None, preset: str, data_sha256: str, rows: list[dict]) -> None:
    if memo:
        memo.mkdir(parents=True, exist_ok=True)
        about = {"preset": preset, "data_sha256": data_sha256}
        (memo / MEMO).write_text(json.dumps({"about": about, "records": rows}, indent=2) + "\n")


def _recall(memo: Path | None, preset: str, data_sha256: str) -> list[dict]:
    try:
        kept = json.loads((memo / MEMO).read_text()) if memo else {}
        return kept["records"] if kept.get("about") == {"preset": preset, "data_sha256": data_sha256} else []
    except (OSError, ValueError, KeyError):
        return []
