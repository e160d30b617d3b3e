"""The baseline of training: the loop of the student project that this one is based on, rewritten for the bench.

Every epoch runs every image through the whole network, although only the head learns. The backbone's parameters are
frozen, but the network is in train mode. 2 threads, 2 workers, batches of 16, RandomResizedCrop and flip, no
normalisation, head Linear-ReLU-Linear, Adam at 1e-4, validation after each epoch.

    python -m bench.original --arch resnet50 --photos ../shared/data/dogs --folder <folder> [--seconds 280]

trains all 15 epochs, in parts of `seconds` seconds. Each start continues the training. At the end it writes
original.json: the test accuracy of the last epoch, which that project shipped, and the seconds of training and
evaluation.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

EPOCHS, BATCH, WORKERS, THREADS = 15, 16, 2, 2


class Original:
    def __init__(self, arch: str, photos: Path):
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        self.photos = photos
        augmented = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
        self.train_set = datasets.ImageFolder(photos / "train", transforms.Compose(augmented))
        self.network = network_of(arch, len(self.train_set.classes))
        self.optimizer = torch.optim.Adam([p for p in self.network.parameters() if p.requires_grad], lr=1e-4)

    def batches(self, split: str) -> DataLoader:
        if split == "train":
            return DataLoader(self.train_set, BATCH, shuffle=True, num_workers=WORKERS)
        plain = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor()])
        return DataLoader(datasets.ImageFolder(self.photos / split, plain), BATCH, num_workers=WORKERS)

    def train(self, batches: Iterable) -> int:
        """Train on the batches. Returns the number of images."""
        self.network.train()
        images = 0
        for pixels, targets in batches:
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.network(pixels), targets)
            loss.backward()
            self.optimizer.step()
            images += len(targets)
        return images

    @torch.no_grad()
    def evaluate(self, batches: Iterable) -> tuple[int, int]:
        """(number of images, number of correct predictions)"""
        self.network.eval()
        images = right = 0
        for pixels, targets in batches:
            right += (self.network(pixels).argmax(dim=1) == targets).sum().item()
            images += len(targets)
        return images, right


def network_of(arch: str, classes: int) -> nn.Module:
    from classifier.network.model import load_classifier

    from bench import resnet50

    weights = None
    if arch == "resnet50":
        resnet50.install()
        weights = resnet50.weights()
    backbone, _ = load_classifier(arch, weights, keep_head=False)
    for parameter in backbone.network.parameters():
        parameter.requires_grad = False
    head = nn.Sequential(nn.Linear(backbone.width, 128), nn.ReLU(), nn.Linear(128, classes))
    return nn.Sequential(backbone.network, head)


def run_in_part(arch: str, photos: str, batches: int):
    """Measurement: the extrapolated seconds of all EPOCHS, from the rates of some training and evaluation batches."""
    original = Original(arch, Path(photos))
    sizes = {split: len(original.batches(split).dataset) for split in ("train", "valid", "test")}

    def rate(split: str, work) -> float:
        loaded = iter(original.batches(split))
        work([next(loaded)])  # the workers have started and filled their queues
        began = time.perf_counter()
        images = work(itertools.islice(loaded, batches))
        return (images if isinstance(images, int) else images[0]) / (time.perf_counter() - began)

    def measure() -> dict:
        training, evaluating = rate("train", original.train), rate("valid", original.evaluate)
        seconds = EPOCHS * (sizes["train"] / training + sizes["valid"] / evaluating) + sizes["test"] / evaluating
        return {"value": seconds, "train_images_per_second": training, "valid_images_per_second": evaluating}

    return measure


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--arch", "--photos", "--folder"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args()
    folder, began = Path(given.folder), time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    original, saved = Original(given.arch, Path(given.photos)), folder / f"{given.arch}.pt"
    seconds = []
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        original.network.load_state_dict(state["network"])
        original.optimizer.load_state_dict(state["optimizer"])
        seconds = state["seconds"]
    while len(seconds) < EPOCHS:
        longest = max(seconds, default=0)
        if time.perf_counter() - began + longest > given.seconds:
            print(f"{len(seconds)} of {EPOCHS} epochs; start again to continue")
            return
        torch.manual_seed(len(seconds))
        start = time.perf_counter()
        original.train(original.batches("train"))
        images, right = original.evaluate(original.batches("valid"))
        seconds.append(time.perf_counter() - start)
        print(f"epoch {len(seconds)} valid_accuracy {right / images:.4f} {seconds[-1]:.0f} s", flush=True)
        torch.save(
            {
                "network": original.network.state_dict(),
                "optimizer": original.optimizer.state_dict(),
                "seconds": seconds,
            },
            saved,
        )
    images, right = original.evaluate(original.batches("test"))
    result = {"arch": given.arch, "test_accuracy": right / images, "epoch_seconds": seconds}
    (folder / f"{given.arch}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
