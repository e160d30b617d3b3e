"""Calibrate a head: of the answers with a probability of 0.8, 80 % shall be right.

One temperature divides all logits, so no prediction changes. It minimises the cross entropy of the validation split
(C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2). The targets are smoothed as in
Platt scaling: with n images, 1/(n + 2) of each target belongs to the other classes, in the shares that the head gives
them (J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999, section 2.2). Without that, a head that makes
no mistake on the validation split would get a temperature near 0, and every answer a probability of 1.
"""

import torch

from classifier.learning.features import Features
from classifier.learning.head import Head

IMAGES = 5000  # of the validation split, at most; one number needs no more
COLDEST, HOTTEST = 0.05, 20.0  # temperatures
STEPS = 40  # of the bisection


def temperature(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """The temperature for `logits` [images, classes] and `targets` int64 [images]; 1 if there is only one class."""
    images, classes = logits.shape
    if classes == 1 or not images:
        return 1.0
    logits, place, doubt = logits.double(), targets[:, None], 1 / (images + 2)
    others = logits.scatter(1, place, -torch.inf).softmax(dim=1)
    smoothed = (doubt * others).scatter(1, place, 1 - doubt)
    wanted = (smoothed * logits).sum(dim=1).mean().item()
    # The cross entropy is convex in 1 / temperature. Its derivative is the difference of two expected logits.
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(STEPS):
        middle = (low + high) / 2
        expected = ((middle * logits).softmax(dim=1) * logits).sum(dim=1).mean().item()
        low, high = (middle, high) if expected < wanted else (low, middle)
    return 2 / (low + high)


def calibrated(head: Head, valid: Features) -> tuple[Head, float]:
    """(the head with the temperature folded into its weights, the temperature).

    `valid` are the features of the validation split from the graph that will be served.
    """
    step = max(1, -(-len(valid.targets) // IMAGES))
    some = Features(valid.values[::step], valid.targets[::step])
    found = temperature(head.logits(some), torch.from_numpy(some.targets))
    return Head(head.weight / found, head.bias / found), found
