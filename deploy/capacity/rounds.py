"""The queues of a large system: a sample of its instances, all in one array, request by request.

Each step serves one request in every sampled instance, so NumPy does the work. In a quiet tick a sample of requests
represents the others; where an instance is nearly full or its rate has just changed, every request counts.
"""

from __future__ import annotations

import numpy as np

from deploy.capacity.system import Instances

SAMPLED = 24  # instances
QUIET = 40  # requests of each instance in a quiet tick, of a day or less
FEWEST = 8  # in a quiet tick of a longer trace
DAY_TICKS = 8640
NEARLY_FULL = 0.75  # utilisation
CHANGED = 0.03


class Rounds:
    """The state of the sampled instances. Each has a clock of its own, which passes with its requests."""

    def __init__(
        self, endpoint: Instances, random: np.random.Generator, sampled: int = SAMPLED, ticks: float = DAY_TICKS
    ):
        self._endpoint, self._random, self._size = endpoint, random, sampled
        waiting = max(0, endpoint.line - endpoint.servers)
        self._free = np.zeros((sampled, endpoint.servers))
        self._begun = np.full((sampled, max(1, waiting)), -np.inf)  # when the last requests began to be served
        self._next = np.zeros(sampled, dtype=np.intp)
        self._clock = np.zeros(sampled)
        self._rate = 0.0  # of one instance, in the last tick that was simulated in full
        self._mean = endpoint.service.mean
        self._quiet = max(FEWEST, round(QUIET * min(1.0, DAY_TICKS / ticks)))

    def run(self, rate: float, seconds: float) -> tuple[np.ndarray, float]:
        """The times in the instance of the sampled requests that were answered, at `rate` requests a second for each
        instance, and the share that found the line full."""
        if rate <= 0:
            return np.zeros(0), 0.0
        utilisation, wanted = rate * self._mean / self._endpoint.servers, max(1, round(rate * seconds))
        changed = abs(rate - self._rate) > CHANGED * self._rate
        full = utilisation > NEARLY_FULL and changed
        if full:
            self._rate = rate
        number = wanted if full else min(wanted, self._quiet)
        gaps = self._random.exponential(1 / rate, (number, self._size))
        arrivals = self._clock + np.cumsum(gaps, axis=0)
        self._clock = arrivals[-1]
        services = self._endpoint.service.sample(self._random, (number, self._size))
        return self.serve(arrivals, services)

    def serve(self, arrivals: np.ndarray, services: np.ndarray) -> tuple[np.ndarray, float]:
        """The same for given times, a row for each round and a column for each instance.

        A line is full if the request that came so many requests before (its length without the servers) still waits.
        """
        free, begun, following, rows = self._free, self._begun, self._next, np.arange(self._size)
        length = begun.shape[1]
        ends = np.empty_like(arrivals)
        for number, (at, service) in enumerate(zip(arrivals, services, strict=True)):
            slot = free.argmin(axis=1)
            available = free[rows, slot]
            oldest = begun[rows, following]
            taken = oldest <= at
            start = np.maximum(at, available)
            end = start + service
            ends[number] = np.where(taken, end, np.nan)
            free[rows, slot] = np.where(taken, end, available)
            begun[rows, following] = np.where(taken, start, oldest)
            following += taken
            following[following == length] = 0
        times = (ends - arrivals).ravel()
        answered = times[~np.isnan(times)]
        return answered, 1 - len(answered) / len(times)
