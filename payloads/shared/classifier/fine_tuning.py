"""Training the whole network, backbone and head, on augmented images: slow on CPUs, for what frozen features miss."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from classifier.data import Dataset, Split, read_ahead, read_image
from classifier.head import Head
from classifier.image import decode_whole
from classifier.model import Backbone
from classifier.progress import progress
from classifier.settings import Settings
from classifier.training import Checkpoint, Epoch, Score, fit, score

NETWORK_LR = 1e-4

Item = TypeVar("Item")


class NetworkLearner:
    """Learns backbone and head from the training split's images, and validates on the validation split's."""

    def __init__(self, backbone: Backbone, head: Head, dataset: Dataset, settings: Settings, workers: int | None):
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = head.linear()
        self.model = nn.ModuleDict({"backbone": backbone, "head": self.head})
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.lr or NETWORK_LR, weight_decay=settings.weight_decay
        )
        self.dataset = dataset
        self.settings = settings
        self.workers = workers
        self.augment = v2.Compose([v2.RandomResizedCrop(backbone.size, scale=(0.4, 1.0)), v2.RandomHorizontalFlip()])

    def train_epoch(self, epoch: int) -> float:
        split = self.dataset.splits["train"]
        self._train_mode()
        total = 0.0
        order = torch.randperm(len(split))
        images = progress(self._whole_images(split, order), len(split), f"epoch {epoch}, training,")
        size = self.settings.batch_size
        for group, batch in zip(_grouped(images, size), order.split(size), strict=True):
            # Augmented here and not in the reading threads, so that the same seed gives the same pictures.
            pixels = torch.stack([_to_tensor(self.augment(image)) for image in group])
            logits = self.head(self.dropout(self.backbone(pixels)))
            loss = F.cross_entropy(logits, torch.from_numpy(split.targets)[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        return total / len(split)

    @torch.inference_mode()
    def validate(self) -> Score:
        split = self.dataset.splits["valid"]
        self.model.eval()
        paths = [path for path, _ in split.samples]
        images = read_ahead(lambda path: read_image(path, self.backbone.size), paths, self.workers)
        images = progress(images, len(split), "validating")
        logits = []
        for group in _grouped(images, self.settings.batch_size):
            logits.append(self.head(self.backbone(torch.from_numpy(np.stack(group)))))
        return score(torch.cat(logits), torch.from_numpy(split.targets))

    def _train_mode(self) -> None:
        self.model.train()
        self.dropout.train()
        # The statistics of ImageNet stay: those of small batches of few images are worse.
        for module in self.backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def _whole_images(self, split: Split, order: torch.Tensor) -> Iterator[Image.Image]:
        paths = (split.samples[row][0] for row in order.tolist())
        return read_ahead(lambda path: read_image(path, self.backbone.size, decode_whole), paths, self.workers)


def fine_tune(
    backbone: Backbone,
    head: Head,
    dataset: Dataset,
    settings: Settings,
    checkpoint: Checkpoint | None = None,
    workers: int | None = None,
) -> tuple[Head, list[Epoch]]:
    """Train `backbone`, in place, and a head that starts as `head`; the head of the best epoch, and every epoch.

    `head` should fit the frozen backbone: a random one would first wreck the features. Where no epoch beats the
    start, the start is kept.
    """
    torch.manual_seed(settings.seed)
    learner = NetworkLearner(backbone, head, dataset, settings, workers)
    history = fit(learner, settings, checkpoint, from_baseline=True)
    backbone.eval()
    return Head(learner.head.weight.detach(), learner.head.bias.detach()), history


def _grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    items = iter(items)
    while group := list(itertools.islice(items, size)):
        yield group


def _to_tensor(image: Image.Image) -> torch.Tensor:
    """uint8 [size, size, 3]: as `decode` gives it, and as the backbone takes it."""
    return v2.functional.pil_to_tensor(image).permute(1, 2, 0)
