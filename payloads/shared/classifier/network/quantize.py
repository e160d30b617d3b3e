"""Quantise the backbone's graph to int8: two to five times as fast on processors with VNNI, with a check of the
accuracy.

NNCF quantises the trained graph with statistics of each layer on some training images. A head then learns from the
features of the quantised graph, so it fits the served graph. `choose` decides with the validation split whether to use
int8. ADR 7 has the reasons and the figures.
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
CALIBRATING = 80  # images, at most; 280 gave the same accuracy on dogs and took three times as long
FOLDS = 5  # of the validation split: heads train on all folds but one and are compared on that one
COMPARING = 5000  # images, at most, for these heads; more give no better answer and take memory
FIRST = 3  # convolutions that stay in fp32: on few channels, int8 loses the most accuracy and gains the least speed
MAX_LOSS = 0.005  # the limit for validation accuracy
MIN_VALID = round(1 / MAX_LOSS)  # with fewer images, one image is more than the limit

# (validation accuracy, features of the validation split) with a graph; on processes other than the writer (None, None)
Judged = tuple[float | None, Features | None]


@dataclass(frozen=True)
class Decision:
    """The graph to serve, and the reason. `accuracy` is that on the validation split by precision, if compared."""

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
    """(the graph to serve, the decision, the features of the validation split if it was used).

    `asked` is "int8", "fp32" or "auto". "auto" uses int8 if `judge` finds a loss of at most MAX_LOSS, which needs
    `needed` validation images. All processes of `world` call this together. Only one quantises, and all continue with
    the same graph.
    """
    if asked == FP32:
        return network, Decision(FP32, "asked for"), None
    if asked == "auto" and len(valid) < needed:
        reason = f"a loss of {MAX_LOSS:.1%} cannot be measured on {len(valid)} validation images; it takes {needed}"
        return network, _announced(Decision(FP32, reason)), None
    quantized = _on_every_process(quantize(network, train, workers) if world.is_writer else None, world)
    if asked == INT8:
        return quantized, Decision(INT8, "asked for"), None
    (fp32, fp32_features), (int8, int8_features) = judge(network), judge(quantized)
    weighed = _weigh(fp32, int8) if fp32 is not None and int8 is not None else None  # None except on the writer
    decision = world.broadcast_as(Decision, weighed)
    _announced(decision)
    return (quantized, decision, int8_features) if decision.precision == INT8 else (network, decision, fp32_features)


def quantize(backbone: ov.Model, train: Split, workers: int | None = None) -> ov.Model:
    """The backbone's graph with int8 in the layers where it is useful, calibrated on images of the training split."""
    print("quantising it to int8", flush=True)  # importing NNCF alone takes seconds
    logging.getLogger("torch.utils.cpp_extension").setLevel(
        logging.ERROR
    )  # NNCF makes torch search for a CUDA compiler
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
            preset=nncf.QuantizationPreset.PERFORMANCE,  # symmetric: as accurate here as asymmetric, and simpler
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=convolutions[:FIRST]),
        )
    print(f"quantised to int8 on {len(images)} images in {time.monotonic() - began:.1f} s", flush=True)
    return quantized


def part(split: Split, images: int) -> Split:
    """At most `images` images of the split and more than half of that, evenly spread over the classes."""
    return replace(split, name=f"{split.name} in part", samples=split.samples[:: -(-len(split) // images)])


def _weigh(fp32: float, int8: float) -> Decision:
    within = fp32 - int8 <= MAX_LOSS + 1e-9
    reason = (
        f"the validation accuracy is {int8:.4f} with int8 and {fp32:.4f} with fp32: "
        f"{'within' if within else 'beyond'} the limit of {MAX_LOSS:.1%}"
    )
    return Decision(INT8 if within else FP32, reason, {FP32: fp32, INT8: int8})


def _announced(decision: Decision) -> Decision:
    print(f"precision {decision.precision}: {decision.reason}", flush=True)
    return decision


def _on_every_process(network: ov.Model | None, world: World) -> ov.Model:
    """The writer's graph on every process. Graphs quantised separately might differ in their last digits."""
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
