"""The runtimes: OpenVINO runs the artifact's graph on processors, PyTorch runs its weights on a GPU.

PAWPRINT_RUNTIME=openvino or torch chooses the runtime. By default PyTorch is imported and used only if there is a GPU.
"""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from classifier.artifact import ModelCard
from classifier.network import graph
from classifier.network.runtime import ov

if TYPE_CHECKING:
    from torch import Tensor

RUNTIMES = ("openvino", "torch")
TORCH_BATCH = 32
TORCH_WAIT = 0.002  # seconds that the first image of a batch waits for others; less than the time of one image


class NetworkOutput(NamedTuple):
    """What the network says about one image. The model's artifact decides which of the last two there are."""

    probabilities: np.ndarray  # float32 [classes]
    distance: float | None = None  # to the training photographs; 1 is the limit of what is known
    heat: np.ndarray | None = None  # float32 [rows, columns], for the most probable class; of `explained` only


class Network(Protocol):
    """uint8 images [N, size, size, 3] -> a NetworkOutput for each. Several threads call it."""

    threads: int  # decoding threads
    batch: int  # images in one call
    wait: float  # seconds that an image may wait for others in a batch

    def __call__(self, images: np.ndarray) -> list[NetworkOutput]: ...

    def explained(self, images: np.ndarray) -> list[NetworkOutput]:
        """With a heat map, if the network can be explained. The first call may take a second longer."""
        ...


def network_for(folder: Path, card: ModelCard, *, trial: bool = True) -> Network:
    """The artifact's network on this machine's GPU or processors. With `trial`, at most two seconds of measurements
    choose how the processors are used, and the log has the choice. Raises GraphError, ModelError or ValueError."""
    runtime = os.environ.get("PAWPRINT_RUNTIME") or ("torch" if has_gpu() else "openvino")
    if runtime not in RUNTIMES:
        raise ValueError(f"PAWPRINT_RUNTIME is {runtime!r}, not one of {', '.join(RUNTIMES)}.")
    if runtime == "torch":
        return TorchNetwork(folder, card)
    return GraphNetwork(folder, card, compiled_by=_fastest if trial else graph.compile_for)


def _fastest(hint: str, network: ov.Model) -> ov.CompiledModel:
    from classifier.machine import streams  # not in the function with the model, where each start would pay for it

    found = streams.fitted(network)
    print(found.why, file=sys.stderr, flush=True)  # stdout may be a host's channel
    return found.compiled


def has_gpu() -> bool:
    """Whether PyTorch can use a GPU. Without a GPU, PyTorch is not imported, because that would slow the start."""
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return False
    import torch

    if torch.cuda.is_available():
        return True
    print("PyTorch cannot use the GPU of this machine; serving on the processors.", flush=True)
    return False


class GraphNetwork:
    """One image at a time, on the number of streams that OpenVINO chooses for its `hint`, or `compiled_by` by a trial.
    On processors a batch is not faster (docs/adr/0012)."""

    batch, wait = 1, 0.0

    def __init__(
        self,
        folder: Path,
        card: ModelCard,
        hint: str = "THROUGHPUT",
        *,
        heat: bool = False,
        compiled_by: Callable[[str, ov.Model], ov.CompiledModel] = graph.compile_for,
    ):
        network = graph.load(folder)
        self._explainer: GraphNetwork | None = None
        self._explain = lambda: GraphNetwork(folder, card, "LATENCY", heat=True)
        self._lock = threading.Lock()
        if not heat:
            graph.drop_heat(network)  # it would take 5 % of the time of every request
        network.reshape([1, card.input_size, card.input_size, 3])  # a fixed shape runs faster
        self._compiled = compiled_by(hint, network)
        names = [next(iter(each.get_names())) for each in self._compiled.outputs]
        self._distance, self._heat = (
            names.index(name) if name in names else None for name in (graph.DISTANCE, graph.HEAT)
        )
        # One thread more than streams: it decodes while the streams compute, or waits for the interpreter.
        self.threads = 1 + self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._thread = threading.local()  # an OpenVINO request has one caller at a time, so each thread has its own
        # OpenVINO initializes itself at its first array, under a lock, and waits for this lock while it holds the
        # interpreter's lock. If two threads are first together, they deadlock.
        self(np.zeros((1, card.input_size, card.input_size, 3), np.uint8))

    def __call__(self, images: np.ndarray) -> list[NetworkOutput]:
        if not hasattr(self._thread, "request"):
            self._thread.request = self._compiled.create_infer_request()
        return [self._one(self._thread.request.infer({0: image[np.newaxis]})) for image in images]

    def explained(self, images: np.ndarray) -> list[NetworkOutput]:
        with self._lock:
            self._explainer = self._explainer or self._explain()
        return self._explainer(images)

    def _one(self, found: Mapping[int, np.ndarray]) -> NetworkOutput:
        distance = None if self._distance is None else float(found[self._distance][0])
        return NetworkOutput(found[0][0], distance, None if self._heat is None else found[self._heat][0])


class TorchNetwork:
    """The network's definition with weights.safetensors in float32, on the GPU if there is one."""

    batch, wait = TORCH_BATCH, TORCH_WAIT

    def __init__(self, folder: Path, card: ModelCard):
        import torch
        from classifier.network.explaining import Explainer
        from classifier.network.model import restore, restore_references

        self.threads = os.cpu_count() or 1
        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = restore(card, folder).to(self._device)
        self._references = {name: each.to(self._device).float() for name, each in restore_references(folder).items()}
        self._explainer = Explainer(self._network, card.input_size)
        self(
            np.zeros((1, card.input_size, card.input_size, 3), np.uint8)
        )  # runs the initialization of the first use now

    def __call__(self, images: np.ndarray) -> list[NetworkOutput]:
        with self._torch.inference_mode():
            features, logits, heat = self._explainer(self._torch.from_numpy(images).to(self._device))
            probabilities = logits.softmax(dim=1).cpu().numpy()
            distances = self._distances(features, logits).tolist() if self._references else [None] * len(images)
            heats = [None] * len(images) if heat is None else list(heat.cpu().numpy())
        return [NetworkOutput(*each) for each in zip(probabilities, distances, heats, strict=True)]

    def explained(self, images: np.ndarray) -> list[NetworkOutput]:
        return self(images)  # on a GPU the map costs nothing that can be measured

    def _distances(self, features: "Tensor", logits: "Tensor") -> "Tensor":
        """float32 [N], as in classifier.learning.references."""
        known, torch = self._references, self._torch
        centred, rows = torch.nn.functional.normalize(features, eps=1e-12) - known["mean"], known["rows"]
        products = centred @ known["projection"] @ rows.T
        squares = (centred**2).sum(1, keepdim=True) + (rows**2).sum(1) - 2 * products
        nearest = squares.topk(int(known["neighbours"]), largest=False).values[:, -1]
        limit = known["class_limits"][logits.argmax(dim=1)] if "class_limits" in known else known["limit"]
        return nearest.clamp(min=0).sqrt() / limit
