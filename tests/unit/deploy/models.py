"""Small models that classify colours, as archives, and pictures for them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from classifier import artifact
from classifier.network import graph
from classifier.network.runtime import ops, ov
from PIL import Image

from tests.unit.classifier.test_artifact import CARD, SERVING, write_tar

SIDE = 32
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
CHANNELS = {"red": 0, "green": 1, "blue": 2}


def colour_model(folder: Path, name: str, classes: tuple[str, ...], sees: dict[str, str] | None = None) -> Path:
    """The archive of a model that answers with the brightest channel. `sees`: class -> the colour it looks for."""
    image = ops.parameter([-1, SIDE, SIDE, 3], np.uint8)
    image.output(0).set_names({"image"})
    channels = ops.reduce_mean(ops.convert(image, "f32"), np.array([1, 2]), False)
    weight = np.zeros((len(classes), 3), np.float32)
    for row, label in enumerate(classes):
        weight[row, CHANNELS[(sees or {}).get(label, label)]] = 0.1
    place = folder / name
    place.mkdir(parents=True)
    features = ov.Model([ops.result(channels)], [image], "channels")
    graph.save(graph.add_head(features, weight, np.zeros(len(classes), np.float32)), place)
    (place / artifact.WEIGHTS).write_bytes(b"none")
    serving = write_tar(folder / f"{name}-serving.tar.gz", SERVING)
    made = replace(CARD, name=name, classes=classes, labels=classes, input_size=SIDE)
    artifact.complete(place, made, serving)
    # An archive whose serving code has not run in AWS's image is refused (deploy.sagemaker.promotion).
    card = replace(artifact.read_card(place), serving={"image": "tests"})
    (place / artifact.CARD).write_text(card.to_json())
    artifact.pack(place, folder / f"{name}.tar.gz")
    return folder / f"{name}.tar.gz"


def picture(colour: str, number: int) -> bytes:
    """A PNG of one colour; another `number` gives other bytes."""
    pixels = np.full((SIDE, SIDE, 3), COLOURS[colour], np.uint8)
    pixels[0, 0] = number
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
