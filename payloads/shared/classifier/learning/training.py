"""The training loop: epochs, early stopping, the best epoch by validation, checkpoints. The object that learns is a
Learner.

It prints one line per epoch, which the training job's metric definitions parse:

    epoch=3 train_loss=0.1234 valid_loss=0.2345 valid_accuracy=0.9412
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch.nn import functional as F

from classifier.learning.distributed import ALONE, World
from classifier.settings import Settings


@dataclass(frozen=True)
class Score:
    """The score of a split. `loss` is the mean cross entropy."""

    loss: float
    accuracy: float
    predicted: torch.Tensor  # int64 [images]
    confidence: torch.Tensor  # float32 [images]: the probability of the predicted class


@dataclass(frozen=True)
class Epoch:
    epoch: int  # from 1
    train_loss: float
    valid_loss: float
    valid_accuracy: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch={self.epoch} train_loss={self.train_loss:.4f} "
            f"valid_loss={self.valid_loss:.4f} valid_accuracy={self.valid_accuracy:.4f}"
        )


class Learner(Protocol):
    """A model that trains in epochs. Its randomness is torch's global generator, or depends only on the settings and
    the number of the epoch."""

    @property
    def model(self) -> torch.nn.Module: ...

    @property
    def optimizer(self) -> torch.optim.Optimizer: ...

    def train_epoch(self, epoch: int) -> float:
        """Train on every training image once. Returns the mean loss."""

    def validate(self) -> Score: ...


class TrainingError(Exception):
    """Training cannot continue. The message has the reason and the way out."""


def score(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None) -> Score:
    """The score of `logits` [images, classes] for `targets` int64 [images]. `weights` [classes] are of the loss."""
    largest, predicted = logits.max(dim=1)
    accuracy = (predicted == targets).double().mean().item()
    confidence = (largest - logits.logsumexp(dim=1)).exp()
    return Score(F.cross_entropy(logits, targets, weight=weights).item(), accuracy, predicted, confidence)


def fit(
    learner: Learner,
    settings: Settings,
    checkpoint: "Checkpoint | None" = None,
    *,
    from_baseline: bool = False,
    world: World = ALONE,
    announce: Callable[[str], None] = lambda line: print(line, flush=True),
) -> list[Epoch]:
    """Train until the validation loss stops falling or the epochs are used up. The learner then has the model of its
    best epoch. Returns all epochs, including those before a resume.

    With `from_baseline` the initial model counts too: if no epoch is better, it is kept. The processes of a `world`
    call this together. The writer's checkpoint counts, and all learners must get the same score. Raises TrainingError
    if the loss is not a number, or if the checkpoint belongs to another run.
    """
    resumed = _resume(checkpoint, world)
    if resumed:
        history, best_loss, best_model = resumed.restore(learner)
        announce(f"resumed after epoch {len(history)}")
    else:
        history, best_model = [], copy.deepcopy(learner.model.state_dict())
        best_loss = learner.validate().loss if from_baseline else math.inf

    while len(history) < settings.epochs and not _stalled(history, best_loss, settings.patience):
        began = time.monotonic()
        train_loss = learner.train_epoch(len(history) + 1)
        valid = learner.validate()
        if not math.isfinite(train_loss) or not math.isfinite(valid.loss):
            raise TrainingError(f"The loss is not a number after epoch {len(history) + 1}; try a smaller --lr.")
        history.append(Epoch(len(history) + 1, train_loss, valid.loss, valid.accuracy, time.monotonic() - began))
        if valid.loss < best_loss:
            best_loss, best_model = valid.loss, copy.deepcopy(learner.model.state_dict())
        if checkpoint and world.is_writer:
            checkpoint.save(Snapshot.of(learner, history, best_loss, best_model))
        announce(str(history[-1]))  # after the checkpoint, so a printed epoch is never lost
    learner.model.load_state_dict(best_model)
    return history


def _resume(checkpoint: "Checkpoint | None", world: World) -> "Snapshot | None":
    """The writer's snapshot, on every process. On the instances of a job, only the writer's folder is reliable."""
    snapshot = checkpoint.load() if checkpoint and world.is_writer else None
    content = world.broadcast(vars(snapshot) if snapshot else None)
    return Snapshot(**content) if content else None


def _stalled(history: list[Epoch], best_loss: float, patience: int) -> bool:
    recent = history[-patience:]
    return len(recent) == patience and all(epoch.valid_loss > best_loss for epoch in recent)


# ---- checkpoints ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """The state that a run needs to continue as if it had not been interrupted."""

    model: dict
    optimizer: dict
    random: torch.Tensor
    history: list[dict]
    best_loss: float
    best_model: dict

    @classmethod
    def of(cls, learner: Learner, history: list[Epoch], best_loss: float, best_model: dict) -> "Snapshot":
        return cls(
            learner.model.state_dict(),
            learner.optimizer.state_dict(),
            torch.get_rng_state(),
            [asdict(epoch) for epoch in history],
            best_loss,
            best_model,
        )

    def restore(self, learner: Learner) -> tuple[list[Epoch], float, dict]:
        """Restore the learner. Returns (history, best loss, best model)."""
        learner.model.load_state_dict(self.model)
        learner.optimizer.load_state_dict(self.optimizer)
        torch.set_rng_state(self.random)
        return [Epoch(**epoch) for epoch in self.history], self.best_loss, self.best_model


class Checkpoint:
    """A run's last snapshot, in `folder`; `identity` (settings, hash of the data) identifies the run."""

    def __init__(self, folder: Path, identity: dict[str, str | int | float | bool | None]):
        self.path = folder / "checkpoint.pt"
        self.identity = identity

    def save(self, snapshot: Snapshot) -> None:
        """Replace the last snapshot atomically, so that a complete one always exists."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        torch.save({"identity": self.identity, **vars(snapshot)}, partial)
        partial.replace(self.path)

    def load(self) -> Snapshot | None:
        """The last snapshot, or None. Raises TrainingError if it is not usable."""
        if not self.path.exists():
            return None
        way_out = "Give another --checkpoint-dir, or remove the file to start again."
        try:
            content = torch.load(self.path, weights_only=True, map_location="cpu")
            identity = content.pop("identity")
            snapshot = Snapshot(**content)
        except Exception:  # torch raises many kinds, and its advice is to trust the file
            raise TrainingError(f"The checkpoint {self.path} is truncated or not a checkpoint. {way_out}") from None
        differing = [name for name, value in self.identity.items() if identity.get(name) != value]
        if differing:
            now = ", ".join(f"{name} was {identity.get(name)}, is {self.identity[name]}" for name in differing)
            raise TrainingError(f"The checkpoint {self.path} belongs to another run: {now}. {way_out}")
        return snapshot
