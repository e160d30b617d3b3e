"""The charts of a report: curves as SVG, a confusion matrix as a table or as a small PNG. The page contains them all.

The colours are CSS variables of the page, so they fit its light, dark and print forms. The functions return markup, in
which every text from outside is escaped.
"""

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 34, 34
RIGHT_COLOUR, WRONG_COLOUR = (47, 111, 189), (214, 92, 28)  # --right and --wrong of the page
PERCENT_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
SHORT = 3  # letters of a name that fits horizontally above its column
TABLE_CLASSES = 20  # a larger table is not readable

Series = dict[str, Sequence[float]]


def curves(title: str, epochs: Sequence[int], series: Series, mark: int | None, *, percent: bool = False) -> Markup:
    """Lines over epochs, the first solid in one colour, the second in another; `mark` is an epoch to point out."""
    values = [value for line in series.values() for value in line if math.isfinite(value)]
    # The axis of a loss starts at 0. Accuracies are close together and far from 0.
    low, high, ticks = _scale(min(values, default=0.0) if percent else 0.0, max(values, default=1.0), percent)

    def x(epoch: int) -> float:
        span = max(epochs) - min(epochs)
        return LEFT + (WIDTH - LEFT - RIGHT) * ((epoch - min(epochs)) / span if span else 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    title_text = Markup('<text class="title" x="{}" y="16">{}</text>')
    grid_line = Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
    value_text = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>')
    axis_text = Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
    mark_line = Markup('<line class="mark" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>')
    dot = Markup('<circle class="dot line{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>')
    legend = Markup('<line class="line{}" x1="{}" x2="{}" y1="12" y2="12"/><text x="{}" y="16">{}</text>')

    parts = [title_text.format(LEFT, title)]
    for tick in ticks:
        shown = f"{tick:.0%}" if percent else f"{tick:g}"
        parts.append(grid_line.format(LEFT, WIDTH - RIGHT, y(tick), y(tick)))
        parts.append(value_text.format(LEFT - 6, y(tick) + 4, shown))
    for epoch in _epoch_ticks(epochs):
        parts.append(axis_text.format(x(epoch), HEIGHT - BOTTOM + 17, epoch))
    parts.append(axis_text.format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, "epoch"))
    if mark is not None and mark in epochs:
        parts.append(mark_line.format(x(mark), x(mark), TOP, HEIGHT - BOTTOM))
    for number, (label, line) in enumerate(series.items()):
        points = [(x(epoch), y(value)) for epoch, value in zip(epochs, line, strict=True) if math.isfinite(value)]
        parts.append(_line(points, f"line{number}"))
        if mark is not None and mark in epochs and math.isfinite(line[epochs.index(mark)]):
            parts.append(dot.format(number, x(mark), y(line[epochs.index(mark)])))
        if len(series) > 1:
            left = WIDTH - RIGHT - 92 * (len(series) - number)
            parts.append(legend.format(number, left, left + 18, left + 23, label))
    drawing = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{} by epoch">{}</svg>')
    return drawing.format(WIDTH, HEIGHT, title, Markup("").join(parts))


def _line(points: list[tuple[float, float]], kind: str) -> Markup:
    if len(points) == 1:
        return Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(kind, *points[0])
    return Markup('<polyline class="{}" points="{}"/>').format(kind, " ".join(f"{x:.1f},{y:.1f}" for x, y in points))


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


def confusion(matrix: np.ndarray, labels: Sequence[str]) -> Markup:
    """Rows are actual classes, columns are predicted classes. The result is a table, or a picture for many classes."""
    return _confusion_table(matrix, labels) if len(labels) <= TABLE_CLASSES else _confusion_picture(matrix, labels)


def _confusion_table(matrix: np.ndarray, labels: Sequence[str]) -> Markup:
    head = Markup('<th scope="{}" title="{}">{}</th>')
    row = Markup("<tr>{}{}</tr>")
    rows = [
        row.format(
            Markup('<th class="corner">actual ↓ &nbsp; predicted →</th>'),
            Markup("").join(head.format("col", label, name(label)) for label in labels),
        )
    ]
    for i, label in enumerate(labels):
        total = max(int(matrix[i].sum()), 1)
        cells = (_cell(int(count), count / total, i == j) for j, count in enumerate(matrix[i]))
        rows.append(row.format(head.format("row", label, name(label)), Markup("").join(cells)))
    short = " short" if max(map(len, labels)) <= SHORT else ""
    table = Markup('<div class="wide"><table class="confusion{}">{}</table></div>')
    return table.format(short, Markup("").join(rows))


def _cell(count: int, share: float, right: bool) -> Markup:
    if not count:
        return Markup("<td></td>")
    red, green, blue = RIGHT_COLOUR if right else WRONG_COLOUR
    shade = 0.15 + 0.85 * share
    strong = Markup(' class="strong"') if shade > 0.65 else ""
    cell = Markup('<td{} style="background:rgba({},{},{},{:.2f})">{}</td>')
    return cell.format(strong, red, green, blue, shade, count)


def _confusion_picture(matrix: np.ndarray, labels: Sequence[str]) -> Markup:
    """One pixel per pair of classes, transparent if the count is 0."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pixels = np.zeros((*matrix.shape, 4), np.uint8)
    pixels[..., :3] = WRONG_COLOUR
    pixels[np.arange(len(labels)), np.arange(len(labels)), :3] = RIGHT_COLOUR
    pixels[..., 3] = np.where(matrix > 0, 255 * np.minimum(0.35 + 0.65 * share, 1), 0)
    return Markup(
        '<figure class="heat"><div class="upright">actual</div>'
        '<div><img class="heat" alt="confusion matrix of {count} classes" src="{source}">'
        '<div class="ends"><span>{first}</span><span>predicted</span><span>{last}</span></div></div>'
        "<figcaption>Each pixel is one pair of the {count} classes. Rows are actual classes, columns are predicted "
        "classes. Both follow the order of the dataset's folders, with {first} in the upper left corner. The diagonal "
        "shows correct predictions, every other pixel shows mistakes. A stronger colour means a larger share of the "
        "images of the actual class.</figcaption></figure>"
    ).format(
        count=len(labels),
        source=data_uri(Image.fromarray(pixels), "PNG"),
        first=name(labels[0]),
        last=name(labels[-1]),
    )


# ---- text and pictures ----------------------------------------------------------------------------------------


def name(text: str) -> Markup:
    """A name from outside: escaped, and isolated, so that its writing direction changes no other text."""
    return Markup("<bdi>{}</bdi>").format(text)


def data_uri(image: Image.Image, kind: str, **options) -> str:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
