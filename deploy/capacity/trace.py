"""The requests of a simulation: so many in each bin, or each at its time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trace:
    """`counts` requests in bins of `width` seconds from `begin` (seconds since 1970) on. `times`: when each request is
    due, in seconds from `begin`; None if only the counts are known. `expected`: the counts are means, and what comes
    differs from them at random; otherwise they were counted."""

    counts: np.ndarray
    width: float
    begin: float = 0.0
    times: np.ndarray | None = None
    name: str = ""
    expected: bool = False

    @classmethod
    def of_times(cls, times: np.ndarray, begin: float = 0.0, name: str = "", width: float = 1.0) -> Trace:
        counts = np.bincount((times / width).astype(int)).astype(float)
        return cls(counts, width, begin, times, name)

    @property
    def seconds(self) -> float:
        return len(self.counts) * self.width

    @property
    def total(self) -> float:
        return float(self.counts.sum())

    @property
    def peak(self) -> float:
        """Requests a second in the busiest bin."""
        return float(self.counts.max()) / self.width

    def rate(self, share: float) -> float:
        """Requests a second that the given share of bins do not exceed."""
        return float(np.quantile(self.counts, share)) / self.width

    def in_tick(self, begin: float, end: float) -> float:
        """How many requests are due from `begin` to `end`, seconds from the start."""
        first, last = begin / self.width, min(end / self.width, len(self.counts))
        whole, until = int(first), int(np.ceil(last - 1e-9))
        part = self.counts[whole:until]
        if not len(part):
            return 0.0
        cut = (first - whole) * part[0] + (until - last) * part[-1]
        return float(part.sum() - cut)

    def single(self, random: np.random.Generator) -> np.ndarray:
        """When each request is due, ascending. Known counts are spread at random over their bins, as a Poisson process
        of that rate does; a fraction of a request is one with that probability."""
        if self.times is not None:
            return self.times
        counts = (
            random.poisson(self.counts) if self.expected else np.floor(self.counts + random.random(len(self.counts)))
        )
        bins = np.repeat(np.arange(len(counts)), counts.astype(int))
        return np.sort((bins + random.random(len(bins))) * self.width)
