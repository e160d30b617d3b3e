"""Every request of a small system, one after the other, with everything that one request does to the others."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from deploy.capacity.environments import Environments, Servers
from deploy.capacity.system import CONTAINER_SECONDS, Instances, ServerlessEndpoint, System, Times

BLOCK = 4096


@dataclass
class TickOutcome:
    """What a tick brought. `latencies` are of answers, each with its weight; other fields are numbers of requests.

    `use` is the mean share of provisioned environments in use, `most` the most requests of one instance.
    """

    offered: float = 0
    throttled: float = 0  # 429: no environment, no container, or a line that was full
    failed: float = 0  # other errors
    invocations: float = 0  # of the endpoint, those that were refused among them
    spill: float = 0
    starts: float = 0
    busy: float = 0  # seconds of environments
    model: float = 0  # seconds of servers, or of containers
    warm: float = 0  # seconds of provisioned environments in use
    latencies: list[tuple[np.ndarray, float]] = field(default_factory=list)
    use: float | None = None
    most: float = 0


class Events:
    """The state of the requests between ticks. Call `run` with the ticks in their order."""

    def __init__(self, system: System, random: np.random.Generator, begin: float):
        function, self._endpoint = system.function, system.endpoint
        self._function, self._random = function, random
        self._environments = Environments(function.limit, function.idle, function.provisioned)
        self._overheads = _stream(function.overhead, random)
        self._starts = _stream(function.start, random)
        self._turn = itertools.count()
        self._servers: list[Servers] = []
        self._coming: list[tuple[float, int, float, bool]] = []  # to the endpoint: when, order, due, provisioned
        self._leaving: list[tuple[float, int, bool]] = []
        self._order = itertools.count()
        self._containers = None
        self._container_ends: list[float] = []
        if self._endpoint is not None:
            self._services = _stream(self._endpoint.service, random)
        if isinstance(self._endpoint, ServerlessEndpoint):
            self._containers = Environments(self._endpoint.most, self._endpoint.idle)
            self._container_starts = _stream(self._endpoint.start, random)

    def run(self, arrivals: np.ndarray, begin: float, end: float, instances: int, provisioned: int) -> TickOutcome:
        """The tick from `begin` to `end` with the requests that are due at `arrivals`, ascending."""
        out, latencies = TickOutcome(offered=len(arrivals)), []
        self._environments.provisioned = provisioned
        if isinstance(self._endpoint, Instances):
            del self._servers[instances:]
            while len(self._servers) < instances:
                self._servers.append(Servers(self._endpoint.servers, self._endpoint.line, begin))
        uses: list[float] = []
        for due in itertools.chain(arrivals.tolist(), [end]):
            while self._coming and self._coming[0][0] <= due:
                self._ask(out, latencies)
            if due == end:
                break
            self._call(due, out, latencies, uses)
        out.latencies = [(np.array(latencies), 1.0)]
        out.use = sum(uses) / len(uses) if uses else None
        return out

    def _call(self, due: float, out: TickOutcome, latencies: list[float], uses: list[float]) -> None:
        while self._leaving and self._leaving[0][0] <= due:
            at, _, provisioned = heapq.heappop(self._leaving)
            self._environments.leave(at, provisioned)
        turn = self._environments.enter(due)
        if turn is None:
            out.throttled += 1
            return
        provisioned, cold = turn
        if self._environments.provisioned:
            uses.append(self._environments.warm_in_use / self._environments.provisioned)
            out.spill += not provisioned
        at = due + next(self._overheads)
        if cold:
            out.starts += 1
            at += next(self._starts)
        if self._endpoint is None:
            self._end(at, due, provisioned, out, latencies)
        else:
            heapq.heappush(self._coming, (at, next(self._order), due, provisioned))

    def _ask(self, out: TickOutcome, latencies: list[float]) -> None:
        at, _, due, provisioned = heapq.heappop(self._coming)
        out.invocations += 1
        if self._containers is not None:
            end = self._in_container(at, out)
        else:
            service = next(self._services)
            end, held = self._chosen().serve(at, service) if self._servers else (None, 0)
            out.most = max(out.most, held)
            out.model += service if end is not None else 0.0
        if end is None:
            out.throttled += 1
            self._leave(at, due, provisioned, out)
        else:
            self._end(end, due, provisioned, out, latencies)

    def _chosen(self) -> Servers:
        assert isinstance(self._endpoint, Instances)
        number = next(self._turn) if self._endpoint.in_turn else int(self._random.integers(1 << 30))
        return self._servers[number % len(self._servers)]

    def _in_container(self, at: float, out: TickOutcome) -> float | None:
        assert self._containers is not None
        while self._container_ends and self._container_ends[0] <= at:
            self._containers.leave(heapq.heappop(self._container_ends), False)
        turn = self._containers.enter(at)
        if turn is None:
            return None
        start = next(self._container_starts) if turn[1] else 0.0
        out.starts += turn[1]
        late = start > CONTAINER_SECONDS  # the caller gets 429, and the container goes on starting
        service = 0.0 if late else next(self._services)
        out.model += service
        heapq.heappush(self._container_ends, at + start + service)
        return None if late else at + start + service

    def _end(self, end: float, due: float, provisioned: bool, out: TickOutcome, latencies: list[float]) -> None:
        if end - due > self._function.timeout:
            out.failed += 1
            end = due + self._function.timeout
        else:
            latencies.append(end - due)
        self._leave(end, due, provisioned, out)

    def _leave(self, end: float, due: float, provisioned: bool, out: TickOutcome) -> None:
        out.busy += end - due
        out.warm += end - due if provisioned else 0.0
        heapq.heappush(self._leaving, (end, next(self._order), provisioned))


def _stream(times: Times, random: np.random.Generator) -> Iterator[float]:
    """Samples one by one, drawn in blocks."""
    while True:
        yield from times.sample(random, BLOCK).tolist()
