"""The pictures of a report: curves as SVG, confusion matrices as a table or a small PNG. All of it stands in the page.

Colours are the page's own (CSS variables), so that light, dark and print fit. Every text that comes from outside is
escaped here.
"""

import base64
import io
import math
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 34, 34
RIGHT_COLOUR, WRONG_COLOUR = (47, 111, 189), (214, 92, 28)  # --right and --wrong of the page
PERCENT_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
SHORT = 3  # letters of a name that stands upright over its column
TABLE_CLASSES = 20  # with more, numbers in a table can no longer be read

Series = dict[str, Sequence[float]]


def curves(title: str, epochs: Sequence[int], series: Series, mark: int | None, *, percent: bool = False) -> str:
    """Lines over epochs, the first solid in one colour, the second in another; `mark` is an epoch to point out."""
    values = [value for line in series.values() for value in line if math.isfinite(value)]
    # A loss is seen against 0; accuracies lie close together, far from it.
    low, high, ticks = _scale(min(values, default=0.0) if percent else 0.0, max(values, default=1.0), percent)

    def x(epoch: int) -> float:
        span = max(epochs) - min(epochs)
        return LEFT + (WIDTH - LEFT - RIGHT) * ((epoch - min(epochs)) / span if span else 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    parts = [f'<text class="title" x="{LEFT}" y="16">{escape(title)}</text>']
    for tick in ticks:
        shown = f"{tick:.0%}" if percent else f"{tick:g}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{shown}</text>')
    for epoch in _epoch_ticks(epochs):
        parts.append(f'<text x="{x(epoch):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{epoch}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 3}" text-anchor="middle">epoch</text>')
    if mark in epochs:
        parts.append(f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    for number, (name, line) in enumerate(series.items()):
        points = [(x(epoch), y(value)) for epoch, value in zip(epochs, line, strict=True) if math.isfinite(value)]
        parts.append(_line(points, f"line{number}"))
        if mark in epochs and math.isfinite(line[epochs.index(mark)]):
            place = f'cx="{x(mark):.1f}" cy="{y(line[epochs.index(mark)]):.1f}"'
            parts.append(f'<circle class="dot line{number}" {place} r="3.5"/>')
        at = WIDTH - RIGHT - 92 * (len(series) - number) if len(series) > 1 else WIDTH
        if len(series) > 1:
            parts.append(f'<line class="line{number}" x1="{at}" x2="{at + 18}" y1="12" y2="12"/>')
            parts.append(f'<text x="{at + 23}" y="16">{escape(name)}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)} by epoch">{"".join(parts)}</svg>'
    )


def _line(points: list[tuple[float, float]], kind: str) -> str:
    if len(points) == 1:
        return f'<circle class="dot {kind}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="4"/>'
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _scale(low: float, high: float, percent: bool) -> tuple[float, float, list[float]]:
    """Round bounds and some four round ticks between them; percentages end at 100."""
    if high - low < 1e-9:
        low, high = low - 0.05, high + 0.05
    rough = (high - low) / 4
    magnitude = 10 ** math.floor(math.log10(rough))
    steps = PERCENT_STEPS if percent else [factor * magnitude for factor in (1, 2, 2.5, 5, 10)]
    step = next(step for step in steps if step >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    if percent:
        last = min(last, math.floor(1 / step + 1e-9))
        first = min(first, last - 1)
    ticks = [round(count * step, 10) for count in range(first, last + 1)]
    return ticks[0], max(ticks[-1], high), ticks


def _epoch_ticks(epochs: Sequence[int]) -> list[int]:
    step = next(step for step in _round_steps() if len(epochs) / step <= 10)
    return [epoch for epoch in epochs if epoch % step == 0 or len(epochs) <= 10]


def _round_steps():
    magnitude = 1
    while True:
        yield from (magnitude, 2 * magnitude, 5 * magnitude)
        magnitude *= 10


# ---- confusion ------------------------------------------------------------------------------------------------


def confusion(matrix: np.ndarray, labels: Sequence[str]) -> str:
    """Rows are what the images show, columns what they were taken for: numbers, or a picture for many classes."""
    return _confusion_table(matrix, labels) if len(labels) <= TABLE_CLASSES else _confusion_picture(matrix, labels)


def _confusion_table(matrix: np.ndarray, labels: Sequence[str]) -> str:
    heads = "".join(f'<th scope="col" title="{escape(label)}">{name(label)}</th>' for label in labels)
    rows = []
    for i, label in enumerate(labels):
        total = max(int(matrix[i].sum()), 1)
        cells = "".join(_cell(int(count), count / total, i == j) for j, count in enumerate(matrix[i]))
        rows.append(f'<tr><th scope="row" title="{escape(label)}">{name(label)}</th>{cells}</tr>')
    corner = '<th class="corner">is ↓ &nbsp; taken for →</th>'
    short = " short" if max(map(len, labels)) <= SHORT else ""
    return f'<div class="wide"><table class="confusion{short}"><tr>{corner}{heads}</tr>{"".join(rows)}</table></div>'


def _cell(count: int, share: float, right: bool) -> str:
    if not count:
        return "<td></td>"
    red, green, blue = RIGHT_COLOUR if right else WRONG_COLOUR
    shade = 0.15 + 0.85 * share
    strong = ' class="strong"' if shade > 0.65 else ""
    return f'<td{strong} style="background:rgba({red},{green},{blue},{shade:.2f})">{count}</td>'


def _confusion_picture(matrix: np.ndarray, labels: Sequence[str]) -> str:
    """One pixel for each pair of classes, transparent where there is nothing."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pixels = np.zeros((*matrix.shape, 4), np.uint8)
    pixels[..., :3] = WRONG_COLOUR
    pixels[np.arange(len(labels)), np.arange(len(labels)), :3] = RIGHT_COLOUR
    pixels[..., 3] = np.where(matrix > 0, 255 * np.minimum(0.35 + 0.65 * share, 1), 0)
    source = data_uri(Image.fromarray(pixels), "PNG")
    image = f'<img class="heat" alt="confusion matrix of {len(labels)} classes" src="{source}">'
    first, last = name(labels[0]), name(labels[-1])
    return (
        '<figure class="heat"><div class="upright">is</div>'
        f'<div>{image}<div class="ends"><span>{first}</span><span>taken for</span><span>{last}</span></div></div>'
        f"<figcaption>Each pixel is a pair of {len(labels)} classes, in the order of their folders, {first} in the "
        "upper left corner: what the image shows downwards, what it was taken for to the right. The diagonal is "
        "right, everything else a mistake; the stronger, the more of the class's images.</figcaption></figure>"
    )


# ---- text and pictures ----------------------------------------------------------------------------------------


def name(text: str) -> str:
    """A name from outside: escaped, and held together whichever way its script runs."""
    return f"<bdi>{escape(text)}</bdi>"


def data_uri(image: Image.Image, kind: str, **options) -> str:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
