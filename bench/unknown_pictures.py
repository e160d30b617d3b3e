"""Pictures that are in no class of a dataset of photographs: digits, noise, and parts of two other photographs."""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

DIGITS, NOISE, PARTS = 120, 50, 60  # pictures of each kind; PARTS of each photograph


def unknown(size: int) -> dict[str, np.ndarray]:
    """The kinds, each as uint8 [pictures, size, size, 3], always the same."""
    random = np.random.default_rng(0)
    return {
        "digits": _stacked(_digits(), size),
        "noise": random.integers(0, 256, (NOISE, size, size, 3), np.uint8),
        "other photographs": _stacked(_parts(random), size),
    }


def _digits() -> list[Image.Image]:
    from deploy.sample_data import write_sample

    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder))
        files = sorted(Path(folder).glob("test/*/*.png"))
        return [Image.open(file).convert("RGB") for file in files[:: len(files) // DIGITS][:DIGITS]]


def _parts(random: np.random.Generator) -> list[Image.Image]:
    """Squares at random places of scikit-learn's photographs of a temple and of a flower."""
    from sklearn.datasets import load_sample_images

    parts = []
    for pixels in load_sample_images().images:
        image = Image.fromarray(pixels)
        for _ in range(PARTS):
            side = int(random.integers(120, 400))
            left, top = (int(random.integers(0, length - side)) for length in image.size)
            parts.append(image.crop((left, top, left + side, top + side)))
    return parts


def _stacked(images: list[Image.Image], size: int) -> np.ndarray:
    from classifier.images.decoding import middle

    return np.stack([np.asarray(middle(image, size)) for image in images])
