"""Backbones and the sources of their weights."""

import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from classifier.network.model import Backbone, ModelError, load_backbone, load_classifier, packaged_weights
from safetensors.torch import save_file
from torch import nn
from torchvision import models


@pytest.fixture(scope="module")
def resnet18() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return models.resnet18(weights=None, num_classes=7).state_dict()


def image(size: int = 224, value: int = 127) -> torch.Tensor:
    return torch.full((2, size, size, 3), value, dtype=torch.uint8)


def test_the_default_backbone_comes_with_weights_and_its_own_normalisation():
    backbone, head = load_classifier()
    assert (backbone.architecture, backbone.size, backbone.width) == ("efficientnet-lite0", 224, 1280)
    assert (backbone.mean, backbone.std) == ([127.0] * 3, [128.0] * 3)
    assert backbone(image()).shape == (2, 1280)
    assert head.weight.shape == (1000, 1280)
    assert head.weight.abs().max() > 0.3  # trained: an initialised layer is below 0.03
    assert not backbone.training


def test_the_backbone_normalises_by_itself():
    seen = []

    class Probe(nn.Module):
        def forward(self, pixels):
            seen.append(pixels)
            return pixels.mean(dim=(2, 3))

    pixels = torch.tensor([0, 127, 255], dtype=torch.uint8).expand(1, 4, 4, 3)
    Backbone("probe", Probe(), 4, [127.0, 127.0, 127.0], [128.0, 128.0, 128.0])(pixels)
    assert seen[-1].shape == (1, 3, 4, 4)
    assert seen[-1][0, :, 0, 0].tolist() == [-127 / 128, 0.0, 1.0]


@pytest.mark.parametrize("form", ["pth", "safetensors", "folder"])
def test_weights_from_a_file_or_the_folder_of_a_channel(tmp_path, resnet18, form):
    if form == "safetensors":
        path = tmp_path / "resnet18.safetensors"
        save_file(resnet18, path)
    else:
        path = tmp_path / "resnet18.pth"
        torch.save(resnet18, path)
    backbone = load_backbone("resnet18", tmp_path if form == "folder" else path)
    assert (backbone.size, backbone.width) == (224, 512)
    assert backbone.mean == pytest.approx([123.675, 116.28, 103.53])
    assert torch.equal(backbone.network.state_dict()["conv1.weight"], resnet18["conv1.weight"])


@pytest.mark.parametrize(("architecture", "size"), [("efficientnet-lite1", 240), ("efficientnet-lite2", 260)])
def test_larger_networks_come_with_weights_from_packages_at_their_resolution(architecture, size):
    backbone, head = load_classifier(architecture)
    assert (backbone.architecture, backbone.size, backbone.width) == (architecture, size, 1280)
    assert head.weight.abs().max() > 0.2


def test_a_network_works_at_another_resolution_or_the_size_is_refused():
    backbone = load_backbone(resolution=160)
    assert backbone.size == 160
    assert backbone(image(160)).shape == (2, 1280)
    for_one_size = nn.Sequential(nn.Flatten(1), nn.Linear(3 * 8 * 8, 4))
    with pytest.raises(ModelError, match="of_8 takes no images of 16 pixels"):
        Backbone("of_8", for_one_size, 16, [0.0] * 3, [1.0] * 3)


def test_the_prefix_of_data_parallel_training_is_understood(tmp_path, resnet18):
    save_file({f"module.{key}": value for key, value in resnet18.items()}, tmp_path / "own.safetensors")
    backbone = load_backbone("resnet18", tmp_path / "own.safetensors")
    assert torch.equal(backbone.network.state_dict()["conv1.weight"], resnet18["conv1.weight"])


def test_a_folder_of_several_networks_gives_each_its_own_weights(tmp_path, resnet18):
    """A preset's channel has the weights of two networks; the default network has those of its package."""
    (tmp_path / "efficientnet-lite1.pth").write_bytes(packaged_weights("efficientnet-lite1").read_bytes())
    (tmp_path / "efficientnet-lite2.pth").write_bytes(b"not read")
    expected = load_backbone("efficientnet-lite1").network.state_dict()
    found = load_backbone("efficientnet-lite1", tmp_path).network.state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert load_backbone("efficientnet-lite0", tmp_path).architecture == "efficientnet-lite0"
    fails("efficientnet-lite2", tmp_path, "cannot be read")


def fails(architecture: str, weights: Path | None, *parts: str) -> None:
    with pytest.raises(ModelError) as error:
        load_backbone(architecture, weights)
    for part in parts:
        assert part in str(error.value)


def test_an_unknown_network_is_refused():
    fails("resnet51", None, "no network resnet51", "efficientnet-lite0", "resnet50")


def test_a_network_without_a_last_layer_to_replace_is_refused(tmp_path):
    torch.save({}, tmp_path / "w.pth")
    fails("squeezenet1_0", tmp_path / "w.pth", "squeezenet1_0", "linear layer")


def test_weights_of_another_network_are_refused(tmp_path, resnet18):
    torch.save(resnet18, tmp_path / "w.pth")
    fails("resnet34", tmp_path / "w.pth", "w.pth", "not those of resnet34")


def test_missing_weights_are_named(tmp_path):
    fails("resnet18", tmp_path / "w.pth", "w.pth", "do not exist")


@pytest.mark.parametrize("count", [0, 2])
def test_a_channel_without_exactly_one_file_is_refused(tmp_path, count):
    for number in range(count):
        (tmp_path / f"{number}.pth").write_bytes(b"")
    fails("resnet18", tmp_path, "must have one file")


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": torch.zeros(1)}}, torch.zeros(3)], ids=str)
def test_a_file_that_is_not_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    fails("resnet18", tmp_path / "w.pth", "w.pth", "not a state dict")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_that_is_not_weights_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>404</html>")
    fails("resnet18", tmp_path / name, name, "cannot be read")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return ran.touch, ()

    (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    fails("resnet18", tmp_path / "w.pth", "cannot be read")
    torch.save({"fc.weight": Evil()}, tmp_path / "v.pth")
    fails("resnet18", tmp_path / "v.pth", "cannot be read")
    assert not ran.exists()


def test_without_a_download_both_ways_out_are_named(monkeypatch, tmp_path):
    def unreachable(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    fails("resnet50", None, "download.pytorch.org", "--weights", "channel `weights`", "efficientnet-lite0")
