"""Generate pictures and folders of pictures."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"001.red_square": (200, 40, 40), "002.green_square": (40, 180, 60), "003.blue_square": (50, 60, 200)}
COUNTS = {"train": 8, "valid": 4, "test": 4}


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noisy_square(colour: tuple[int, int, int], seed: int, side: int = 48) -> Image.Image:
    """A coloured square on noise, placed by `seed`."""
    random = np.random.default_rng(seed)
    pixels = random.integers(90, 160, (side, side, 3), dtype=np.uint8)
    left, top = random.integers(2, side // 2 - 2, 2)
    pixels[top : top + side // 2, left : left + side // 2] = colour
    return Image.fromarray(pixels)


def write_image_folder(root: Path, counts: dict[str, int] | None = None) -> Path:
    """`root/{train,valid,test}/<class>/*.jpg`: three classes that any network can distinguish."""
    seed = 0
    for split, count in (counts or COUNTS).items():
        for name, colour in COLOURS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                seed += 1
                noisy_square(colour, seed).save(folder / f"{number:03}.jpg", quality=95)
    return root
