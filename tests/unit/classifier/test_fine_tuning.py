"""Fine-tuning of a network with a thousand parameters."""

import pytest
import torch
from classifier.dataset.folders import inspect_dataset
from classifier.learning.fine_tuning import fine_tune
from classifier.learning.head import Head
from classifier.learning.training import Checkpoint
from classifier.settings import Settings

from tests.unit.classifier.conftest import tiny_backbone
from tests.unit.classifier.pictures import write_image_folder

SETTINGS = Settings(fine_tune=True, epochs=4, batch_size=5, lr=0.01)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return inspect_dataset(write_image_folder(tmp_path_factory.mktemp("data") / "squares"))


def start() -> Head:
    torch.manual_seed(1)
    return Head(0.1 * torch.randn(3, 8), torch.zeros(3))


def test_backbone_and_head_both_learn(dataset):
    backbone = tiny_backbone()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    head, history = fine_tune(backbone, start(), dataset, SETTINGS)
    assert history[-1].valid_loss < history[0].valid_loss
    after = backbone.state_dict()
    assert not torch.equal(after["network.0.weight"], before["network.0.weight"])
    assert not torch.equal(head.weight, start().weight)
    assert torch.equal(after["network.1.running_mean"], before["network.1.running_mean"])
    assert not backbone.training


def test_the_same_seed_gives_the_same_network_whatever_the_number_of_workers(dataset):
    def trained(workers: int) -> tuple[torch.Tensor, list[str]]:
        head, history = fine_tune(tiny_backbone(), start(), dataset, SETTINGS, workers=workers)
        return head.weight, [str(epoch) for epoch in history]

    (one, lines), (other, same_lines) = trained(1), trained(3)
    assert torch.equal(one, other)
    assert lines == same_lines


def test_a_resumed_run_gives_the_same_network(dataset, tmp_path):
    whole = tiny_backbone()
    fine_tune(whole, start(), dataset, SETTINGS)
    shorter = Settings(**vars(SETTINGS) | {"epochs": 2})
    fine_tune(tiny_backbone(), start(), dataset, shorter, Checkpoint(tmp_path, {}))
    resumed = tiny_backbone()
    _, history = fine_tune(resumed, start(), dataset, SETTINGS, Checkpoint(tmp_path, {}))
    assert len(history) == 4
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_start_that_is_better_than_every_epoch_is_kept(dataset):
    backbone = tiny_backbone()
    weight = backbone.state_dict()["network.0.weight"].clone()
    head, history = fine_tune(backbone, start(), dataset, Settings(fine_tune=True, epochs=2, lr=50.0, seed=2))
    assert len(history) == 2
    assert torch.equal(head.weight, start().weight)
    assert torch.equal(backbone.state_dict()["network.0.weight"], weight)
