"""The augmentation of images."""

import numpy as np
import pytest
import torch
from classifier.dataset.folders import inspect_dataset
from classifier.images import augmentation
from classifier.images.decoding import decode
from classifier.learning.features import extract, stacked
from classifier.network import graph
from classifier.settings import AUGMENTATIONS
from PIL import Image

from tests.unit.classifier.conftest import tiny_backbone
from tests.unit.classifier.pictures import write_image_folder

SIZE = 32


@pytest.fixture
def picture(tmp_path) -> bytes:
    """Red on the left, with a green frame that a close view does not contain."""
    pixels = np.zeros((96, 96, 3), np.uint8)
    pixels[:, :48, 0] = 255
    for edge in (pixels[:6], pixels[-6:], pixels[:, :6], pixels[:, -6:]):
        edge[:] = (0, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return (tmp_path / "picture.png").read_bytes()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_first_view_is_that_of_serving(picture, name):
    first, *others = augmentation.views(name)
    assert np.array_equal(first(picture, SIZE), decode(picture, SIZE))
    assert len(others) == {"none": 0, "flip": 1, "crop": 3}[name]


def test_the_views_are_mirrored_and_close(picture):
    plain, mirrored, close, close_mirrored = (view(picture, SIZE) for view in augmentation.views("crop"))
    assert np.array_equal(mirrored, plain[:, ::-1])
    assert np.array_equal(close_mirrored, close[:, ::-1])
    assert plain[..., 1].max() > 200  # the frame
    assert close[..., 1].max() < 50
    assert close.shape == plain.shape == (SIZE, SIZE, 3)
    assert close[SIZE // 2, 4, 0] > 200 > 50 > close[SIZE // 2, -4, 0]


def test_a_network_gets_an_image_plain_mirrored_or_cropped(picture, tmp_path):
    image = Image.open(tmp_path / "picture.png")
    torch.manual_seed(0)
    seen = {name: {augmentation.at_random(name, SIZE)(image).tobytes() for _ in range(20)} for name in AUGMENTATIONS}
    assert seen["none"] == {decode(picture, SIZE).tobytes()}
    assert seen["flip"] == {decode(picture, SIZE).tobytes(), decode(picture, SIZE)[:, ::-1].tobytes()}
    assert len(seen["crop"]) > 10


def test_features_of_several_views_follow_one_another(tmp_path):
    split = inspect_dataset(write_image_folder(tmp_path / "squares")).splits["train"]
    network = graph.convert(tiny_backbone())
    plain, mirrored = (extract(network, split, decoder=view) for view in augmentation.views("flip"))
    both = stacked([plain, mirrored])
    assert np.array_equal(both.values, np.concatenate([plain.values, mirrored.values]))
    assert both.targets.tolist() == split.targets.tolist() * 2
    assert stacked([plain]) is plain
