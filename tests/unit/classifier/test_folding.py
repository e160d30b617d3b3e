"""Folding changes neither the function nor the given network."""

import copy

import torch
from classifier.network.folding import folded
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class PaddedConv(nn.Conv2d):
    """A subclass of the convolution that pads its input, as some networks have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.stem_bn = PaddedConv(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.twice, self.bn_a, self.bn_b = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.shown, self.shown_bn = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem_bn(self.stem(x)))
        x = self.bn_a(self.twice(x)) + self.bn_b(self.twice(x))  # one convolution, two normalisations
        seen = self.shown(x)  # used by another module than the normalisation
        return torch.cat([seen, self.shown_bn(seen)], 1)


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = Network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x) if x.sum() > 0 else x


def trained(network: nn.Module) -> nn.Module:
    """With statistics and parameters that change the values."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                values.data = torch.rand(values.shape, generator=generator) + 0.5
    return network.eval()


def normalisations(network: nn.Module) -> list[str]:
    return [node.target for node in network.graph.nodes if str(node.target).rpartition(".")[2].find("bn") >= 0]


@torch.inference_mode()
def test_the_same_function_without_the_normalisations_that_only_follow_a_convolution():
    network = trained(Network())
    before = copy.deepcopy(network.state_dict())
    result = folded(network)
    assert normalisations(result) == ["shown_bn"]
    torch.testing.assert_close(result(IMAGES), network(IMAGES))
    assert {name: value.tolist() for name, value in network.state_dict().items()} == {
        name: value.tolist() for name, value in before.items()
    }


def test_a_network_that_cannot_be_traced_is_returned_unchanged():
    network = trained(Untraceable())
    assert folded(network) is network
