"""The network as an OpenVINO graph. Training makes it once; training and the endpoint run it.

`image` uint8 [N, size, size, 3] -> `probabilities` float32 [N, classes]; normalisation and softmax are inside. It may
have two more outputs, `distance` and `heat` (classifier.network.outputs). The
graph always computes in float32. In bfloat16, processors that have it would be twice as fast, but their answers would
differ from those of other processors. The conversion needs torch, running does not.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier.network.runtime import ops, ov

if TYPE_CHECKING:
    from classifier.learning.references import References
    from classifier.network.model import Backbone

INPUT, FEATURES, OUTPUT = "image", "features", "probabilities"
DISTANCE, HEAT = "distance", "heat"
XML, BIN = "graph.xml", "graph.bin"
PRECISION = "fp32"


class GraphError(Exception):
    """The files of a graph are missing or not valid. The message names them."""


def convert(backbone: "Backbone") -> ov.Model:
    """The backbone as a graph: `image` uint8 [N, size, size, 3] -> `features` float32 [N, width]."""
    import torch

    from classifier.network.folding import folded

    example = torch.zeros(2, backbone.size, backbone.size, 3, dtype=torch.uint8)
    batch = {INPUT: {0: torch.export.Dim.DYNAMIC}}
    graph = ov.convert_model(torch.export.export(folded(backbone), (example,), dynamic_shapes=batch))
    graph.reshape([-1, backbone.size, backbone.size, 3])
    graph.inputs[0].set_names({INPUT})
    graph.outputs[0].set_names({FEATURES})
    return graph


def add_head(
    features: ov.Model, weight: np.ndarray, bias: np.ndarray, references: "References | None" = None
) -> ov.Model:
    """The whole classifier: `features` of the backbone's graph, then softmax(weight @ features + bias).

    `weight` is float32 [classes, width], `bias` float32 [classes]. With `references`, the graph has the output
    `distance`, and with a map of features the output `heat`. The backbone's graph is not changed.
    """
    from classifier.network import outputs

    graph = features.clone()
    feature_node = graph.get_results()[0].input_value(0)
    logits = ops.add(ops.matmul(feature_node, weight, transpose_a=False, transpose_b=True), bias)
    probabilities = ops.softmax(logits, axis=1)
    probabilities.output(0).set_names({OUTPUT})
    found = [probabilities.output(0), outputs.heat(feature_node, probabilities.output(0), weight)]
    if references:
        found.append(outputs.distance(feature_node, probabilities.output(0), references))
    results = [ops.result(each) for each in found if each is not None]
    whole = ov.Model(results, graph.get_parameters(), "classifier")  # ty: ignore[no-matching-overload] stub is stricter
    _name_nodes(whole)
    return whole


def _name_nodes(graph: ov.Model) -> None:
    """Name every node by its position, so that equal networks give equal bytes. The converter numbers its names upwards
    during the whole process."""
    for place, node in enumerate(graph.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{place}")
        for output in node.outputs():
            if not output.get_names() & {INPUT, OUTPUT, DISTANCE, HEAT}:
                output.set_names(set())


def save(graph: ov.Model, folder: Path) -> None:
    """Write graph.xml and graph.bin, the weights in float32."""
    ov.save_model(graph, folder / XML, compress_to_fp16=False)


def load(folder: Path) -> ov.Model:
    """The graph in graph.xml and graph.bin. Raises GraphError."""
    for name in (XML, BIN):
        if not (folder / name).is_file():
            raise GraphError(f"{folder / name} is missing.")
    try:
        return ov.Core().read_model(folder / XML, folder / BIN)
    except RuntimeError as error:
        reason = re.sub(r"\s+", " ", str(error))[:300]
        raise GraphError(f"{folder / XML} is not a graph that OpenVINO can read: {reason}") from None


def drop_heat(graph: ov.Model) -> None:
    """Remove the output `heat`, and so all that only it needs, if the graph has it."""
    for result in graph.get_results():
        if HEAT in result.input_value(0).get_names():
            graph.remove_result(result)


def compile_for(hint: str, graph: ov.Model, threads: int | None = None, streams: int | None = None) -> ov.CompiledModel:
    """The graph ready to run on the CPU. `hint` is OpenVINO's: "THROUGHPUT" or "LATENCY". `threads` None means all.
    `streams` share these threads; None leaves both to OpenVINO, for the whole machine."""
    settings = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": "f32"}
    if streams:  # by default, OpenVINO uses one thread of a core only
        settings |= {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads, "ENABLE_HYPER_THREADING": True}
    elif threads:  # then other processes run too; pinned threads of two processes would share the first processors
        settings |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return ov.Core().compile_model(graph, "CPU", settings)
