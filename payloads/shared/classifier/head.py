"""The linear head over features that were computed once: an epoch takes milliseconds."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from classifier.features import Features
from classifier.settings import Settings
from classifier.training import Checkpoint, Epoch, Score, fit, score

HEAD_LR = 1e-3


@dataclass(frozen=True)
class Head:
    """logits = weight @ features + bias; `weight` float32 [classes, width], `bias` float32 [classes]."""

    weight: torch.Tensor
    bias: torch.Tensor

    def evaluate(self, features: Features) -> Score:
        logits = F.linear(torch.from_numpy(features.values), self.weight, self.bias)
        return score(logits, torch.from_numpy(features.targets))

    def linear(self) -> nn.Linear:
        """The same as a layer, to be trained further."""
        layer = nn.Linear(self.weight.shape[1], self.weight.shape[0])
        layer.load_state_dict({"weight": self.weight, "bias": self.bias})
        return layer


class HeadLearner:
    """Learns a head from the features of the training split, and validates on those of the validation split."""

    def __init__(self, train: Features, valid: Features, classes: int, settings: Settings):
        # Centred and on one scale, so that one learning rate suits every backbone. One deviation for all features:
        # dividing each by its own would blow up those that hardly ever fire.
        self.mean = torch.from_numpy(train.values.mean(axis=0))
        self.deviation = float(np.sqrt(train.values.var(axis=0).mean())) or 1.0
        self.train, self.valid = self._scaled(train), self._scaled(valid)
        self.model = nn.Linear(train.values.shape[1], classes)
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.lr or HEAD_LR, weight_decay=settings.weight_decay
        )
        self.settings = settings

    def train_epoch(self, epoch: int) -> float:
        features, targets = self.train
        total = 0.0
        for batch in torch.randperm(len(targets)).split(self.settings.batch_size):
            logits = self.model(F.dropout(features[batch], self.settings.dropout))
            loss = F.cross_entropy(logits, targets[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        return total / len(targets)

    @torch.inference_mode()
    def validate(self) -> Score:
        features, targets = self.valid
        return score(self.model(features), targets)

    def head(self) -> Head:
        """The head for features as they come, the scaling folded into its weights."""
        weight = self.model.weight.detach() / self.deviation
        return Head(weight, self.model.bias.detach() - weight @ self.mean)

    def _scaled(self, features: Features) -> tuple[torch.Tensor, torch.Tensor]:
        values = (torch.from_numpy(features.values) - self.mean) / self.deviation
        return values, torch.from_numpy(features.targets)


def train_head(
    train: Features, valid: Features, classes: int, settings: Settings, checkpoint: Checkpoint | None = None, **options
) -> tuple[Head, list[Epoch]]:
    """The head of the best epoch, and every epoch. `options` are those of `fit`; raises what it raises."""
    torch.manual_seed(settings.seed)
    learner = HeadLearner(train, valid, classes, settings)
    with _one_thread():
        history = fit(learner, settings, checkpoint, **options)
    return learner.head(), history


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """A step of the head is too small to be shared: threads that wait for one another made it twenty times slower
    wherever something else wanted a processor too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
