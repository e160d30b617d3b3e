"""The queues of the capacity simulation, against closed formulas and an independent event list."""

from __future__ import annotations

import math
from collections import deque
from itertools import count

import numpy as np
import pytest

from deploy.capacity.environments import Environments, Flow, blocking
from deploy.capacity.events import Events
from deploy.capacity.rounds import Rounds
from deploy.capacity.simulate import simulate
from deploy.capacity.system import Function, Instances, Scaling, ServerlessEndpoint, System, Times
from deploy.capacity.trace import Trace

NONE = Scaling(1, 1)
FREE = Function(Times.fixed(0.0), start=Times.fixed(0.0), account=10**6)


def erlang_c(servers: int, load: float) -> float:
    """The probability of waiting in M/M/c, at `load` = rate x service time."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


def sampled(service: Times, servers: int, rate: float, requests: int = 24_000, line: int = 4000) -> np.ndarray:
    """Times in one of the sampled instances, after a warm-up."""
    rounds = Rounds(Instances(service, servers, 1, NONE, line=line), np.random.default_rng(4))
    rounds.run(rate, requests / rate / 4)
    gaps = np.random.default_rng(5).exponential(1 / rate, (requests // 12, 24))
    services = service.sample(np.random.default_rng(6), gaps.shape)
    return rounds.serve(rounds._clock + np.cumsum(gaps, axis=0), services)[0]


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (2, 1.5), (4, 3.2)])
def test_waiting_in_m_m_c_is_erlang_s(servers: int, load: float):
    times = sampled(Times.exponential(1.0), servers, load)
    wait = erlang_c(servers, load) / (servers - load)
    assert times.mean() == pytest.approx(1 + wait, rel=0.06)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_waiting_in_m_d_1_is_pollaczek_and_khinchine_s(load: float):
    times = sampled(Times.fixed(1.0), 1, load)
    assert times.mean() - 1 == pytest.approx(load / (2 * (1 - load)), rel=0.08)


def test_requests_at_a_time_are_their_rate_times_their_time():
    """Little's law: what the ticks say of concurrency, and what the requests say of their times."""
    system = System(FREE, Instances(Times.exponential(0.05), 2, 1, NONE, line=1000))
    result = simulate(system, Trace(np.full(900, 25.0), 1.0, expected=True), seed=2)
    centres = 1e-4 * np.exp((np.arange(len(result.bins)) + 0.5) * math.log(1.005))
    mean = float((result.bins * centres).sum() / result.bins.sum())
    assert result.column("concurrency").mean() == pytest.approx(result.total("offered") / 900 * mean, rel=0.01)


def test_the_loss_formula_is_erlang_s():
    def recursive(places: int, load: float) -> float:
        value = 1.0
        for number in range(1, places + 1):
            value = load * value / (number + load * value)
        return value

    for places, load in [(1, 0.5), (10, 8.0), (10, 30.0), (600, 590.0), (600, 800.0), (3000, 2000.0), (5, 0.0)]:
        assert blocking(places, load) == pytest.approx(recursive(places, load), rel=1e-6, abs=1e-12)
    assert blocking(0, 3.0) == 1.0


def test_of_a_full_function_a_flow_loses_what_single_requests_lose():
    times, random = np.cumsum(np.random.default_rng(1).exponential(0.01, 30_000)), np.random.default_rng(2)
    events = Events(System(Function(Times.exponential(0.1), Times.fixed(0.0), reserved=10), None), random, 0.0)
    lost = events.run(times, 0.0, float(times[-1]) + 1, 0, 0).throttled / len(times)
    assert Flow(10, 300.0).tick(0.0, 10.0, 100.0, 0.1, 0)[0] == pytest.approx(lost, abs=0.01)


def oracle(system: System, arrivals: np.ndarray, services: list[float]) -> tuple[list[float], int]:
    """Latencies and refusals by an event list with explicit queues: one function, instances in turn, a bounded line."""
    endpoint, function = system.endpoint, system.function
    assert isinstance(endpoint, Instances)
    events = [(float(at), number, "call", number) for number, at in enumerate(arrivals)]
    order, inside, turn, refused, latencies = count(len(events)), 0, count(), 0, {}
    waiting: list[deque] = [deque() for _ in range(endpoint.initial)]
    busy, drawn = [0] * endpoint.initial, iter(services)
    while events:
        events.sort()
        at, _, kind, what = events.pop(0)
        if kind == "call":
            if inside >= function.limit:
                refused += 1
                continue
            inside += 1
            events.append((at + function.overhead.mean, next(order), "ask", what))
        elif kind == "ask":
            place, service = next(turn) % endpoint.initial, next(drawn)
            if busy[place] + len(waiting[place]) >= endpoint.line:
                refused, inside = refused + 1, inside - 1
            elif busy[place] < endpoint.servers:
                busy[place] += 1
                events.append((at + service, next(order), "end", (what, place)))
            else:
                waiting[place].append((what, service))
        else:
            (number, place), inside = what, inside - 1
            latencies[number] = at - float(arrivals[number])
            if waiting[place]:
                following, service = waiting[place].popleft()
                events.append((at + service, next(order), "end", (following, place)))
            else:
                busy[place] -= 1
    return sorted(latencies.values()), refused


@pytest.mark.parametrize(("reserved", "line", "rate"), [(1000, 6, 30.0), (8, 64, 30.0), (1000, 64, 18.0)])
def test_single_requests_are_those_of_an_event_list(reserved: int, line: int, rate: float):
    function = Function(Times.fixed(0.02), Times.fixed(0.0), reserved=reserved)
    endpoint = Instances(Times.exponential(0.2), 2, 2, NONE, line=line, in_turn=True)
    system = System(function, endpoint)
    arrivals = np.cumsum(np.random.default_rng(3).exponential(1 / rate, 400))
    services = endpoint.service.sample(np.random.default_rng(9), 4096).tolist()
    events = Events(system, np.random.default_rng(0), 0.0)
    events._services = iter(services)
    latencies, throttled = [], 0.0
    for since in range(0, 40):  # ticks of a second
        due = arrivals[(arrivals >= since) & (arrivals < since + 1)]
        out = events.run(due, since, since + 1, 2, 0)
        latencies += [float(each) for times, _ in out.latencies for each in times]
        throttled += out.throttled
    expected, refused = oracle(system, arrivals, services)
    assert throttled == refused and (refused > 0) == (rate > 20)
    assert sorted(latencies) == pytest.approx(expected)


def test_a_sample_of_a_large_system_agrees_with_all_of_its_requests():
    scaling = Scaling(6, 6)
    endpoint = Instances(Times.exponential(0.05), 2, 6, scaling)
    system = System(Function(Times.fixed(0.01), Times.fixed(0.0), provisioned=8), endpoint)
    trace = Trace(np.r_[np.full(100, 120.0), np.full(100, 160.0)], 1.0, expected=True)
    one, other = (simulate(system, trace, exact=exact) for exact in (True, False))
    for percentile in (50, 90):
        assert other.quantile(percentile) == pytest.approx(one.quantile(percentile), rel=0.15)
    assert other.total("spill") == pytest.approx(one.total("spill"), rel=0.1)


def test_an_overloaded_line_refuses_what_its_servers_cannot_do():
    endpoint = Instances(Times.fixed(0.1), 2, 1, NONE)  # 20 a second
    for exact in (True, False):
        result = simulate(System(FREE, endpoint), Trace(np.full(300, 30.0), 1.0, expected=True), exact=exact)
        assert result.total("throttled") / result.total("offered") == pytest.approx(1 / 3, abs=0.04)
        assert result.quantile(50) == pytest.approx(64 * 0.1 / 2, rel=0.1), "a full line of 64"


def test_starts_of_environments_are_limited_by_the_burst_rate_and_by_the_limit():
    environments = Environments(limit=3000, idle=300.0)
    assert sum(environments.enter(0.0) is not None for _ in range(1500)) == 1000
    assert sum(environments.enter(5.0) is not None for _ in range(1500)) == 500, "100 a second"
    assert sum(environments.enter(100.0) is not None for _ in range(1500)) == 1000, "the rest is not accrued"
    assert environments.starts == 2500


def test_what_is_provisioned_is_used_first_and_held_while_idle():
    environments = Environments(limit=3, idle=300.0, provisioned=2)
    turns = [environments.enter(0.0) for _ in range(4)]
    assert turns == [(True, False), (True, False), (False, True), None]
    environments.leave(1.0, False)
    assert environments.enter(2.0) == (False, False), "the idle one"
    environments.leave(3.0, False)
    assert environments.enter(400.0) == (False, True), "it has expired"


def test_a_container_that_starts_too_slowly_refuses_its_first_request():
    endpoint = ServerlessEndpoint(Times.fixed(0.1), Times.fixed(70.0), most=5)
    trace = Trace.of_times(np.array([0.0, 100.0, 200.0]))
    result = simulate(System(Function(Times.fixed(0.0), Times.fixed(0.0), timeout=90.0), endpoint), trace)
    assert result.total("throttled") == 1 and result.quantile(99) == pytest.approx(0.1, rel=0.01)
