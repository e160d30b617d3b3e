"""The rule of a preset: of the networks that are accurate enough, the fastest. Standard library only."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

# Accuracy on the validation split that a preset gives up for speed, at most, against the best of the trial.
MARGINS = {"fast": 0.03, "balanced": 0.01, "best": 0.0}
# (network, pixels a side). Lite0 in smaller pictures is faster than any smaller network with weights from a package.
CANDIDATES = (
    ("efficientnet-lite0", 160),
    ("efficientnet-lite0", 192),
    ("efficientnet-lite0", 224),
    ("efficientnet-lite1", 240),
    ("efficientnet-lite2", 260),
)


@dataclass(frozen=True)
class PresetTrial:
    """A candidate of the trial: its accuracy on `images` validation images, and the milliseconds for one image."""

    architecture: str
    resolution: int
    accuracy: float
    images: int
    latency_ms: float


def choose(measured: Sequence[PresetTrial], preset: str) -> PresetTrial:
    """The fastest candidate within the preset's margin of the most accurate one."""
    best = max(each.accuracy for each in measured)
    enough = [each for each in measured if each.accuracy >= best - MARGINS[preset] - 1e-9]
    return min(enough, key=lambda each: each.latency_ms)


def records(measured: Sequence[PresetTrial], preset: str) -> list[dict]:
    """The table of a trial, for the report and metrics.json."""
    chosen = choose(measured, preset)
    return [asdict(each) | {"chosen": each is chosen} for each in measured]


def table(rows: Sequence[dict]) -> str:
    """The records as text."""
    lines = [f"  {'network':<20} {'pixels':>6} {'valid accuracy':>14} {'ms/image':>9}"]
    for row in rows:
        lines.append(
            f"  {row['architecture']:<20} {row['resolution']:>6} {row['accuracy']:>14.4f} {row['latency_ms']:>9.2f}"
            f"{'  chosen' if row['chosen'] else ''}"
        )
    return "\n".join(lines)
