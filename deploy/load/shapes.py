"""When requests are due: constant, ramp, spike, diurnal, or the times of a trace file. Pure functions.

The rate of each shape is its highest. Times are seconds from the start, ascending.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.console import Failure

BASE = 0.2  # the share of the rate before and after a spike, at the start of a ramp, and at night
STEP = 0.01  # seconds in which a rate is constant


def _constant(_share: float) -> float:
    return 1.0


def _ramp(share: float) -> float:
    return BASE + (1 - BASE) * share


def _spike(share: float) -> float:
    return 1.0 if 1 / 3 <= share < 2 / 3 else BASE


def _diurnal(share: float) -> float:
    """A day in the whole duration: night at both ends, noon in the middle."""
    return BASE + (1 - BASE) * (1 - math.cos(2 * math.pi * share)) / 2


SHAPES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "ramp": _ramp,
    "spike": _spike,
    "diurnal": _diurnal,
}


def duration(text: str) -> float:
    """`90`, `90s` or `5m` in seconds. Raises Failure."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)?", text)
    if not match or not float(match[1]):
        raise Failure(f"DURATION={text} is not a time. Give seconds, or a number with s, m or h, such as 5m.")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


def dues(shape: str, rate: float, seconds: float) -> Iterator[float]:
    """The due times for a shape of SHAPES with `rate` requests a second at its highest.

    The number of requests up to any time is that of the integral of the rate. Raises KeyError for an unknown shape.
    """
    relative = SHAPES[shape]
    wanted, number = 0.0, 0
    for step in range(math.ceil(seconds / STEP)):
        at = step * STEP
        width = min(STEP, seconds - at)
        current = rate * relative((at + width / 2) / seconds)
        while number < wanted + current * width - 1e-9:
            yield at + (number - wanted) / current
            number += 1
        wanted += current * width


def trace(path: Path) -> list[float]:
    """The due times of a CSV file: its first column, in seconds, from the first one on. Raises Failure."""
    times = []
    try:
        with path.open(newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if row and not (number == 1 and not _is_number(row[0])):  # the first line may be a head
                    times.append(float(row[0]))
    except OSError as error:
        raise Failure(f"The trace {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise Failure(f"{path}, line {number}: {row[0]!r} is not a time in seconds.") from None
    if not times:
        raise Failure(f"The trace {path} has no times. Give one request a line, its time in seconds first.")
    times.sort()
    return [each - times[0] for each in times]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
