"""The program that the tests start with torchrun. It fine-tunes the tiny network and writes the result to a folder.

torchrun --nproc_per_node 2 distributed_program.py <dataset> <folder> <epochs> [<epoch to end abruptly after>]
"""

import os
import signal
import sys
from pathlib import Path

import torch
from classifier.dataset.folders import inspect_dataset
from classifier.learning import distributed
from classifier.learning.fine_tuning import fine_tune
from classifier.learning.head import Head
from classifier.learning.training import Checkpoint
from classifier.settings import Settings

from tests.unit.classifier.conftest import tiny_backbone


def main(dataset: str, folder: str, epochs: str, last: str = "") -> None:
    settings = Settings(fine_tune=True, epochs=int(epochs), patience=50, batch_size=5, lr=0.01)
    torch.manual_seed(1)
    start = Head(0.1 * torch.randn(3, 8), torch.zeros(3))
    with distributed.joined() as world:
        if last:
            end_after(int(last), Path(folder))
        backbone = tiny_backbone()
        checkpoint = Checkpoint(Path(folder), {}) if world.is_writer else None
        head, history = fine_tune(backbone, start, inspect_dataset(Path(dataset)), settings, checkpoint, 1, world)
        result = {
            "history": [[epoch.train_loss, epoch.valid_loss, epoch.valid_accuracy] for epoch in history],
            "weights": {**backbone.state_dict(), "head": head.weight},
            "processors": sorted(os.sched_getaffinity(0)),
        }
        torch.save(result, Path(folder) / f"rank-{world.rank}.pt")


def end_after(epoch: int, folder: Path) -> None:
    """End this process, and so the others, after the checkpoint of that epoch."""
    save = Checkpoint.save

    def save_and_end(self: Checkpoint, snapshot) -> None:
        save(self, snapshot)
        if len(snapshot.history) == epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.save = save_and_end


if __name__ == "__main__":
    main(*sys.argv[1:])
