"""Shared fixtures of these tests."""

import pytest
import torch
from classifier.network.model import Backbone
from torch import nn


def tiny_backbone() -> Backbone:
    """A small network for conversion and training in tests: 32 pixels in, 8 features out."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=4, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
    )
    return Backbone("tiny", network, 32, [127.0, 120.0, 110.0], [128.0, 60.0, 70.0]).eval()


@pytest.fixture
def backbone() -> Backbone:
    return tiny_backbone()
