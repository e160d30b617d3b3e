"""Where a trace comes from: a shape of `make load-test`, a CSV file, an export of CloudWatch, or an access log."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deploy.capacity.trace import Trace
from deploy.console import Failure
from deploy.load import shapes

BINS = 2000  # of a shape, at most
FORMS = (
    f"one of {', '.join(shapes.SHAPES)}, a CSV file (a time in seconds a line, or time,requests), the JSON of "
    "`aws cloudwatch get-metric-data`, or an access log"
)
CLF = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]")  # Apache, nginx, S3
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")  # load balancers, JSON lines


def read(text: str, rate: float | None, seconds: float) -> Trace:
    """The trace of `TRACE=`. `rate` is the highest rate of a shape; a file is scaled to it if it is given.

    Raises Failure for a file that has no times, and for a shape without a rate.
    """
    if text in shapes.SHAPES:
        if rate is None or rate <= 0:
            raise Failure(f"TRACE={text} is a shape and needs its highest rate: RATE=20 for 20 requests a second.")
        return of_shape(text, rate, seconds)
    path = Path(text)
    if not path.is_file():
        raise Failure(f"TRACE={text} is neither a file nor a shape. Give {FORMS}.")
    trace = _of_file(path)
    if trace.total < 1:
        raise Failure(f"The trace {path} has no request. Give {FORMS}.")
    return trace if rate is None else scaled(trace, rate)


def of_shape(shape: str, rate: float, seconds: float) -> Trace:
    """A shape as expected counts; midnight UTC is its begin."""
    width = max(1.0, math.ceil(seconds / BINS))
    number = max(1, math.ceil(seconds / width))
    counts = [rate * width * shapes.SHAPES[shape]((each + 0.5) / number) for each in range(number)]
    return Trace(np.array(counts), width, name=f"{shape}, up to {rate:g} requests/s", expected=True)


def scaled(trace: Trace, rate: float) -> Trace:
    """The same trace with `rate` requests a second in its busiest bin. Raises Failure for a rate of 0 or less."""
    if rate <= 0:
        raise Failure(f"RATE={rate:g} is not a rate above 0.")
    counts = trace.counts * (rate / trace.peak)
    return Trace(counts, trace.width, trace.begin, None, f"{trace.name}, scaled to {rate:g} requests/s", True)


def _of_file(path: Path) -> Trace:
    try:
        if path.suffix == ".csv":
            return _csv(path)
        if path.suffix == ".json":
            return cloudwatch(json.loads(path.read_text()), path)
        with path.open(errors="replace") as lines:
            return access_log(lines, path)
    except OSError as error:
        raise Failure(f"The trace {path} cannot be read: {error.strerror}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise Failure(f"{path} is not JSON. Give {FORMS}.") from None


def _csv(path: Path) -> Trace:
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows or max(len(row) for row in rows[:2]) < 2:
        return Trace.of_times(np.array(shapes.trace(path)), name=path.name)
    points = {}
    for number, row in enumerate(rows, 1):
        try:
            points[_seconds(row[0])] = float(row[1])
        except (ValueError, IndexError):
            if number > 1:
                raise Failure(
                    f"{path}, line {number}: {','.join(row)!r} is not a time and a number of requests."
                ) from None
    return _of_points(points, path)


def cloudwatch(document: object, path: Path) -> Trace:
    """The answer of GetMetricData: Timestamps and Values of one metric, such as the Sum of Invocations."""
    results = document.get("MetricDataResults") if isinstance(document, dict) else None
    if not results or not all("Timestamps" in each and "Values" in each for each in results):
        raise Failure(f"{path} is not an answer of `aws cloudwatch get-metric-data`: it lacks MetricDataResults.")
    if len(results) > 1:
        names = ", ".join(str(each.get("Label") or each.get("Id")) for each in results)
        raise Failure(f"{path} has {len(results)} metrics ({names}). Export one: the Sum of Invocations.")
    times = [_seconds(each) for each in results[0]["Timestamps"]]
    return _of_points(dict(zip(times, map(float, results[0]["Values"]), strict=True)), path)


def access_log(lines: Iterable[str], path: Path) -> Trace:
    """One request a line, with a time as Apache, nginx and S3 write it, or in ISO 8601. Lines without a time do not
    count, unless they are more than a tenth."""
    times, without = [], 0
    for line in lines:
        if found := CLF.search(line):
            times.append(datetime.strptime(found[1], "%d/%b/%Y:%H:%M:%S %z").timestamp())
        elif found := ISO.search(line):
            times.append(_seconds(found[0]))
        else:
            without += bool(line.strip())
    if without > len(times) / 9:
        raise Failure(f"{path} is not an access log: {without:,} of {without + len(times):,} lines have no time.")
    begin = math.floor(min(times)) if times else 0.0
    offsets = np.sort(np.array(times)) - begin
    counted = np.bincount(offsets.astype(int)).astype(float) if times else np.zeros(0)
    return Trace(counted, 1.0, begin, None, path.name)  # times in whole seconds are spread over their seconds


def _of_points(points: dict[float, float], path: Path) -> Trace:
    """Counts at equal distances; a missing one is 0."""
    times = sorted(points)
    if len(times) < 2:
        raise Failure(f"{path} has {len(times)} points in time, and a trace needs two.")
    if min(points.values()) < 0:
        raise Failure(f"{path} has a negative number of requests.")
    width = min(later - earlier for earlier, later in itertools.pairwise(times))
    counts = np.zeros(round((times[-1] - times[0]) / width) + 1)
    for at, value in points.items():
        counts[round((at - times[0]) / width)] += value
    return Trace(counts, width, times[0], None, path.name)


def _seconds(text: str) -> float:
    """Seconds, or a time in ISO 8601; without a zone it is UTC. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
