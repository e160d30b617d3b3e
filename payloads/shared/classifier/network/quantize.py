"""The backbone's graph in int8: two to five times as fast on processors with VNNI, and measured before it is taken.

Quantised after training, by NNCF, which looks at what each layer makes of some training images. The features that
a head learns from are then those of the quantised graph: the head fits what will serve. `choose` decides on the
validation split whether int8 ships; ADR 7 has the reasons and the figures.
"""

import contextlib
import io
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from classifier.dataset.folders import Split, read_ahead, read_image
from classifier.learning.distributed import World
from classifier.learning.features import Features
from classifier.network import graph
from classifier.network.runtime import ov

INT8, FP32 = "int8", "fp32"
CALIBRATING = 80  # images, at most: 280 gave the same accuracy on dogs, in three times the time
FOLDS = 5  # of the validation split: heads learn from the others what they are compared on in one
COMPARING = 5000  # images of it, at most, that heads learn from: more would tell no more, and take memory
FIRST = 3  # convolutions that stay in fp32: on few channels of raw pixels, int8 loses the most and gains the least
MAX_LOSS = 0.005  # of validation accuracy
MIN_VALID = round(1 / MAX_LOSS)  # on fewer images, a single one is more than may be lost

# (validation accuracy, features of the validation split) with a graph; on processes other than the writer (None, None)
Judged = tuple[float | None, Features | None]


@dataclass(frozen=True)
class Decision:
    """Which graph serves, and why; `accuracy` on the validation split by precision, empty where none was compared."""

    precision: str
    reason: str
    accuracy: dict[str, float] = field(default_factory=dict)


def choose(
    network: ov.Model,
    train: Split,
    valid: Split,
    asked: str,
    judge: Callable[[ov.Model], Judged],
    needed: int,
    workers: int | None,
    world: World,
) -> tuple[ov.Model, Decision, Features | None]:
    """(the graph to ship, why, the validation split's features where it was judged by them).

    `asked` is "int8", "fp32" or "auto": int8 where `judge` finds it to lose no more than MAX_LOSS, for which `needed`
    validation images have to be there. All processes of `world` call this together, and quantise once: they go on with
    the same graph.
    """
    if asked == FP32:
        return network, Decision(FP32, "asked for"), None
    if asked == "auto" and len(valid) < needed:
        reason = f"a loss of {MAX_LOSS:.1%} cannot be seen on {len(valid)} validation images; it takes {needed}"
        return network, _announced(Decision(FP32, reason)), None
    quantized = _on_every_process(quantize(network, train, workers) if world.is_writer else None, world)
    if asked == INT8:
        return quantized, Decision(INT8, "asked for"), None
    (fp32, fp32_features), (int8, int8_features) = judge(network), judge(quantized)
    weighed = _weigh(fp32, int8) if fp32 is not None and int8 is not None else None  # None but on the writer
    decision = world.broadcast_as(Decision, weighed)
    _announced(decision)
    return (quantized, decision, int8_features) if decision.precision == INT8 else (network, decision, fp32_features)


def quantize(backbone: ov.Model, train: Split, workers: int | None = None) -> ov.Model:
    """The backbone's graph with int8 where that pays, calibrated on images of the training split."""
    print("quantising it to int8", flush=True)  # importing NNCF alone takes seconds
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # NNCF makes it look for a CUDA compiler
    import nncf

    began = time.monotonic()
    size = backbone.input(0).get_partial_shape()[1].get_length()
    paths = (path for path, _ in part(train, CALIBRATING).samples)
    images = [image[np.newaxis] for image in read_ahead(lambda path: read_image(path, size), paths, workers)]
    convolutions = [
        node.get_friendly_name()
        for node in backbone.get_ordered_ops()
        if node.get_type_name() in ("Convolution", "GroupConvolution")
    ]
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        quantized = nncf.quantize(
            backbone,
            nncf.Dataset(images),
            preset=nncf.QuantizationPreset.PERFORMANCE,  # symmetric: as accurate here as asymmetric, and simpler to run
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=convolutions[:FIRST]),
        )
    print(f"quantised to int8 on {len(images)} images in {time.monotonic() - began:.1f} s", flush=True)
    return quantized


def part(split: Split, images: int) -> Split:
    """At most `images` of the split, and more than half as many, evenly spread: every class has its share."""
    return replace(split, name=f"{split.name} in part", samples=split.samples[:: -(-len(split) // images)])


def _weigh(fp32: float, int8: float) -> Decision:
    within = fp32 - int8 <= MAX_LOSS + 1e-9
    reason = (
        f"int8 has {int8:.4f} of the validation images right, fp32 {fp32:.4f}: "
        f"{'within' if within else 'beyond'} the {MAX_LOSS:.1%} that may be lost"
    )
    return Decision(INT8 if within else FP32, reason, {FP32: fp32, INT8: int8})


def _announced(decision: Decision) -> Decision:
    print(f"precision {decision.precision}: {decision.reason}", flush=True)
    return decision


def _on_every_process(network: ov.Model | None, world: World) -> ov.Model:
    """The writer's graph: quantised in each process by itself, it might differ in its last digits."""
    if world.size == 1 and network is not None:
        return network
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if network is not None:
            graph.save(network, folder)
        files = (graph.XML, graph.BIN)
        mine = {file: torch.from_numpy(np.fromfile(folder / file, np.uint8)) for file in files} if network else None
        content = world.broadcast(mine)
        if network is not None:
            return network
        for file, tensor in content.items():
            tensor.numpy().tofile(folder / file)
        return graph.load(folder).clone()
