"""`make export`: what is refused, and how the answers of the file are compared."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from deploy.commands import export
from deploy.console import Failure
from deploy.export import onnx_file


@pytest.mark.parametrize("kind", ["tflite", "coreml"])
def test_a_format_without_a_converter_is_refused_with_the_way_out(monkeypatch, kind):
    monkeypatch.setattr(sys, "argv", ["export", "--format", kind])
    with pytest.raises(Failure, match=r"is not possible: .*make export FORMAT=onnx"):
        export.main()


def test_the_difference_is_the_largest_of_all_probabilities(monkeypatch, tmp_path):
    answers = iter([np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[0.8, 0.2], [0.55, 0.45]])])
    monkeypatch.setattr(onnx_file, "_answers", lambda model, images: next(answers))
    monkeypatch.setattr(onnx_file.graph, "load", lambda folder: None)
    monkeypatch.setattr("openvino.Core.read_model", lambda core, path: None)
    found = onnx_file.compare(tmp_path, tmp_path / "model.onnx", [np.zeros(1)] * 2)
    assert (found.images, round(found.largest, 6), found.same_label) == (2, 0.15, 1)


def test_images_that_cannot_be_decoded_are_named_and_left_out(tmp_path: Path, capsys):
    from PIL import Image

    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_text("not an image")
    assert [each.shape for each in export.decoded(str(tmp_path), 16)] == [(16, 16, 3)]
    assert "b.jpg" in capsys.readouterr().err
    (tmp_path / "a.png").unlink()
    with pytest.raises(Failure, match="no image to compare"):
        export.decoded(str(tmp_path), 16)
