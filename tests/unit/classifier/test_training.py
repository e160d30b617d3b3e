"""The loop around any learner: early stopping, the best epoch, checkpoints."""

import math
import re

import pytest
import torch
from classifier.learning.training import Checkpoint, Score, TrainingError, fit
from classifier.settings import Settings
from torch import nn


class Scripted:
    """A learner whose validation losses are given, and whose model's only weight is the number of its epoch."""

    def __init__(self, losses: list[float], start: float = 1.0):
        self.losses, self.start = losses, start
        self.model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.model.weight)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.drawn: list[float] = []

    @property
    def epoch(self) -> int:
        return int(self.model.weight.item())

    def train_epoch(self, epoch: int) -> float:
        with torch.no_grad():
            self.model.weight.fill_(epoch)
        self.drawn.append(torch.rand(()).item())
        return 0.5 / epoch

    def validate(self) -> Score:
        loss = self.losses[self.epoch - 1] if self.epoch else self.start
        return Score(loss, 1 - loss, torch.zeros(1), torch.ones(1))


def settings(**changes) -> Settings:
    return Settings(**{"epochs": 10, "patience": 3} | changes)


def test_it_stops_when_the_loss_no_longer_falls_and_keeps_the_best_epoch():
    learner = Scripted([0.9, 0.5, 0.4, 0.6, 0.5, 0.45, 0.1])
    history = fit(learner, settings())
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4, 5, 6]
    assert learner.epoch == 3


def test_it_stops_at_the_number_of_epochs():
    learner = Scripted([0.9, 0.8, 0.7, 0.6])
    assert len(fit(learner, settings(epochs=3))) == 3
    assert learner.epoch == 3


def test_the_first_of_equal_epochs_is_kept():
    learner = Scripted([0.5, 0.5, 0.5, 0.5])
    fit(learner, settings(epochs=3))
    assert learner.epoch == 1


def test_from_a_baseline_a_worse_model_is_never_kept():
    learner = Scripted([0.9, 0.8, 0.7, 0.6], start=0.3)
    history = fit(learner, settings(), from_baseline=True)
    assert (len(history), learner.epoch) == (3, 0)


def test_a_better_epoch_replaces_the_baseline():
    learner = Scripted([0.9, 0.2, 0.3, 0.4, 0.5], start=0.3)
    fit(learner, settings(), from_baseline=True)
    assert learner.epoch == 2


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_a_number_ends_training_with_a_reason(loss):
    with pytest.raises(TrainingError, match=r"epoch 2; try a smaller --lr"):
        fit(Scripted([0.5, loss, 0.4]), settings())


def test_every_epoch_prints_one_line_in_one_form(capsys):
    fit(Scripted([0.5, 0.4]), settings(epochs=2))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "epoch=1 train_loss=0.5000 valid_loss=0.5000 valid_accuracy=0.5000",
        "epoch=2 train_loss=0.2500 valid_loss=0.4000 valid_accuracy=0.6000",
    ]
    from deploy.sagemaker.training import METRICS

    for metric in METRICS[:3]:  # the metrics of an epoch, as parsed by the training job's metric definitions
        assert re.search(rf"\b{metric}=([0-9.]+)", lines[0])


# ---- checkpoints ----------------------------------------------------------------------------------------------

IDENTITY = {"seed": 0, "lr": None, "data_sha256": "abc"}
LOSSES = [0.9, 0.5, 0.4, 0.6, 0.5, 0.45]


class Killed(Exception):
    pass


class KilledAt(Scripted):
    def __init__(self, losses: list[float], epoch: int):
        super().__init__(losses)
        self.last = epoch

    def train_epoch(self, epoch: int) -> float:
        if epoch > self.last:
            raise Killed
        return super().train_epoch(epoch)


@pytest.mark.parametrize("killed_after", [1, 2, 3, 5])
def test_a_resumed_run_ends_as_if_it_had_not_been_interrupted(tmp_path, killed_after):
    torch.manual_seed(0)
    whole = Scripted(LOSSES)
    expected = fit(whole, settings())

    torch.manual_seed(0)
    killed = KilledAt(LOSSES, killed_after)
    with pytest.raises(Killed):
        fit(killed, settings(), Checkpoint(tmp_path, IDENTITY))
    torch.manual_seed(99)
    resumed = Scripted(LOSSES)
    history = fit(resumed, settings(), Checkpoint(tmp_path, IDENTITY))

    assert [str(epoch) for epoch in history] == [str(epoch) for epoch in expected]
    assert killed.drawn + resumed.drawn == whole.drawn
    assert resumed.epoch == whole.epoch == 3


def test_a_complete_run_is_not_trained_again(tmp_path):
    fit(Scripted(LOSSES), settings(), Checkpoint(tmp_path, IDENTITY))
    again = Scripted(LOSSES)
    assert len(fit(again, settings(), Checkpoint(tmp_path, IDENTITY))) == 6
    assert (again.drawn, again.epoch) == ([], 3)


def test_more_epochs_continue_from_the_last_one(tmp_path):
    fit(Scripted(LOSSES), settings(epochs=2), Checkpoint(tmp_path, IDENTITY))
    longer = Scripted(LOSSES)
    assert len(fit(longer, settings(epochs=4), Checkpoint(tmp_path, IDENTITY))) == 4
    assert len(longer.drawn) == 2


def test_the_checkpoint_of_another_run_is_refused_with_the_differences(tmp_path):
    fit(Scripted(LOSSES), settings(epochs=1), Checkpoint(tmp_path, IDENTITY))
    other = Checkpoint(tmp_path, IDENTITY | {"lr": 0.1})
    with pytest.raises(TrainingError, match=r"lr was None, is 0\.1.*--checkpoint-dir"):
        fit(Scripted(LOSSES), settings(), other)


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_broken_checkpoint_is_named_with_the_way_out(tmp_path, content):
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    fit(Scripted(LOSSES), settings(epochs=1), checkpoint)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is truncated.*remove the file"):
        fit(Scripted(LOSSES), settings(), checkpoint)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return ran.touch, ()

    torch.save({"identity": IDENTITY, "model": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        fit(Scripted(LOSSES), settings(), Checkpoint(tmp_path, IDENTITY))
    assert not ran.exists()
