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
    reliability: dict[str, list[dict]] = field(default_factory=dict)


NOT_MEASURED = Trust()


def measure(before: Score, after: Score, test: Features, temperature: float, known: References | None) -> Trust:
    """`before` and `after` are the scores of the test split without and with `temperature`."""
    points = {name: _points(score, test.targets) for name, score in (("before", before), ("after", after))}
    errors = {name: reliability.calibration_error(each) for name, each in points.items()}
    calibration = {"temperature": temperature, "test_ece_before": errors["before"], "test_ece": errors["after"]}
    described = {}
    if known:
        accepted = float((known.distance(test.values) <= 1).mean())
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
    return Trust(calibration, described, shown)


def _points(score: Score, targets: np.ndarray) -> list[reliability.Bin]:
    return reliability.bins(score.confidence.numpy(), score.predicted.numpy() == targets)
