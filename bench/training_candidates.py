"""The measurements of bench.training. Each function prepares and returns one, see `BenchmarkCandidate`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def whole_run(arch: str, photos: str, precision: str):
    """The seconds of the training program from its start to its end, and the accuracy of its model."""
    serving = _serving_archive()

    def measure() -> dict:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "bench.training_program", arch, "--precision", precision, "--epochs", "15"]
            command += [f"--{split}={photos}/{split}" for split in ("train", "valid", "test")]
            command += ["--serving", str(serving), "--model-dir", f"{folder}/model", "--output-data-dir", folder]
            began = time.perf_counter()
            subprocess.run(command, check=True)
            seconds = time.perf_counter() - began
            metrics = json.loads((Path(folder) / "metrics.json").read_text())
            card = json.loads((Path(folder) / "model" / "model.json").read_text())
        return {
            "value": seconds,
            "test_accuracy": metrics["metrics"]["test_accuracy"],
            "valid_accuracy": metrics["metrics"]["valid_accuracy"],
            "precision": card["precision"],
            "precision_accuracy": card["precision_accuracy"],
            "seconds": metrics["seconds"],
        }

    return measure


def _serving_archive() -> Path:
    """The serving code as packed by `make package`, in a folder that exists as long as this process."""
    from deploy.build import package

    folder = tempfile.TemporaryDirectory()
    _serving_archive.kept = folder
    package.BUILD = Path(folder.name)
    return package.BUILD / package.pack_tar("inference", package.payload_members("inference"), {})["file"]


def bare_forward(arch: str, photos: str, precision: str, images: int):
    """Images per second of the compiled graph alone, with the pixels in memory."""
    from classifier.dataset.folders import read_image
    from classifier.network import graph
    from classifier.network.runtime import ov

    compiled = graph.compile_for("THROUGHPUT", _graph(arch, photos, precision))
    pixels = [read_image(path, 224)[np.newaxis] for path, _ in _split(photos, "train", images).samples]

    def measure() -> float:
        requests = ov.AsyncInferQueue(compiled)
        began = time.perf_counter()
        for image in pixels:
            requests.start_async({0: image})
        requests.wait_all()
        return len(pixels) / (time.perf_counter() - began)

    measure()
    return measure


def feature_pass(arch: str, photos: str, precision: str, images: int):
    """Images per second from files to features, with the same graph."""
    from classifier.learning.features import extract
    from classifier.network import graph

    compiled = graph.compile_for("THROUGHPUT", _graph(arch, photos, precision))
    split = _split(photos, "train", images)

    def measure() -> float:
        began = time.perf_counter()
        extract(compiled, split)
        return len(split) / (time.perf_counter() - began)

    measure()
    return measure


def fine_tuning_as_usual(photos: str, images: int):
    """Fine-tuning like torchvision's reference: train mode, contiguous, a DataLoader with two workers, batches of
    64."""
    import torch
    from classifier.learning.fine_tuning import NETWORK_LR
    from classifier.network.model import load_backbone
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    augmented = [
        transforms.RandomResizedCrop(224, (0.4, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
    ]
    normalised = transforms.Normalize([127 / 255] * 3, [128 / 255] * 3)
    whole = datasets.ImageFolder(f"{photos}/train", transforms.Compose([*augmented, normalised]))
    backbone = load_backbone()
    network = torch.nn.Sequential(backbone.network, torch.nn.Linear(backbone.width, len(whole.classes))).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=NETWORK_LR, weight_decay=0.01)
    part = Subset(whole, range(0, len(whole), max(1, len(whole) // images)))

    def measure() -> float:
        done, began = 0, time.perf_counter()
        for pixels, targets in DataLoader(part, 64, shuffle=True, num_workers=2):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(pixels), targets).backward()
            optimizer.step()
            done += len(targets)
        return done / (time.perf_counter() - began)

    measure.network = network
    return measure


def fine_tuning(photos: str, images: int, **layout: str):
    """Fine-tuning by our trainer, one epoch."""
    learner = _learner(photos, images, **layout)

    def measure() -> float:
        began = time.perf_counter()
        learner.train_epoch(1)
        return len(learner.dataset.splits["train"]) / (time.perf_counter() - began)

    return measure


def accuracy_as_usual(photos: str, images: int, epochs: int):
    """The test accuracy after fine_tuning_as_usual, starting with a head that fits the frozen backbone."""
    import torch

    def measure() -> float:
        torch.manual_seed(0)
        train_epoch = fine_tuning_as_usual(photos, images)
        head = _fitting_head(photos, images)
        train_epoch.network[1].load_state_dict({"weight": head.weight, "bias": head.bias})
        for _ in range(epochs):
            train_epoch()
        network = train_epoch.network.eval()
        return _test_accuracy(photos, lambda pixels: network((pixels.permute(0, 3, 1, 2) - 127.0) / 128.0))

    return measure


def accuracy(photos: str, images: int, epochs: int, **layout: str):
    """The test accuracy after our trainer, starting with the same head."""

    def measure() -> float:
        learner = _learner(photos, images, head=_fitting_head(photos, images), **layout)
        for epoch in range(1, epochs + 1):
            learner.train_epoch(epoch)
        return _test_accuracy(photos, learner.model)

    return measure


def shared_work(photos: str, work: str, images: int, processes: int):
    """Images per second of `processes` processes that share two processors, connected as in a training job."""

    def measure() -> dict:
        threads = str(2 // processes)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        command += ["-m", "bench.shared_work", photos, work, str(images), threads]
        with tempfile.NamedTemporaryFile("r") as result:
            environment = os.environ | {"OMP_NUM_THREADS": threads, "RESULT": result.name}
            subprocess.run(command, check=True, env=environment)
            return {"value": float(result.read())}

    return measure


def memory_slope(sizes: list[int], mapped: bool):
    """Bytes of anonymous memory per additional image, from the peaks of passes over two numbers of images."""

    def measure() -> dict:
        peaks = []
        for size in sizes:
            command = [sys.executable, "-m", "bench.memory", str(size), *(["--mapped"] if mapped else [])]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            peaks.append(int(out.splitlines()[-1]))
        return {"value": max(1, (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])), "peak_mb": [p / 1e6 for p in peaks]}

    return measure


# ---- made of the photographs ----------------------------------------------------------------------------------


def _dataset(photos: str):
    from classifier.dataset.folders import inspect_splits

    return inspect_splits({split: Path(photos) / split for split in ("train", "valid", "test")})


def _split(photos: str, name: str, images: int):
    from classifier.network.quantize import part

    return part(_dataset(photos).splits[name], images)


def _graph(arch: str, photos: str, precision: str):
    from classifier.network import graph, quantize
    from classifier.network.model import load_backbone

    from bench import resnet50

    weights = None
    if arch == "resnet50":
        resnet50.install()
        weights = resnet50.weights()
    network = graph.convert(load_backbone(arch, weights))
    return quantize.quantize(network, _dataset(photos).splits["train"]) if precision == "int8" else network


def _fitting_head(photos: str, images: int):
    """A head that was trained on the frozen backbone's features of this number of images."""
    from classifier.learning.features import extract
    from classifier.learning.head import train_head
    from classifier.settings import Settings

    network, dataset = _graph("efficientnet-lite0", photos, "fp32"), _dataset(photos)
    train, valid = (extract(network, split) for split in (_split(photos, "train", images), dataset.splits["valid"]))
    return train_head(train, valid, len(dataset.classes), Settings())[0]


def _test_accuracy(photos: str, network) -> float:
    """The accuracy of a network for uint8 images [N, 224, 224, 3] on the whole test split."""
    import torch
    from classifier.dataset.folders import read_image

    right, split = 0, _dataset(photos).splits["test"]
    with torch.inference_mode():
        for path, target in split.samples:
            pixels = torch.from_numpy(read_image(path, 224)[np.newaxis])
            right += int(network(pixels).argmax()) == target
    return right / len(split)


def _learner(photos: str, images: int, world=None, head=None, **layout: str):
    import torch
    from classifier.learning.distributed import ALONE
    from classifier.learning.fine_tuning import NetworkLearner
    from classifier.learning.head import Head
    from classifier.network.model import load_backbone
    from classifier.network.quantize import part
    from classifier.settings import Settings

    dataset = _dataset(photos)
    splits = {**dataset.splits, "train": part(dataset.splits["train"], images)}
    backbone = load_backbone()
    head = head or Head(torch.zeros(len(dataset.classes), backbone.width), torch.zeros(len(dataset.classes)))
    small = type(dataset)(dataset.classes, splits, ())
    return NetworkLearner(backbone, head, small, Settings(fine_tune=True), None, world or ALONE, **layout)
