"""The features of the training photographs, which show an endpoint that a picture is not one of the classes.

The distance of a picture is that of its features to the NEIGHBOURS-th nearest of some training photographs, after the
features are scaled to length 1 (Y. Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022).
It is given as a multiple of the limit, which most validation photographs do not exceed. docs/adr/0030 has the reasons
and the figures.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from classifier.learning.features import Features

NEIGHBOURS = 5
DIMENSIONS = 64  # of the features, after a projection to their principal components
PHOTOGRAPHS = 2000  # at most; evenly spread over the classes
FOR_COMPONENTS = 640  # of these, at most, for the principal components; their computation is cubic
ACCEPTED = 0.95  # the share of pictures of the classes that are within the limit
# Validation photographs that a class needs for its own limit. With fewer, none of their distances is large enough.
OWN_LIMIT = math.ceil(ACCEPTED / (1 - ACCEPTED))


class TooFewError(Exception):
    """There are too few photographs for a limit of each class. The message has the way out."""


@dataclass(frozen=True)
class References:
    """`distance` of features [images, width]: to the `neighbours`-th nearest of `rows`, divided by `limit`.

    The rows are in the space of the components. What the features have outside of this space counts too, because it is
    what pictures of another kind have.

    `mean` float32 [width], `projection` float16 [width, dimensions] and `rows` float16 [photographs, dimensions]; half
    precision halves their size and changes a distance by less than 0.1 %. `class_limits` float32 [classes], if there
    are any, replace `limit`: that of the predicted class counts.
    """

    mean: np.ndarray
    projection: np.ndarray
    rows: np.ndarray
    neighbours: int
    limit: float
    class_limits: np.ndarray | None = None

    def distance(self, values: np.ndarray, predicted: np.ndarray | None = None) -> np.ndarray:
        """float32 [images]. `predicted` are their classes, which class limits need. The graph computes the same
        (classifier.network.outputs)."""
        if self.class_limits is None:
            return self.length(values) / self.limit
        assert predicted is not None
        return self.length(values) / self.class_limits[predicted]

    def length(self, values: np.ndarray) -> np.ndarray:
        """The distance before the limit divides it, float32 [images]."""
        centred, rows = _unit(values) - self.mean, self.rows.astype(np.float32)
        points = centred @ self.projection.astype(np.float32)
        squares = (centred**2).sum(1)[:, None] + (rows**2).sum(1) - 2 * points @ rows.T
        nearest = np.partition(squares, self.neighbours - 1, axis=1)[:, self.neighbours - 1]
        return np.sqrt(np.maximum(nearest, 0))

    @property
    def kilobytes(self) -> float:
        return (self.mean.nbytes + self.projection.nbytes + self.rows.nbytes) / 1000


def learn(train: Features, valid: Features, own_limits: int = 0) -> References | None:
    """The references from features of the graph that will be served. None if there are too few photographs.

    Only the validation split decides the limit, as in conformal prediction: with n photographs, it is the
    ceil((n + 1) ACCEPTED)-th smallest distance, or the largest (A. Angelopoulos and S. Bates, "A Gentle Introduction to
    Conformal Prediction", 2021, section 1). With `own_limits`, the number of classes, the same photographs give each
    class a limit of its own (section 4.2). A class with fewer than OWN_LIMIT of them keeps the common one.
    """
    if len(train.targets) < 2 or not len(valid.targets):
        return None
    some = spread(train.targets, PHOTOGRAPHS)
    units = _unit(train.values[some])
    mean = units.mean(axis=0)
    projection = _principal((units - mean)[:: -(-len(units) // FOR_COMPONENTS)]).astype(np.float16)
    rows = ((units - mean) @ projection.astype(np.float32)).astype(np.float16)
    unscaled = References(mean, projection, rows, min(NEIGHBOURS, len(rows)), 1.0)
    lengths = unscaled.length(valid.values)
    limit = _limit(lengths)
    if limit <= 0:
        return None
    limits = [_own_limit(lengths[valid.targets == each], limit) for each in range(own_limits)]
    return replace(unscaled, limit=limit, class_limits=np.array(limits, np.float32) if limits else None)


def _own_limit(lengths: np.ndarray, common: float) -> float:
    return (_limit(lengths) if len(lengths) >= OWN_LIMIT else 0) or common


def _limit(lengths: np.ndarray) -> float:
    place = min(math.ceil((len(lengths) + 1) * ACCEPTED), len(lengths)) - 1
    return float(np.sort(lengths)[place])


def check_own_limits(valid: np.ndarray, classes: tuple[str, ...]) -> None:
    """Raise TooFewError unless a class has enough validation photographs for a limit of its own. `valid` are the
    classes of these photographs. Prints the classes that keep the common limit."""
    counts = np.bincount(valid, minlength=len(classes))
    few = [name for name, count in zip(classes, counts, strict=True) if count < OWN_LIMIT]
    if len(few) == len(classes):
        raise TooFewError(
            f"LIMITS=classes needs at least {OWN_LIMIT} validation images in a class. The most that a class has are "
            f"{counts.max()}. Give the validation split more images (SPLIT=60/25/15 of make data), or leave LIMITS out."
        )
    if few:
        named = ", ".join(few[:5]) + (" ..." if len(few) > 5 else "")
        words = f"{len(few)} of {len(classes)} classes have fewer than {OWN_LIMIT} validation images"
        print(f"warning: {words} and keep the common limit: {named}", flush=True)


def spread(targets: np.ndarray, most: int) -> np.ndarray:
    """The places of at most `most` images, the same number of each class as far as possible, in their order."""
    order = np.argsort(targets, kind="stable")
    first = np.searchsorted(targets[order], targets[order])  # where the class of each image starts
    turn = np.arange(len(order)) - first
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])


def _principal(centred: np.ndarray) -> np.ndarray:
    """The directions of the largest variance, float32 [width, at most DIMENSIONS]."""
    images, width = centred.shape
    if images <= width:  # the smaller of the two Gram matrices has the same eigenvalues
        values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
        kept = _largest(values)
        directions = centred.T @ (vectors[:, kept] / np.sqrt(values[kept]))
    else:
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        directions = vectors[:, _largest(values)]
    return np.ascontiguousarray(directions, dtype=np.float32)


def _largest(values: np.ndarray) -> np.ndarray:
    """The places of the largest eigenvalues, at most DIMENSIONS, without those that are 0 but for rounding."""
    places = np.argsort(-values)[:DIMENSIONS]
    return places[values[places] > max(values[places[0]] * 1e-9, 1e-12)]


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
