"""CloudWatch's numbers: values gathered by the minute, as many minutes as a day has, no more.

A value belongs to a series: region, namespace, metric name and dimensions. Each minute of a series is one Bucket, so
memory does not grow with the traffic. A high-resolution metric has a second series of ten seconds each, for three
hours, as long as CloudWatch keeps it. The minute is the clock's (`localaws.clock`). An orderly stop keeps the minutes
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
KEPT_FINE = 3 * 360  # periods of ten seconds
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
        self._fine: dict[Metric, dict[float, Bucket]] = {}
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
        fine: bool = False,
    ) -> None:
        """Add a value to each named metric, under each set of dimensions.

        `at`: seconds since 1970, or now. `fine`: the metrics are of high resolution.
        """
        at = time.time() if at is None else at
        with self._lock:
            for each in dimensions:
                for name, value in values.items():
                    metric = Metric(region, namespace, name, each)
                    for bucket in self._buckets(metric, at, fine):
                        bucket.add(value)
                    self._units[metric] = units.get(name, "None")

    def merge(self, metric: Metric, at: float, values: Bucket, unit: str = "None", fine: bool = False) -> None:
        """Add values that are gathered already."""
        with self._lock:
            for bucket in self._buckets(metric, at, fine):
                bucket.merge(values)
            self._units[metric] = unit

    def fill(self, metric: Metric, at: float, unit: str = "None", value: float = 0.0) -> None:
        """Say that a metric had this value in the minute of `at`, unless that minute has a value."""
        with self._lock:
            bucket = _bucket_of(self._series.setdefault(metric, {}), minute_of(at), KEPT_MINUTES)
            if not bucket.count:
                bucket.add(value)
            self._units.setdefault(metric, unit)

    def unit(self, metric: Metric) -> str:
        return self._units.get(metric, "None")

    def metrics(self, region: str) -> list[Metric]:
        with self._lock:
            return [metric for metric in self._series if metric.region == region]

    def periods(self, metric: Metric, start: float, end: float, seconds: float) -> Iterator[tuple[float, Bucket]]:
        """The periods of `seconds` from `start` to `end` that have values, each with its start and its values."""
        with self._lock:
            fine = seconds < clock.real(clock.MINUTE) - EXACT
            series = (self._fine.get(metric) if fine else None) or self._series.get(metric, {})
            merged: dict[int, Bucket] = {}
            for at, bucket in series.items():
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

    def _buckets(self, metric: Metric, at: float, fine: bool) -> list[Bucket]:
        """The buckets that a value belongs into. Needs the lock."""
        buckets = [_bucket_of(self._series.setdefault(metric, {}), minute_of(at), KEPT_MINUTES)]
        if fine:
            start = period_of(at, clock.FINE)
            buckets.append(_bucket_of(self._fine.setdefault(metric, {}), start, KEPT_FINE))
        return buckets


def _bucket_of(series: dict[float, Bucket], start: float, kept: int) -> Bucket:
    """The bucket of a period, made if there is none; of more than `kept`, the oldest goes."""
    if start not in series:
        series[start] = Bucket()
        if len(series) > kept:
            del series[min(series)]
    return series[start]


def period_of(at: float, seconds: float) -> float:
    """When the clock's period of `seconds` began that `at` is in; seconds since 1970."""
    width = clock.real(seconds)
    return math.floor(at / width + 1e-6) * width


def minute_of(at: float) -> float:
    """When the clock's minute began that `at` is in; seconds since 1970."""
    return period_of(at, clock.MINUTE)


store = Store()
