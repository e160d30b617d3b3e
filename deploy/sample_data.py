"""Write the built-in sample: handwritten digits as a folder of labelled images.

They are the 1,797 test digits of the UCI data set "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak),
written by 13 people. scikit-learn contains them, so nothing is downloaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path

SIDE = 32  # pixels; the originals are 8 x 8, too small for most viewers
# The shares of each 20 digits of a class. The digits are ordered by writer, so this puts every writer into each split.
DEAL = ("train",) * 14 + ("valid",) * 3 + ("test",) * 3


def write_sample(root: Path) -> None:
    """Write `root/{train,valid,test}/<digit>/*.png`: 1,797 images, 1.2 MB, always the same."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for digit in range(10):
        for number, image in enumerate(digits.images[digits.target == digit]):
            split = DEAL[number % len(DEAL)]
            path = root / split / str(digit) / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            ink = Image.fromarray((255 - image * 255 / 16).astype("uint8"))  # 16 is black, on white paper
            ink.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the built-in sample: handwritten digits.")
    parser.add_argument("directory", type=Path, help="the folder for train/, valid/ and test/")
    write_sample(parser.parse_args().directory)


if __name__ == "__main__":
    main()
