"""int8: the same function, the decision on the validation split, and the same graph in every process."""

from types import SimpleNamespace

import numpy as np
import pytest
from classifier.dataset.folders import Split, inspect_dataset, read_image
from classifier.dataset.samples import Samples
from classifier.learning.distributed import ALONE
from classifier.network import graph, quantize
from classifier.network.runtime import ov

from tests.unit.classifier.conftest import tiny_backbone
from tests.unit.classifier.pictures import write_image_folder


@pytest.fixture(scope="module")
def train(tmp_path_factory) -> Split:
    return inspect_dataset(write_image_folder(tmp_path_factory.mktemp("data") / "squares")).splits["train"]


@pytest.fixture(scope="module")
def fp32() -> ov.Model:
    return graph.convert(tiny_backbone())


@pytest.fixture(scope="module")
def int8(fp32, train) -> ov.Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "FIRST", 0)  # the network has one convolution
        return quantize.quantize(fp32, train)


def valid(tmp_path, images: int) -> Split:
    return Split("valid", Samples([(tmp_path, Samples.pack(f"{number}.jpg" for number in range(images)))]))


def test_the_int8_graph_gives_nearly_the_output_of_fp32(fp32, int8, train):
    images = np.stack([read_image(path, 32) for path, _ in train.samples])
    expected, found = (graph.compile_for("LATENCY", network)(images)[0] for network in (fp32, int8))
    assert "FakeQuantize" in {node.get_type_name() for node in int8.get_ops()}
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 0 < error < 0.1


def test_a_second_quantisation_gives_the_same_file(fp32, int8, train, tmp_path, monkeypatch):
    monkeypatch.setattr(quantize, "FIRST", 0)
    again = quantize.quantize(fp32, train)
    weight, bias = np.ones((3, 8), np.float32), np.zeros(3, np.float32)
    for name, network in (("once", int8), ("again", again)):
        (tmp_path / name).mkdir()
        graph.save(graph.add_head(network, weight, bias), tmp_path / name)
    for file in (graph.XML, graph.BIN):
        assert (tmp_path / "once" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


@pytest.mark.parametrize(("images", "most", "taken"), [(24, 300, 24), (24, 24, 24), (25, 24, 13), (1680, 300, 280)])
def test_a_part_is_spread_evenly_over_the_whole(tmp_path, images, most, taken):
    whole = valid(tmp_path, images)
    part = quantize.part(whole, most)
    assert len(part) == taken
    assert list(part.samples) == list(whole.samples)[:: -(-images // taken)]


def test_the_other_processes_get_the_writers_graph(int8, train):
    """World.broadcast has its own tests. Here, one process fills a dict and the other reads it."""
    sent = {}
    writer = SimpleNamespace(size=2, is_writer=True, broadcast=sent.update)
    other = SimpleNamespace(size=2, is_writer=False, broadcast=lambda value: sent)
    kept, received = (quantize._on_every_process(network, world) for network, world in ((int8, writer), (None, other)))
    images = np.stack([read_image(path, 32) for path, _ in train.samples])
    expected, found = (graph.compile_for("LATENCY", network)(images)[0] for network in (kept, received))
    np.testing.assert_array_equal(found, expected)


# ---- which one ships ------------------------------------------------------------------------------------------


def choose(fp32, train, valid, asked: str, accuracies: dict[str, float] | None = None):
    """The choice for graphs with these accuracies. None: the judge must not be called."""

    def judge(network: ov.Model) -> quantize.Judged:
        assert accuracies, "the judge was called without need"
        precision = "fp32" if network is fp32 else "int8"
        return accuracies[precision], f"features in {precision}"

    return quantize.choose(fp32, train, valid, asked, judge, quantize.MIN_VALID, 1, ALONE)


@pytest.mark.parametrize(
    ("int8_accuracy", "ships"), [(0.97, "int8"), (0.96, "int8"), (0.955, "int8"), (0.9549, "fp32"), (0.5, "fp32")]
)
def test_int8_is_served_if_it_loses_at_most_half_a_point(fp32, train, tmp_path, int8_accuracy, ships, capsys):
    accuracies = {"fp32": 0.96, "int8": int8_accuracy}
    network, decision, features = choose(fp32, train, valid(tmp_path, 200), "auto", accuracies)
    assert (decision.precision, decision.accuracy, features) == (ships, accuracies, f"features in {ships}")
    assert (network is fp32) == (ships == "fp32")
    assert f"precision {ships}: the validation accuracy is {int8_accuracy:.4f} with int8" in capsys.readouterr().out


def test_if_validation_is_too_small_to_measure_the_loss_nothing_is_quantised(fp32, train, tmp_path):
    network, decision, _ = choose(fp32, train, valid(tmp_path, 199), "auto")
    assert (network, decision.precision) == (fp32, "fp32")
    assert "cannot be measured on 199 validation images; it takes 200" in decision.reason


@pytest.mark.parametrize("asked", ["int8", "fp32"])
def test_a_requested_precision_is_served_without_a_comparison(fp32, train, tmp_path, asked):
    network, decision, _ = choose(fp32, train, valid(tmp_path, 3), asked)
    assert (decision.precision, decision.reason, network is fp32) == (asked, "asked for", asked == "fp32")
