"""The simulation: from tick to tick of AWS's clock, requests, then metrics, then alarms and what they change.

Up to EXACT requests are simulated one by one (events.py). Of more, each tick has a flow through the function and a
sample of the endpoint's instances (rounds.py).
"""

from __future__ import annotations

import numpy as np

from deploy.capacity.control import MINUTE, TICK
from deploy.capacity.environments import Flow
from deploy.capacity.events import Events, TickOutcome
from deploy.capacity.fleet import Fleet, tick_seconds
from deploy.capacity.result import Simulated, Tick
from deploy.capacity.rounds import Rounds
from deploy.capacity.system import CONCURRENT, Instances, Scaling, ServerlessEndpoint, System, Times
from deploy.capacity.trace import Trace

EXACT = 250_000  # requests
METRICS = {
    "InvocationsPerInstance": "SageMakerVariantInvocationsPerInstance",
    "ConcurrentRequestsPerModel": CONCURRENT,
}


def simulate(system: System, trace: Trace, seed: int = 0, exact: bool | None = None) -> Simulated:
    """Let a system serve a trace. The same seed gives the same result. Raises InvalidPolicy for a policy that AWS
    refuses, and InvalidSchedule for a schedule that cannot be read."""
    exact = trace.total <= EXACT if exact is None else exact
    random = np.random.default_rng(seed)
    result = Simulated(exact=exact)
    seconds, begin = tick_seconds(system.time_scale), trace.begin
    requests = _Single(system, trace, random) if exact else _Flowing(system, trace, random)
    instances, warm = _fleets(system, begin, random)
    minute = _Minute()
    for number in range(int(np.ceil(trace.seconds / seconds - 1e-9))):
        since, now = number * seconds, (number + 1) * seconds
        for fleet in (instances, warm):
            fleet.advance(begin + since)
        out = requests.run(since, now, instances.ready, warm.ready)
        for latencies, weight in out.latencies:
            result.add(latencies, weight)
        result.ticks.append(_row(since, seconds, out, instances, warm))
        minute.record(out, number, instances, warm)
        instances.tick(begin + since, begin + now)
        warm.tick(begin + since, begin + now)
    scale = system.time_scale
    result.changes = [(at / scale - begin, to) for at, to in instances.target.changes]
    return result


def _fleets(system: System, begin: float, random: np.random.Generator) -> tuple[Fleet, Fleet]:
    """The instances, none for other kinds, and the provisioned environments."""
    endpoint, function = system.endpoint, system.function
    if isinstance(endpoint, Instances):
        given = endpoint.initial, endpoint.scaling, "sagemaker", endpoint.start
    else:
        given = 0, Scaling(0, 0), "sagemaker", Times.fixed(0.0)
    size = function.provisioned
    scaling = function.scaling or Scaling(size, size)
    starting = Times.fixed(function.provisioning)
    return (
        Fleet(*given, system.time_scale, begin, random),
        Fleet(size, scaling, "lambda", starting, system.time_scale, begin, random),
    )


def _row(since: float, seconds: float, out: TickOutcome, instances: Fleet, warm: Fleet) -> Tick:
    return Tick(
        since, seconds, out.offered, out.throttled, out.failed, out.spill, out.starts, instances.ready, instances.paid,
        warm.paid, out.busy, out.warm, out.model, out.busy / seconds,
    )  # fmt: skip


class _Minute:
    """Gathers the metrics of a minute, and hands those of each period to the targets when it ends."""

    def __init__(self) -> None:
        self._invocations = 0.0
        self._uses: list[tuple[float, float]] = []
        self._most = 0.0

    def record(self, out: TickOutcome, number: int, instances: Fleet, warm: Fleet) -> None:
        self._invocations += out.invocations / max(1, instances.ready)
        self._most = max(self._most, out.most)
        if out.use is not None:
            self._uses.append((out.use, out.offered - out.throttled))
        instances.target.record(TICK, {"ConcurrentRequestsPerModel": out.most})
        if (number + 1) % round(MINUTE / TICK):
            return
        # Without traffic, SageMaker has zeros and Lambda has no data (ADR 14).
        values = {"InvocationsPerInstance": self._invocations, "ConcurrentRequestsPerModel": self._most}
        instances.target.record(MINUTE, values)
        weights = sum(weight for _, weight in self._uses)
        use = sum(value * weight for value, weight in self._uses) / weights if weights else None
        warm.target.record(MINUTE, {"ProvisionedConcurrencyUtilization": use})
        self.__init__()


class _Single:
    """Request by request."""

    def __init__(self, system: System, trace: Trace, random: np.random.Generator):
        self._arrivals = trace.single(random)
        self._events = Events(system, random, 0.0)
        self._done = 0

    def run(self, since: float, now: float, instances: int, provisioned: int) -> TickOutcome:
        until = int(np.searchsorted(self._arrivals, now))
        due, self._done = self._arrivals[self._done : until], until
        return self._events.run(due, since, now, instances, provisioned)


class _Flowing:
    """Rates through the function, and a sample of requests through a sample of instances."""

    def __init__(self, system: System, trace: Trace, random: np.random.Generator):
        self._system, self._trace, self._random = system, trace, random
        function, endpoint = system.function, system.endpoint
        self._calls = Flow(function.limit, function.idle)
        ticks = trace.seconds / tick_seconds(system.time_scale)
        self._rounds = Rounds(endpoint, random, ticks=ticks) if isinstance(endpoint, Instances) else None
        self._containers = Flow(endpoint.most, endpoint.idle) if isinstance(endpoint, ServerlessEndpoint) else None
        self._model = endpoint.service.mean if endpoint else 0.0
        self._overhead = function.overhead.mean
        self._answer = self._model  # what a request took in the endpoint, in the tick before

    def run(self, since: float, now: float, instances: int, provisioned: int) -> TickOutcome:
        function, seconds = self._system.function, now - since
        out = TickOutcome(offered=self._trace.in_tick(since, now))
        call = self._overhead + self._answer
        throttled, spill, out.starts = self._calls.tick(since, seconds, out.offered / seconds, call, provisioned)
        out.invocations = out.offered * (1 - throttled)
        out.spill = out.invocations * spill
        times, refused, waits = self._endpoint(out, since, seconds, instances)
        answered = out.invocations * (1 - refused)
        out.throttled = out.offered - answered
        out.busy = out.invocations * (self._overhead + self._answer)
        out.warm = out.busy * (1 - spill) if provisioned else 0.0
        out.model += answered * self._model
        out.use = min(1.0, out.warm / seconds / provisioned) if provisioned and out.invocations else None
        if len(times) and answered:
            whole = times + function.overhead.sample(self._random, len(times))
            late = whole > function.timeout
            out.failed = answered * float(late.mean())
            cold = min(1.0, out.starts / answered)
            share = answered / len(times)
            out.latencies = [
                (whole[~late], share * (1 - cold)),
                (whole[~late] + function.start.sample(self._random, int((~late).sum())), share * cold),
            ]
            for extra, weight in waits:
                out.latencies.append((whole[~late] + extra, weight / len(times)))
        return out

    def _endpoint(
        self, out: TickOutcome, since: float, seconds: float, instances: int
    ) -> tuple[np.ndarray, float, list[tuple[float, float]]]:
        """Times of a sample, the share that was refused, and starts of containers: (seconds, how many)."""
        if self._rounds is not None:
            if not instances:
                return np.zeros(0), 1.0, []
            rate = out.invocations / seconds / instances
            times, refused = self._rounds.run(rate, seconds)
            if len(times):
                self._answer = float(times.mean()) * (1 - refused)
                out.most = float(np.ceil(rate * times.max() + 2 * np.sqrt(rate * times.max())))
            return times, refused, []
        if self._containers is None:
            return np.zeros(512), 0.0, []
        endpoint = self._system.endpoint
        assert isinstance(endpoint, ServerlessEndpoint)
        rate = out.invocations / seconds
        refused, _, starts = self._containers.tick(since, seconds, rate, self._model, 0)
        return endpoint.service.sample(self._random, 512), refused, [(endpoint.start.mean, starts)]
