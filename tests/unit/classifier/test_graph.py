"""The graph gives the network's answers, and equal networks give equal files."""

import numpy as np
import pytest
import torch
from classifier.dataset.folders import DatasetError, inspect_dataset
from classifier.learning.features import extract
from classifier.network import graph

from tests.unit.classifier.conftest import tiny_backbone
from tests.unit.classifier.pictures import write_image_folder

WEIGHT = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
BIAS = np.arange(5, dtype=np.float32)


@pytest.fixture(scope="module")
def features():
    return graph.convert(tiny_backbone())


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_graph_gives_the_probabilities_of_the_network(features, backbone, count):
    whole = graph.add_head(features, WEIGHT, BIAS)
    assert (whole.input(0).get_names(), whole.output(0).get_names()) == ({"image"}, {"probabilities"})
    with torch.inference_mode():
        logits = backbone(torch.from_numpy(images(count))) @ torch.from_numpy(WEIGHT).T + torch.from_numpy(BIAS)
    answered = graph.compile_for("LATENCY", whole)(images(count))[0]
    np.testing.assert_allclose(answered, torch.softmax(logits, 1).numpy(), atol=1e-5)
    np.testing.assert_allclose(answered.sum(axis=1), 1, atol=1e-5)


def test_equal_networks_give_equal_bytes_even_in_one_process(features, tmp_path):
    for name, converted in (("a", features), ("b", graph.convert(tiny_backbone()))):
        (tmp_path / name).mkdir()
        graph.save(graph.add_head(converted, WEIGHT, BIAS), tmp_path / name)
    for file in (graph.XML, graph.BIN):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_saved_graph_is_loaded(features, tmp_path):
    whole = graph.add_head(features, WEIGHT, BIAS)
    graph.save(whole, tmp_path)
    loaded = graph.compile_for("LATENCY", graph.load(tmp_path))(images(3))[0]
    np.testing.assert_allclose(loaded, graph.compile_for("LATENCY", whole)(images(3))[0], atol=1e-6)


def test_a_missing_or_broken_graph_is_named(features, tmp_path):
    with pytest.raises(graph.GraphError, match=r"graph\.xml is missing"):
        graph.load(tmp_path)
    graph.save(features, tmp_path)
    (tmp_path / graph.XML).write_text("<net")
    with pytest.raises(graph.GraphError, match=r"graph\.xml is not a graph"):
        graph.load(tmp_path)


# ---- features -------------------------------------------------------------------------------------------------


def test_features_come_in_the_order_of_the_images(features, backbone, tmp_path, capsys):
    from classifier.dataset.folders import read_image

    split = inspect_dataset(write_image_folder(tmp_path / "squares")).splits["train"]
    found = extract(features, split, threads=2, workers=3)
    pixels = np.stack([read_image(path, 32) for path, _ in split.samples])
    with torch.inference_mode():
        expected = backbone(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(found.values, expected, atol=1e-4)
    np.testing.assert_array_equal(found.targets, split.targets)
    assert "features train 24/24" in capsys.readouterr().out


def test_a_broken_image_ends_the_pass_and_is_named(features, tmp_path):
    root = write_image_folder(tmp_path / "squares")
    broken = root / "train" / "002.green_square" / "003.jpg"
    broken.write_bytes(b"")
    split = inspect_dataset(root).splits["train"]
    with pytest.raises(DatasetError, match=r"002\.green_square/003\.jpg"):
        extract(features, split)
