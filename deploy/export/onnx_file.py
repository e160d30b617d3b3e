"""Write a model as ONNX, and compare its answers with those of the graph that the endpoint runs.

The file has the same input and output as the endpoint's graph: `image` uint8 [N, size, size, 3] (RGB, the shorter side
scaled to `size`, the centre cropped) -> `probabilities` float32 [N, classes]. Normalisation and softmax are inside. Its
weights are the float32 weights of the archive, also if the endpoint's graph is int8.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from classifier.artifact import ModelCard
from classifier.network import graph

OPSET = 17  # LayerNormalization is one operation from 17 on; ONNX Runtime reads it from 1.12 on


@dataclass(frozen=True)
class Difference:
    """How the answers of two models differ on the same images: the largest difference of a probability, and how many
    images have the same first label."""

    images: int
    largest: float
    same_label: int


def write(folder: Path, card: ModelCard, target: Path) -> None:
    """Write the model of an unpacked archive to `target`. Raises ModelError."""
    import onnx
    import torch
    from classifier.network.model import restore

    whole = torch.nn.Sequential(restore(card, folder), torch.nn.Softmax(dim=1)).eval()
    example = torch.zeros(2, card.input_size, card.input_size, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        # The newer exporter needs a further package; this one writes the same network. Its other warnings are about
        # constants that it does not fold.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            whole,
            (example,),
            str(target),
            dynamo=False,
            opset_version=OPSET,
            input_names=[graph.INPUT],
            output_names=[graph.OUTPUT],
            dynamic_axes={graph.INPUT: {0: "images"}, graph.OUTPUT: {0: "images"}},
        )
    written = onnx.load(target)
    onnx.checker.check_model(written)
    origin = {"labels": json.dumps(card.labels), "model": card.name, "architecture": card.architecture}
    for name, value in origin.items():
        written.metadata_props.add(key=name, value=value)
    onnx.save(written, target)


def compare(folder: Path, target: Path, images: Sequence[np.ndarray]) -> Difference:
    """Run both models on uint8 images [size, size, 3]. Raises GraphError."""
    import openvino as ov

    ours, theirs = graph.load(folder), ov.Core().read_model(target)
    first, second = (_answers(model, images) for model in (ours, theirs))
    same = int((first.argmax(axis=1) == second.argmax(axis=1)).sum())
    return Difference(len(images), float(np.abs(first - second).max()), same)


def _answers(model: Any, images: Sequence[np.ndarray]) -> np.ndarray:
    compiled = graph.compile_for("LATENCY", model)
    return np.concatenate([compiled({0: image[np.newaxis]})[0] for image in images])
