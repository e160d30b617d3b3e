"""Train the whole network, backbone and head, on augmented images. Slow on CPUs, but better than frozen features."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from classifier.dataset.folders import Dataset, Split, read_ahead, read_image
from classifier.images import augmentation
from classifier.images.decoding import decode_whole
from classifier.learning.distributed import ALONE, World
from classifier.learning.head import Head, weights_of
from classifier.learning.training import Checkpoint, Epoch, Score, fit, score
from classifier.network.model import Backbone
from classifier.progress import progress
from classifier.settings import Settings

NETWORK_LR = 1e-5  # on dog breeds, 3e-5 and 1e-4 lose ImageNet's features epoch by epoch

Item = TypeVar("Item")


class TrainableNetwork(nn.Module):
    """Backbone and head. `keep` [images, width] is the dropout factor of the features. None: no dropout."""

    def __init__(self, backbone: Backbone, head: nn.Linear):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, pixels: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        features = self.backbone(pixels)
        return self.head(features if keep is None else features * keep)


class NetworkLearner:
    """Trains backbone and head on the images of the training split, and validates on the validation split.

    The processes of a `world` share each batch and the validation images. Randomness depends on the seed, the epoch and
    the image, but not on the process. So the number of processes changes only the order of additions.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        dataset: Dataset,
        settings: Settings,
        workers: int | None,
        world: World,
        *,
        memory_format: str = "contiguous",
        precision: str = "fp32",
    ):
        self.backbone, self.head = backbone, head.linear()
        # The network stays in eval mode during training. It keeps the statistics of ImageNet, because those of small
        # batches are worse. The network has no randomness: stochastic depth would differ between a whole batch and a
        # shared one.
        layout = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}[memory_format]
        self.model = TrainableNetwork(backbone, self.head).eval()
        self.model.to(device=world.device, memory_format=layout)  # ty: ignore[no-matching-overload] torch documents it
        self.parallel = world.parallel(self.model)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.lr or NETWORK_LR, weight_decay=settings.weight_decay
        )
        self.dataset = dataset
        self.settings = settings
        self.weights = weights_of(settings, dataset.splits["train"].targets, self.head.out_features)
        self.workers = workers
        self.world = world
        self.precision = precision  # bf16: products in bfloat16; weights, loss and updates stay in float32
        self.augment = augmentation.at_random(settings.augment or "crop", backbone.size)

    def train_epoch(self, epoch: int) -> float:
        split, world = self.dataset.splits["train"], self.world
        targets = torch.from_numpy(split.targets)
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(self._seed(epoch)))
        batches = order.split(self.settings.batch_size)
        # A last batch may have fewer images than there are processes. A process without a share computes an unused
        # image.
        shares = [
            (world.share(batch), 1 / len(batch)) if len(batch) > world.rank else (batch[:1], 0.0) for batch in batches
        ]
        rows = torch.cat([share for share, _ in shares])
        images = progress(self._whole_images(split, rows), len(rows), f"epoch {epoch}, training,")
        total = 0.0
        for (share, weight), batch in zip(shares, batches, strict=True):
            group = [self._augmented(next(images), epoch, row) for row in share.tolist()]
            pixels, keep = (torch.stack(each).to(world.device) for each in zip(*group, strict=True))
            with torch.autocast(world.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                logits = self.parallel(pixels, keep).float()
            # This process's part of the mean over the batch, times the divisor of the gradients.
            of_classes = None if self.weights is None else self.weights.to(world.device)
            loss = weight * F.cross_entropy(logits, targets[share].to(world.device), of_classes, reduction="sum")
            self.optimizer.zero_grad()
            (loss * world.size).backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        return world.sum(total) / len(split)

    @torch.inference_mode()
    def validate(self) -> Score:
        """Each process classifies its share. The writer computes the score of the whole split and broadcasts it."""
        split = self.dataset.splits["valid"]
        paths = [path for path, _ in self.world.share(split.samples)]
        images = read_ahead(lambda path: read_image(path, self.backbone.size), paths, self.workers)
        images = progress(images, len(paths), "validating")
        logits = [torch.empty(0, self.head.out_features)]
        for group in _grouped(images, self.settings.batch_size):
            pixels = torch.from_numpy(np.stack(group)).to(self.world.device)
            logits.append(self.model(pixels).cpu())
        whole = self.world.gather(torch.cat(logits).numpy(), len(split))
        scored = (
            None if whole is None else score(torch.from_numpy(whole), torch.from_numpy(split.targets), self.weights)
        )
        return self.world.broadcast_as(Score, scored)

    def _augmented(self, image: Image.Image, epoch: int, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels and dropout factors, random with a seed for the image in this epoch."""
        torch.random.default_generator.manual_seed(self._seed(epoch, row))
        keep = F.dropout(torch.ones(self.head.in_features), self.settings.dropout)
        return _to_tensor(self.augment(image)), keep

    def _seed(self, *numbers: int) -> int:
        sequence = np.random.SeedSequence([self.settings.seed % 2**32, *numbers])
        return int(sequence.generate_state(1, np.uint64)[0])

    def _whole_images(self, split: Split, rows: torch.Tensor) -> Iterator[Image.Image]:
        paths = (split.samples[row][0] for row in rows.tolist())
        return read_ahead(lambda path: read_image(path, self.backbone.size, decode_whole), paths, self.workers)


def fine_tune(
    backbone: Backbone,
    head: Head,
    dataset: Dataset,
    settings: Settings,
    checkpoint: Checkpoint | None = None,
    workers: int | None = None,
    world: World = ALONE,
    **layout: str,
) -> tuple[Head, list[Epoch]]:
    """Train `backbone` in place, and a head that starts as `head`. Returns the head of the best epoch, and all epochs.

    The processes of a `world` call it together and get the same result. The batch size is the total of all. `layout` is
    the learner's `memory_format` (channels_last or contiguous) and `precision` (fp32 or bf16).

    `head` should fit the frozen backbone, because a random one would first damage the features. If no epoch is better
    than the start, the start is kept.
    """
    learner = NetworkLearner(backbone, head, dataset, settings, workers, world, **layout)
    history = fit(learner, settings, checkpoint, from_baseline=True, world=world)
    learner.model.cpu()
    return Head(learner.head.weight.detach(), learner.head.bias.detach()), history


def _grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    items = iter(items)
    while group := list(itertools.islice(items, size)):
        yield group


def _to_tensor(image: Image.Image) -> torch.Tensor:
    """uint8 [size, size, 3]: the output of `decode` and the input of the backbone."""
    return v2.functional.pil_to_tensor(image).permute(1, 2, 0)
