"""Find photographs that differ from all others: by their features, or by brightness, contrast and sharpness.

One rule decides: the modified z-score of Iglewicz and Hoaglin ("How to Detect and Handle Outliers", 1993), which is
above 3.5 for an outlier. It uses medians, so the outliers do not move it. Needs NumPy and Pillow only.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from classifier.dataset.checks import SIDE

LIMIT = 3.5
NEIGHBOURS = 5
REFERENCES = 4000  # images that the others are compared with, at most
ROWS = 1024  # compared at once
SAME = 1e-3  # the distance of an image to itself is 0, but for the rounding of float32
MEASURES = ("brightness", "contrast", "sharpness")
WIDTH = len(MEASURES) + SIDE * SIDE * 3  # of one image's look


def look(pixels: np.ndarray) -> np.ndarray:
    """MEASURES and a thumbnail of a decoded image, float32 [WIDTH].

    Brightness and contrast are the mean and the deviation of the grey values, 0 to 255. Sharpness is the variance of
    the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000).
    """
    grey = pixels[..., 1].astype(np.float32)  # green has the largest part of brightness
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    small = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    return np.concatenate(([grey.mean(), grey.std(), laplacian.var()], small.ravel()), dtype=np.float32)


def thumbnails(looks: np.ndarray) -> np.ndarray:
    """uint8 [images, SIDE, SIDE, 3], as `checks.alike` compares them."""
    return looks[:, len(MEASURES) :].astype(np.uint8).reshape(-1, SIDE, SIDE, 3)


def measures(looks: np.ndarray) -> np.ndarray:
    """MEASURES of each image, float32 [images, 3]."""
    return looks[:, : len(MEASURES)]


def by_look(measured: np.ndarray) -> dict[str, np.ndarray]:
    """The rows that are odd, by the word for it, the oddest first. `measured` has MEASURES."""
    brightness, contrast, sharpness = measured.T
    scores = {
        "dark": -z_scores(brightness),
        "bright": z_scores(brightness),
        "flat": -z_scores(np.log1p(contrast)),
        "blurred": -z_scores(np.log1p(sharpness)),
    }
    return {word: _beyond(score) for word, score in scores.items()}


def by_features(parts: Sequence[np.ndarray], references: np.ndarray) -> np.ndarray:
    """The rows of all `parts`, one after the other, that are far from `references` [images, width], the farthest first.

    The measure is the logarithm of the mean distance to the nearest NEIGHBOURS, of features scaled to one length.
    """
    if len(references) <= NEIGHBOURS:
        return np.empty(0, np.int64)
    known = _unit(references[:: -(-len(references) // REFERENCES)])
    distances = [_distances(values[start : start + ROWS], known) for values in parts
                 for start in range(0, len(values), ROWS)]  # fmt: skip
    return _beyond(z_scores(np.log(np.maximum(np.concatenate(distances), 1e-6))))


def _distances(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The mean distance of each row to its nearest NEIGHBOURS in `known`, without itself."""
    squares = np.maximum(2 - 2 * _unit(values) @ known.T, 0)
    nearest = np.sqrt(np.partition(squares, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1])
    itself = nearest.min(axis=1) < SAME
    surplus = np.where(itself, nearest.min(axis=1), nearest.max(axis=1))
    return (nearest.sum(axis=1) - surplus) / NEIGHBOURS


def z_scores(values: np.ndarray) -> np.ndarray:
    """0.6745 (x - median) / MAD; 0 everywhere if more than half of the values are equal."""
    from_median = values - np.median(values)
    spread = np.median(np.abs(from_median))
    return 0.6745 * from_median / spread if spread > 0 else np.zeros_like(from_median)


def _beyond(scores: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(scores > LIMIT)
    return rows[np.argsort(-scores[rows], kind="stable")]


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
