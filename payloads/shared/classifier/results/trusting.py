"""How far the answers of a model can be trusted: the figures for its card, metrics.json and the report.

They are measured on the test split, after the validation split has decided everything.
"""

from dataclasses import asdict, dataclass, field

import numpy as np

from classifier.learning.features import Features
from classifier.learning.references import ACCEPTED, References
from classifier.learning.training import Score
from classifier.results import reliability


@dataclass(frozen=True)
class Trust:
    """`calibration` and `known` are the fields of the card. `reliability` are the points of the plot, before and after
    calibration, each as the fields of a Bin."""

    calibration: dict[str, float] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)
    known_limits: dict[str, float] = field(default_factory=dict)  # class -> its limit, if each has its own
    reliability: dict[str, list[dict]] = field(default_factory=dict)


NOT_MEASURED = Trust()


def measure(
    before: Score,
    after: Score,
    test: Features,
    temperature: float,
    known: References | None,
    classes: tuple[str, ...] = (),
) -> Trust:
    """`before` and `after` are the scores of the test split without and with `temperature`. `classes` have the names
    for the limits of `known`, if each class has its own."""
    points = {name: _points(score, test.targets) for name, score in (("before", before), ("after", after))}
    errors = {name: reliability.calibration_error(each) for name, each in points.items()}
    calibration = {"temperature": temperature, "test_ece_before": errors["before"], "test_ece": errors["after"]}
    described, limits = {}, {}
    if known:
        accepted = float((known.distance(test.values, after.predicted.numpy()) <= 1).mean())
        if known.class_limits is not None:
            limits = dict(zip(classes, known.class_limits.tolist(), strict=True))
        described = {
            "limit": known.limit,
            "neighbours": known.neighbours,
            "photographs": len(known.rows),
            "kilobytes": round(known.kilobytes),
            "wanted_accepted": ACCEPTED,
            "test_accepted": accepted,
        }
    shown = {name: [asdict(point) for point in each] for name, each in points.items()}
    print(
        f"temperature={temperature:.3f} test_ece={errors['after']:.4f} (before: {errors['before']:.4f})"
        + (f" test_known={described['test_accepted']:.3f}" if described else ""),
        flush=True,
    )
    return Trust(calibration, described, limits, shown)


def _points(score: Score, targets: np.ndarray) -> list[reliability.Bin]:
    return reliability.bins(score.confidence.numpy(), score.predicted.numpy() == targets)
