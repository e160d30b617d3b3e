"""What computes: the artifact's graph under OpenVINO on processors, its weights under PyTorch on a GPU.

PAWPRINT_RUNTIME=openvino or torch chooses; else PyTorch is imported, and used, only where there is a GPU.
"""

import os
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
from classifier.artifact import ModelCard
from classifier.network import graph

RUNTIMES = ("openvino", "torch")
TORCH_BATCH = 32
TORCH_WAIT = 0.002  # seconds that the first image of a batch waits for others: less than one image takes


class Network(Protocol):
    """uint8 images [N, size, size, 3] -> probabilities, float32 [N, classes]; called from several threads."""

    threads: int  # that decode for it
    batch: int  # images that it takes at once
    wait: float  # seconds that an image may wait for others

    def __call__(self, images: np.ndarray) -> np.ndarray: ...


def network_for(folder: Path, card: ModelCard) -> Network:
    """The artifact's network on what this machine has. Raises GraphError, ModelError or ValueError."""
    runtime = os.environ.get("PAWPRINT_RUNTIME") or ("torch" if has_gpu() else "openvino")
    if runtime not in RUNTIMES:
        raise ValueError(f"PAWPRINT_RUNTIME is {runtime!r}, not one of {', '.join(RUNTIMES)}.")
    return TorchNetwork(folder, card) if runtime == "torch" else GraphNetwork(folder, card)


def has_gpu() -> bool:
    """Whether PyTorch can use one. Importing PyTorch to hear that it cannot would cost a CPU endpoint its start."""
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return False
    import torch

    if torch.cuda.is_available():
        return True
    print("There is a GPU, but PyTorch cannot use it: serving on the processors.", flush=True)
    return False


class GraphNetwork:
    """One image at a time on as many streams as OpenVINO thinks best: on processors a batch gains nothing
    (docs/adr/0012)."""

    batch, wait = 1, 0.0

    def __init__(self, folder: Path, card: ModelCard):
        network = graph.load(folder)
        network.reshape([1, card.input_size, card.input_size, 3])  # a fixed shape runs faster
        self._compiled = graph.compile_for("THROUGHPUT", network)
        # One more than streams: while they compute, it decodes, or waits for its turn in the interpreter.
        self.threads = 1 + self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._thread = threading.local()  # a request of OpenVINO serves one caller at a time: one for each thread
        # The first array that OpenVINO takes sets something up, behind a lock that is waited for with the interpreter's
        # own in hand: two threads that come first together, wait for each other for ever.
        self(np.zeros((1, card.input_size, card.input_size, 3), np.uint8))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if not hasattr(self._thread, "request"):
            self._thread.request = self._compiled.create_infer_request()
        return np.concatenate([self._thread.request.infer({0: image[np.newaxis]})[0] for image in images])


class TorchNetwork:
    """weights.safetensors in the network's definition, in float32, on the GPU or, where there is none, not."""

    batch, wait = TORCH_BATCH, TORCH_WAIT

    def __init__(self, folder: Path, card: ModelCard):
        import torch
        from classifier.network.model import restore

        self.threads = os.cpu_count() or 1
        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = restore(card, folder).to(self._device)
        self(np.zeros((1, card.input_size, card.input_size, 3), np.uint8))  # what is set up on first use is set up now

    def __call__(self, images: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            logits = self._network(self._torch.from_numpy(images).to(self._device))
            return logits.softmax(dim=1).cpu().numpy()
