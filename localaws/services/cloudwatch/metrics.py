"""CloudWatch's numbers: values gathered by the minute, as many minutes as a day has, no more.

A value belongs to a series: region, namespace, metric name and dimensions. Each minute of a series is one Bucket, so
memory does not grow with the traffic. The minute is the clock's (`localaws.clock`). An orderly stop keeps the numbers
in `home/state/metrics.json`; a crash loses them.
"""

import json
import logging
import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localaws import clock, files

log = logging.getLogger(__name__)

KEPT_MINUTES = 24 * 60
EXACT = 0.0005  # seconds: a moment that was divided by the time scale is not exact
PERCENTILE_STEP = 1.05  # percentiles come from a histogram whose bins grow by this factor: 5 % off at most

Dimensions = tuple[tuple[str, str], ...]  # sorted names and values


@dataclass(frozen=True)
class Metric:
    """What a series is of."""

    region: str
    namespace: str
    name: str
    dimensions: Dimensions


@dataclass
class Bucket:
    """The values of one minute, or of several merged."""

    count: float = 0
    total: float = 0
    low: float = math.inf
    high: float = -math.inf
    bins: dict[int, float] = field(default_factory=dict)

    def add(self, value: float, count: float = 1) -> None:
        self.count += count
        self.total += value * count
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        exponent = _bin(value)
        self.bins[exponent] = self.bins.get(exponent, 0) + count

    def merge(self, other: "Bucket") -> None:
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        for exponent, count in other.bins.items():
            self.bins[exponent] = self.bins.get(exponent, 0) + count

    def statistic(self, name: str) -> float | None:
        """`Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or a percentile such as `p99.9`; None for others."""
        match name:
            case "Sum":
                return self.total
            case "Average":
                return self.total / self.count
            case "Minimum":
                return self.low
            case "Maximum":
                return self.high
            case "SampleCount":
                return self.count
        try:
            share = float(name.removeprefix("p")) / 100
        except ValueError:
            return None
        return self._percentile(share) if name.startswith("p") and 0 <= share <= 1 else None

    def _percentile(self, share: float) -> float:
        left = share * self.count
        for exponent in sorted(self.bins):
            left -= self.bins[exponent]
            if left <= 0:
                break
        return min(self.high, max(self.low, _middle(exponent)))


def _bin(value: float) -> int:
    """The histogram's bin of a value: 0 for zero, the sign of the number in the bin's sign."""
    if value == 0:
        return 0
    exponent = math.floor(math.log(abs(value), PERCENTILE_STEP)) + 10_000  # positive for all that is measured
    return max(1, exponent) * (1 if value > 0 else -1)


def _middle(exponent: int) -> float:
    if exponent == 0:
        return 0.0
    return math.copysign(PERCENTILE_STEP ** (abs(exponent) - 10_000 + 0.5), exponent)


class Store:
    """All series. Safe to use from many threads."""

    def __init__(self) -> None:
        self._series: dict[Metric, dict[float, Bucket]] = {}
        self._units: dict[Metric, str] = {}
        self._lock = threading.Lock()

    def record(
        self,
        region: str,
        namespace: str,
        dimensions: Iterable[Dimensions],
        values: Mapping[str, float],
        units: Mapping[str, str],
        at: float | None = None,
    ) -> None:
        """Add a value to each named metric, under each set of dimensions. `at`: seconds since 1970, or now."""
        start = minute_of(time.time() if at is None else at)
        with self._lock:
            for each in dimensions:
                for name, value in values.items():
                    metric = Metric(region, namespace, name, each)
                    self._bucket(metric, start).add(value)
                    self._units[metric] = units.get(name, "None")

    def merge(self, metric: Metric, at: float, bucket: Bucket, unit: str = "None") -> None:
        """Add values that are gathered already."""
        with self._lock:
            self._bucket(metric, minute_of(at)).merge(bucket)
            self._units[metric] = unit

    def unit(self, metric: Metric) -> str:
        return self._units.get(metric, "None")

    def metrics(self, region: str) -> list[Metric]:
        with self._lock:
            return [metric for metric in self._series if metric.region == region]

    def periods(self, metric: Metric, start: float, end: float, seconds: float) -> Iterator[tuple[float, Bucket]]:
        """The periods of `seconds` from `start` to `end` that have values, each with its start and its values."""
        with self._lock:
            merged: dict[int, Bucket] = {}
            for at, bucket in self._series.get(metric, {}).items():
                offset = at - start + EXACT
                if 0 <= offset < end - start:
                    merged.setdefault(int(offset // seconds), Bucket()).merge(bucket)
        for number in sorted(merged):
            yield start + number * seconds, merged[number]

    def save(self, path: Path) -> None:
        with self._lock:
            rows = [
                [m.region, m.namespace, m.name, m.dimensions, self._units[m], [[at, vars(b)] for at, b in s.items()]]
                for m, s in self._series.items()
            ]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_whole(path, json.dumps(rows))

    def load(self, path: Path) -> None:
        """Read back what `save` wrote, and remove it: after a crash, numbers with a hole would mislead."""
        if not path.exists():
            return
        try:
            rows = json.loads(path.read_bytes())
        except ValueError as error:
            log.warning("the previous metrics are lost: %s is damaged (%s)", path, error)
            rows = []
        path.unlink()
        for region, namespace, name, dimensions, unit, buckets in rows:
            metric = Metric(region, namespace, name, tuple((key, value) for key, value in dimensions))
            for at, kept in buckets:
                bins = {int(exponent): count for exponent, count in kept.pop("bins").items()}
                self.merge(metric, at, Bucket(**kept, bins=bins), unit)

    def _bucket(self, metric: Metric, start: float) -> Bucket:
        """The bucket of a minute, created if it is missing. Needs the lock."""
        series = self._series.setdefault(metric, {})
        if start not in series:
            series[start] = Bucket()
            if len(series) > KEPT_MINUTES:
                del series[min(series)]
        return series[start]


def minute_of(at: float) -> float:
    """When the clock's minute began that `at` is in; seconds since 1970."""
    width = clock.real(clock.MINUTE)
    return math.floor(at / width + 1e-6) * width


store = Store()
