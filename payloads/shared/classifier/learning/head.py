"""The linear head on precomputed features. An epoch takes milliseconds.

Features may be larger than memory. They are read batch by batch and never copied as a whole.
"""

import contextlib
import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from classifier.learning.features import Features
from classifier.learning.training import Checkpoint, Epoch, Score, fit, score
from classifier.settings import Settings

HEAD_LR = 1e-3
ROWS = 4096  # rows in one step of a pass over all features


@dataclass(frozen=True)
class Head:
    """logits = weight @ features + bias; `weight` float32 [classes, width], `bias` float32 [classes]."""

    weight: torch.Tensor
    bias: torch.Tensor

    def logits(self, features: Features) -> torch.Tensor:
        """float32 [images, classes]"""
        return torch.cat([F.linear(rows, self.weight, self.bias) for rows in _chunks(features)])

    def evaluate(self, features: Features) -> Score:
        return score(self.logits(features), torch.from_numpy(features.targets))

    def linear(self) -> nn.Linear:
        """The same as a layer, for further training."""
        layer = nn.Linear(self.weight.shape[1], self.weight.shape[0])
        layer.load_state_dict({"weight": self.weight, "bias": self.bias})
        return layer


class HeadLearner:
    """Trains a head on the features of the training split, and validates on those of the validation split."""

    def __init__(self, train: Features, valid: Features, classes: int, settings: Settings):
        # Centred and scaled, so that one learning rate suits every backbone. All features have one deviation, because
        # division by its own deviation would make a rarely active feature too large.
        self.mean, self.deviation = mean_and_deviation(train)
        self.train, self.valid = train, valid
        self.model = nn.Linear(train.values.shape[1], classes)
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.lr or HEAD_LR, weight_decay=settings.weight_decay
        )
        self.settings = settings
        self.weights = weights_of(settings, train.targets, classes)

    def train_epoch(self, epoch: int) -> float:
        values, targets = torch.from_numpy(self.train.values), torch.from_numpy(self.train.targets)
        total = 0.0
        for batch in torch.randperm(len(targets)).split(self.settings.batch_size):
            logits = self.model(F.dropout(self._scaled(values[batch]), self.settings.dropout))
            loss = F.cross_entropy(logits, targets[batch], weight=self.weights)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        return total / len(targets)

    @torch.inference_mode()
    def validate(self) -> Score:
        logits = [self.model(self._scaled(rows)) for rows in _chunks(self.valid)]
        return score(torch.cat(logits), torch.from_numpy(self.valid.targets), self.weights)

    def head(self) -> Head:
        """The head for unscaled features, with the scaling folded into its weights."""
        weight = self.model.weight.detach() / self.deviation
        return Head(weight, self.model.bias.detach() - weight @ self.mean)

    def _scaled(self, values: torch.Tensor) -> torch.Tensor:
        return (values - self.mean) / self.deviation


def train_head(
    train: Features, valid: Features, classes: int, settings: Settings, checkpoint: Checkpoint | None = None, **options
) -> tuple[Head, list[Epoch]]:
    """The head of the best epoch, and all epochs. `options` and exceptions are those of `fit`."""
    torch.manual_seed(settings.seed)
    learner = HeadLearner(train, valid, classes, settings)
    with one_thread():
        history = fit(learner, settings, checkpoint, **options)
    return learner.head(), history


def weights_of(settings: Settings, targets: np.ndarray, classes: int) -> torch.Tensor | None:
    """The weight of each class in the loss, for training images of these `targets`. None: all images count the same.

    "balanced" is images / (classes * images of the class), as scikit-learn's `class_weight="balanced"` (King and Zeng
    2001, "Logistic Regression in Rare Events Data").
    """
    if settings.class_weights == "none":
        return None
    counts = np.bincount(targets, minlength=classes)
    return torch.from_numpy(len(targets) / (classes * np.maximum(counts, 1))).float()


def _chunks(features: Features) -> tuple[torch.Tensor, ...]:
    """The values in order, ROWS at a time, as views, so that unused rows need not be in memory."""
    return torch.from_numpy(features.values).split(ROWS)


def mean_and_deviation(features: Features) -> tuple[torch.Tensor, float]:
    """Each feature's mean, and one deviation for all: the root of the mean variance, or 1 if all features are
    constant."""
    count = len(features.targets)
    total = torch.zeros(features.values.shape[1], dtype=torch.float64)
    for rows in _chunks(features):
        total += rows.sum(dim=0, dtype=torch.float64)
    mean = total / count
    squares = sum(((rows - mean) ** 2).sum().item() for rows in _chunks(features))
    return mean.float(), math.sqrt(squares / (count * len(mean))) or 1.0


@contextlib.contextmanager
def one_thread() -> Generator[None]:
    """Use one thread: a step of the head is too small to share. With several threads it was twenty times slower if
    another program used a processor."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
