"""The runtimes: OpenVINO runs the artifact's graph on processors, PyTorch runs its weights on a GPU.

PAWPRINT_RUNTIME=openvino or torch chooses the runtime. By default PyTorch is imported and used only if there is a GPU.
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
TORCH_WAIT = 0.002  # seconds that the first image of a batch waits for others; less than the time of one image


class Network(Protocol):
    """uint8 images [N, size, size, 3] -> probabilities, float32 [N, classes]. Several threads call it."""

    threads: int  # decoding threads
    batch: int  # images in one call
    wait: float  # seconds that an image may wait for others in a batch

    def __call__(self, images: np.ndarray) -> np.ndarray: ...


def network_for(folder: Path, card: ModelCard) -> Network:
    """The artifact's network on this machine's GPU or processors. Raises GraphError, ModelError or ValueError."""
    runtime = os.environ.get("PAWPRINT_RUNTIME") or ("torch" if has_gpu() else "openvino")
    if runtime not in RUNTIMES:
        raise ValueError(f"PAWPRINT_RUNTIME is {runtime!r}, not one of {', '.join(RUNTIMES)}.")
    return TorchNetwork(folder, card) if runtime == "torch" else GraphNetwork(folder, card)


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
    """One image at a time, on the number of streams that OpenVINO chooses for its `hint`. On processors a batch is not
    faster (docs/adr/0012)."""

    batch, wait = 1, 0.0

    def __init__(self, folder: Path, card: ModelCard, hint: str = "THROUGHPUT"):
        network = graph.load(folder)
        network.reshape([1, card.input_size, card.input_size, 3])  # a fixed shape runs faster
        self._compiled = graph.compile_for(hint, network)
        # One thread more than streams: it decodes while the streams compute, or waits for the interpreter.
        self.threads = 1 + self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._thread = threading.local()  # an OpenVINO request has one caller at a time, so each thread has its own
        # OpenVINO initializes itself at its first array, under a lock, and waits for this lock while it holds the
        # interpreter's lock. If two threads are first together, they deadlock.
        self(np.zeros((1, card.input_size, card.input_size, 3), np.uint8))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if not hasattr(self._thread, "request"):
            self._thread.request = self._compiled.create_infer_request()
        return np.concatenate([self._thread.request.infer({0: image[np.newaxis]})[0] for image in images])


class TorchNetwork:
    """The network's definition with weights.safetensors in float32, on the GPU if there is one."""

    batch, wait = TORCH_BATCH, TORCH_WAIT

    def __init__(self, folder: Path, card: ModelCard):
        import torch
        from classifier.network.model import restore

        self.threads = os.cpu_count() or 1
        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = restore(card, folder).to(self._device)
        self(
            np.zeros((1, card.input_size, card.input_size, 3), np.uint8)
        )  # runs the initialization of the first use now

    def __call__(self, images: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            logits = self._network(self._torch.from_numpy(images).to(self._device))
            return logits.softmax(dim=1).cpu().numpy()
