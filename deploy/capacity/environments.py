"""The environments of a function, or the containers of a serverless endpoint, for single requests and for flows.

A request takes a provisioned environment if one is idle, otherwise the one on demand that was used last, otherwise it
starts one (a cold start). Requests above the limit are throttled, and so are starts above the burst rate.
"""

from __future__ import annotations

import heapq
import math
from collections import deque

import numpy as np

from deploy.capacity.system import BURST, BURST_SECONDS

SPREAD = 3.0  # standard deviations above its mean that a concurrency reaches within a tick


class Environments:
    """Single requests. `enter` and `leave` come in the order of their times."""

    def __init__(self, limit: int, idle: float, provisioned: int = 0):
        self.limit, self.provisioned = limit, provisioned
        self._idle_seconds = idle
        self._idle: list[float] = []  # since when each idle environment on demand is idle; the last used is the last
        self._tokens, self._filled = float(BURST), 0.0
        self.warm_in_use = self.on_demand = self.starts = 0

    @property
    def in_use(self) -> int:
        return self.warm_in_use + self.on_demand

    def enter(self, now: float) -> tuple[bool, bool] | None:
        """(runs in a provisioned environment, has to wait for a start), or None if the request is throttled."""
        if self.in_use >= self.limit:
            return None
        if self.warm_in_use < self.provisioned:
            self.warm_in_use += 1
            return True, False
        if self._idle and now - self._idle[-1] < self._idle_seconds:
            self._idle.pop()
            self.on_demand += 1
            return False, False
        self._idle.clear()  # the last used has expired, so all have
        self._tokens = min(BURST, self._tokens + (now - self._filled) * BURST / BURST_SECONDS)
        self._filled = now
        if self._tokens < 1:
            return None
        self._tokens -= 1
        self.on_demand += 1
        self.starts += 1
        return False, True

    def leave(self, now: float, provisioned: bool) -> None:
        if provisioned:
            self.warm_in_use -= 1
        else:
            self.on_demand -= 1
            self._idle.append(now)


class Flow:
    """Many requests at once, by rate: what share is throttled, spills over and starts environments in a tick.

    The shares are those of an Erlang loss system, which holds for every distribution of the times of calls.
    """

    def __init__(self, limit: int, idle: float):
        self._limit, self._idle = limit, idle
        self._peaks: deque[tuple[float, float]] = deque()  # (time, the most environments on demand in use)

    def tick(
        self, now: float, seconds: float, rate: float, call: float, provisioned: int
    ) -> tuple[float, float, float]:
        """The shares of requests that are throttled and spill over, and how many environments start."""
        while self._peaks and self._peaks[0][0] < now - self._idle:
            self._peaks.popleft()
        warm = max((peak for _, peak in self._peaks), default=0.0)
        offered = rate * call
        allowed = min(self._limit, provisioned + warm + BURST * max(1.0, seconds / BURST_SECONDS))
        throttled = blocking(allowed, offered)
        admitted = offered * (1 - throttled)
        spill = blocking(provisioned, admitted) if provisioned else 1.0
        mean = admitted * spill
        peak = min(mean + SPREAD * math.sqrt(mean), max(0.0, allowed - provisioned))
        self._peaks.append((now, peak))
        return throttled, spill if provisioned else 0.0, max(0.0, peak - warm)


def blocking(places: float, offered: float) -> float:
    """Erlang's loss formula: the share of requests that finds `places` taken, at `offered` requests at a time.

    It is the Poisson probability of `places` divided by that of at most `places`; the sum ends where terms vanish.
    """
    if offered <= 0:
        return 0.0
    whole = int(places)
    if whole <= 0:
        return 1.0
    far = int(40 + 12 * math.sqrt(max(offered, whole)))
    if whole > offered + far:
        return 0.0
    steps = np.arange(whole, max(0, whole - far - int(max(0.0, whole - offered))), -1)
    return float(1.0 / (1.0 + np.exp(np.cumsum(np.log(steps / offered))).sum()))


class Servers:
    """One instance: `threads` servers in front of which a bounded line waits, first come, first served."""

    __slots__ = ("_ends", "_free", "_line")

    def __init__(self, threads: int, line: int, now: float):
        self._free = [now] * threads
        self._ends: list[float] = []
        self._line = line

    def serve(self, now: float, service: float) -> tuple[float | None, int]:
        """When the request ends, or None if the line is full; and how many the instance has with it."""
        ends = self._ends
        while ends and ends[0] <= now:
            heapq.heappop(ends)
        if len(ends) >= self._line:
            return None, len(ends) + 1
        end = max(now, self._free[0]) + service
        heapq.heapreplace(self._free, end)
        heapq.heappush(ends, end)
        return end, len(ends)
