"""The measurements of `bench.photographs`, and its photographs."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 224
PHOTOGRAPH = (4032, 3024)  # pixels; 12 megapixels
COUNT = 5
NOISE = 6.0  # standard deviation, of 255; it makes a file as large as a telephone's


def write_photographs(photos: Path, folder: Path) -> None:
    """Write COUNT photographs of 12 megapixels to `folder`/test/dog."""
    target, random = folder / "test" / "dog", np.random.default_rng(0)
    target.mkdir(parents=True)
    found = sorted(photos.glob("test/*/*.jpg"))
    for number, path in enumerate(found[:: len(found) // COUNT][:COUNT]):
        large = Image.open(path).convert("RGB").resize(PHOTOGRAPH, Image.Resampling.BICUBIC)
        grain = random.normal(0, NOISE, (*PHOTOGRAPH[::-1], 1)).astype(np.float32)
        pixels = np.clip(np.asarray(large, np.float32) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(target / f"{number}.jpg", quality=90)


def decoding(folder: str, way: str) -> Callable[[], dict]:
    """Milliseconds of processor time for each photograph, on one thread."""
    decode = {"whole": whole, "scaled": scaled, "ours": ours}[way]
    files = [path.read_bytes() for path in sorted(Path(folder).glob("test/*/*.jpg"))]

    def measure() -> dict:
        began = time.thread_time()
        for data in files:
            decode(data)
        spent = (time.thread_time() - began) * 1000 / len(files)
        return {"value": spent, "megabytes": sum(map(len, files)) / len(files) / 1e6}

    measure()
    return measure


def whole(data: bytes) -> np.ndarray:
    """As the original handler: torchvision's Resize of a Pillow image is this call."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def scaled(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (2 * SIZE, 2 * SIZE))
    image.load()
    return image


def ours(data: bytes) -> np.ndarray:
    from classifier.images.decoding import decode

    return decode(data, SIZE)
