"""Calibrate a head: of the answers with a probability of 0.8, 80 % shall be right.

One temperature divides all logits, so no prediction changes. It minimises the cross entropy of the validation split
(C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2). It is used only if it lowers the
cross entropy of photographs that did not determine it (cross-validation). A head that stopped at its best validation
loss is often calibrated already, and another temperature would make it worse.

Besides the validation photographs, DOUBT more count whose classes are distributed as the head says. Without them, a
head that makes no mistake on a small validation split would get a temperature near 0, and every answer a probability
of 1.
"""

import torch
from torch.nn import functional as F

from classifier.learning.features import Features
from classifier.learning.head import Head

IMAGES = 2000  # of the validation split, at most; one number needs no more
DOUBT = 20  # photographs
FOLDS = 3
COLDEST, HOTTEST = 0.05, 20.0  # temperatures
STEPS = 40  # of the bisection


def temperature(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """The temperature for `logits` [images, classes] and `targets` int64 [images]; 1 if none is better than that."""
    images, classes = logits.shape
    if classes == 1 or images < FOLDS:
        return 1.0
    turns = torch.arange(images) % FOLDS  # sorted classes are spread evenly
    after = 0.0
    for turn in range(FOLDS):
        held_out, rest = turns == turn, turns != turn
        found = _fitted(logits[rest], targets[rest])
        after += F.cross_entropy(logits[held_out] / found, targets[held_out], reduction="sum").item()
    before = F.cross_entropy(logits, targets, reduction="sum").item()
    return _fitted(logits, targets) if after < before else 1.0


def _fitted(logits: torch.Tensor, targets: torch.Tensor) -> float:
    logits, images = logits.double(), len(targets)
    share = DOUBT / (images + DOUBT)
    wanted = (1 - share) * F.one_hot(targets, logits.shape[1]) + share * logits.softmax(dim=1)
    mean = (wanted * logits).sum(dim=1).mean().item()
    # The cross entropy is convex in 1 / temperature. Its derivative is the difference of two expected logits.
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(STEPS):
        middle = (low + high) / 2
        expected = ((middle * logits).softmax(dim=1) * logits).sum(dim=1).mean().item()
        low, high = (middle, high) if expected < mean else (low, middle)
    return 2 / (low + high)


def calibrated(head: Head, valid: Features) -> tuple[Head, float]:
    """(the head with the temperature folded into its weights, the temperature).

    `valid` are the features of the validation split from the graph that will be served.
    """
    step = max(1, -(-len(valid.targets) // IMAGES))
    some = Features(valid.values[::step], valid.targets[::step])
    found = temperature(head.logits(some), torch.from_numpy(some.targets))
    return Head(head.weight / found, head.bias / found), found
