"""Charts of one line of text each: a bar for each minute."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from deploy.watching.traffic import PERIOD, ObservedTraffic, Series

BARS = "▁▂▃▄▅▆▇█"
NOTHING = "·"  # a minute without a value

# Name of the series -> what it shows, its unit, and the factor to this unit.
SHOWN = {
    "invocations": ("requests", "a minute", 1.0),
    "endpoint_calls": ("calls of the endpoint", "a minute", 1.0),
    "failed": ("failed requests", "a minute", 1.0),
    "throttles": ("throttled", "a minute", 1.0),
    "median_ms": ("latency, half within", "ms", 1.0),
    "slow_ms": ("latency, 99 % within", "ms", 1.0),
    "model_us": ("of the model, 99 % within", "ms", 0.001),
    "concurrency": ("calls at a time", "", 1.0),
    "warm_use": ("warm environments in use", "%", 100.0),
    "spillover": ("found no warm environment", "a minute", 1.0),
    "instances": ("instances", "", 1.0),
}


def bars(series: Series, now: float, minutes: int) -> str:
    """One character for each of the last `minutes`, the newest last; the highest value of a minute counts. The full
    height is the highest value of all."""
    first = math.floor(now / PERIOD) - minutes + 1
    values: dict[int, float] = {}
    for at, value in series:
        place = math.floor(at / PERIOD) - first
        if 0 <= place < minutes:
            values[place] = max(value, values.get(place, value))
    top = max(values.values(), default=0.0)
    return "".join(_bar(values.get(place), top) for place in range(minutes))


def _bar(value: float | None, top: float) -> str:
    if value is None:
        return NOTHING
    return BARS[round(value / top * (len(BARS) - 1))] if top > 0 and value > 0 else BARS[0]


def table(history: ObservedTraffic, now: float, minutes: int) -> Table:
    """A line for each series that has values: its name, its chart, the last value and the highest."""
    shown = Table.grid(padding=(0, 1))
    shown.title, shown.title_justify, shown.title_style = f"The last {minutes} minutes", "left", "bold"
    for what, chart, figures in rows(history, now, minutes):
        shown.add_row("", what, Text(chart, "cyan"), Text(figures))
    return shown


def rows(history: ObservedTraffic, now: float, minutes: int) -> Iterator[tuple[str, str, str]]:
    for name, (what, unit, factor) in SHOWN.items():
        if series := history.series.get(name):
            last, top = series[-1][1] * factor, max(value for _, value in series) * factor
            yield what, bars(series, now, minutes), f"{last:,.0f} {unit}".rstrip() + f", at most {top:,.0f}"
