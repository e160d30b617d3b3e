"""The reliability plot of a report, as SVG: accuracy against probability, before and after calibration."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from markupsafe import Markup

from classifier.results.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
NAMES = {"before": "before", "after": "as served"}
KINDS = {"before": "line1", "after": "line0"}  # classes of the page's style; the last one is drawn on top
SMALLEST, LARGEST = 2.5, 9.0  # radius of a point, by its share of the images


def reliability(points: Mapping[str, Sequence[Mapping[str, Any]]]) -> Markup:
    """One circle per bin, its area the share of the images. On the dashed line, a probability is the accuracy."""
    parts = [Markup('<text class="title" x="{}" y="16">Correct predictions</text>').format(LEFT)]
    line = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    text = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    for tick in TICKS:
        parts.append(line.format("grid", _x(0), _y(tick), _x(1), _y(tick)))
        parts.append(text.format(LEFT - 6, _y(tick) + 4, "end", f"{tick:.0%}"))
        parts.append(text.format(_x(tick), HEIGHT - BOTTOM + 17, "end" if tick == 1 else "middle", f"{tick:.0%}"))
    parts.append(text.format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, "middle", "probability of the predicted class"))
    parts.append(line.format("mark", _x(0), _y(0), _x(1), _y(1)))
    for number, (key, name) in enumerate(NAMES.items()):
        parts += _circles(points[key], KINDS[key])
        left = WIDTH - RIGHT - 92 * (len(NAMES) - number)
        parts.append(Markup('<circle class="dot {}" cx="{}" cy="12" r="4"/>').format(KINDS[key], left + 10))
        parts.append(text.format(left + 20, 16, "start", name))
    drawing = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="accuracy by probability">{}</svg>')
    return drawing.format(WIDTH, HEIGHT, Markup("").join(parts))


def _circles(points: Sequence[Mapping[str, Any]], kind: str) -> list[Markup]:
    total = sum(point["images"] for point in points) or 1
    circle = Markup(
        '<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}" fill-opacity="0.75"><title>{}</title></circle>'
    )
    return [
        circle.format(
            kind,
            _x(point["probability"]),
            _y(point["accuracy"]),
            max(SMALLEST, LARGEST * sqrt(point["images"] / total)),
            f"{point['images']} images, probability {point['probability']:.2f}, accuracy {point['accuracy']:.2f}",
        )
        for point in points
    ]


def _x(share: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * share


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
