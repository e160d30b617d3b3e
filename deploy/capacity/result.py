"""What a simulation found: latencies in a histogram, and a row of numbers for each tick."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from deploy.load.objective import Achieved, Objective

LEAST, STEP, BINS = 1e-4, math.log(1.005), 3500  # seconds; a bin is half a per cent wide; the last is above an hour


class Tick(NamedTuple):
    """Numbers of one tick: requests, sizes at its end, and seconds of use. `begin` is in seconds from the start."""

    begin: float
    seconds: float
    offered: float
    throttled: float
    failed: float
    spill: float
    starts: float
    ready: float
    paid: float
    provisioned: float
    busy: float
    warm: float
    model: float
    concurrency: float


@dataclass
class Simulated:
    """`ticks` in their order; `changes` of the capacity of instances: (seconds from the start, to)."""

    ticks: list[Tick] = field(default_factory=list)
    bins: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    changes: list[tuple[float, int]] = field(default_factory=list)
    exact: bool = True  # whether each request was simulated

    def add(self, latencies: np.ndarray, weight: float) -> None:
        if len(latencies):
            places = (np.log(np.maximum(latencies, LEAST) / LEAST) / STEP).astype(int)
            self.bins += np.bincount(np.minimum(places, BINS - 1), minlength=BINS) * weight

    def column(self, name: str) -> np.ndarray:
        return np.array([getattr(each, name) for each in self.ticks])

    def total(self, name: str) -> float:
        return float(sum(getattr(each, name) for each in self.ticks))

    def quantile(self, percentile: float) -> float:
        """Seconds from when a request was due; nan without an answer."""
        total = self.bins.sum()
        if not total:
            return math.nan
        place = int(np.searchsorted(np.cumsum(self.bins), percentile / 100 * total))
        return LEAST * math.exp((min(place, BINS - 1) + 0.5) * STEP)

    @property
    def seconds(self) -> float:
        return float(sum(each.seconds for each in self.ticks))

    @property
    def answered(self) -> float:
        return self.total("offered") - self.total("throttled") - self.total("failed")

    @property
    def instance_seconds(self) -> float:
        """Seconds of paid instances."""
        return float(sum(each.paid * each.seconds for each in self.ticks))

    def achieved(self, objective: Objective) -> Achieved:
        """In the terms of a load test."""
        good = self.bins[: max(0, int(math.log(objective.limit / LEAST) / STEP))].sum()
        throttled, failed = self.total("throttled"), self.total("failed")
        return Achieved(
            requests=round(self.total("offered")),
            failed=round(throttled + failed),
            throttled=round(throttled),
            good=round(float(good)),
            quantile=self.quantile(objective.percentile),
        )
