"""A dataset and captured images for the tests of the review."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence

import numpy as np
from PIL import Image

BUCKET = "pawprint-test"
CLASSES = ("001.cat", "002.dog")


def picture(seed: int, kind: str = "PNG") -> bytes:
    """A photograph that looks like no other."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    made = io.BytesIO()
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(made, kind)
    return made.getvalue()


def put_dataset(account, name: str = "pets") -> None:
    """Two classes with two photographs in each split. The seeds are 0 to 11."""
    s3 = account.client("s3")
    seeds = iter(range(12))
    for split in ("train", "valid", "test"):
        for folder in CLASSES:
            for number in range(2):
                key = f"datasets/{name}/{split}/{folder}/{number}.png"
                s3.put_object(Bucket=BUCKET, Key=key, Body=picture(next(seeds)))
    document = {"name": name, "classes": list(CLASSES), "images": {"train": 4, "valid": 4, "test": 4}, "source": "x"}
    s3.put_object(Bucket=BUCKET, Key=f"datasets/{name}/dataset.json", Body=json.dumps(document).encode())


def put_capture(
    account,
    image: bytes,
    probabilities: Sequence[float] = (0.6, 0.4),
    distance: float | None = 0.5,
    hour: str = "2026/11/29/12",
    name: str | None = None,
) -> None:
    """A captured image as the function writes it."""
    trust = {} if distance is None else {"known": distance <= 1, "distance": distance}
    answer = {
        "predictions": [
            {"label": f"{'cat' if not place else 'dog'}", "probability": each}
            for place, each in enumerate(probabilities)
        ],
        "model": {"name": "pets-1"},
        **trust,
    }
    given = {
        "observedContentType": "image/png",
        "mode": "INPUT",
        "data": base64.b64encode(image).decode(),
        "encoding": "BASE64",
    }
    said = {"observedContentType": "application/json", "mode": "OUTPUT", "data": json.dumps(answer), "encoding": "JSON"}
    line = {
        "captureData": {"endpointInput": given, "endpointOutput": said},
        "eventMetadata": {"eventId": "id", "inferenceTime": "2026-11-29T12:00:00Z"},
        "eventVersion": "0",
    }
    key = f"captures/{hour}/{name or abs(hash(image))}.jsonl"
    account.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(line).encode() + b"\n")
