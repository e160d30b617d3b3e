"""The candidates of the capacity bench: the simulation, and the same queue in SimPy."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from deploy.capacity.plan import tracking
from deploy.capacity.simulate import simulate
from deploy.capacity.system import INVOCATIONS, Function, Instances, Scaling, System, Times
from deploy.capacity.trace import Trace
from deploy.load.shapes import SHAPES

ROOT = Path(__file__).parents[1]
MEAN, THREADS, LINE, RATE = 0.03, 2, 64, 40.0  # of one instance


def system(instances: int, most: int) -> System:
    policy = tracking(INVOCATIONS, 2400.0)
    service = Times.of(np.random.default_rng(1).gamma(9, MEAN / 9, 4000))
    endpoint = Instances(service, THREADS, instances, Scaling(instances, most, (policy,)))
    return System(Function(Times.fixed(0.02), account=5000), endpoint)


def whole_day(hours: int, rate: float) -> Callable[[], dict]:
    """A diurnal shape of so many hours, with its policy."""

    def measure() -> dict:
        shares = [SHAPES["diurnal"]((each + 0.5) / (hours * 60)) for each in range(hours * 60)]
        trace = Trace(np.array(shares) * rate * 60, 60.0, expected=True)
        began = time.perf_counter()
        result = simulate(system(60, 500), trace)
        spent = time.perf_counter() - began
        return {"value": trace.total / spent, "seconds": spent, "p99_ms": result.quantile(99) * 1000}

    return measure


def single(requests: int) -> Callable[[], float]:
    """Every request, with one instance."""

    def measure() -> float:
        trace = Trace(np.full(int(requests / RATE), RATE), 1.0, expected=True)
        began = time.perf_counter()
        simulate(system(1, 1), trace, exact=True)
        return trace.total / (time.perf_counter() - began)

    return measure


def event_list(requests: int) -> Callable[[], dict]:
    """The same requests in SimPy: one process each, a resource with the threads of one instance."""
    sys.path.insert(0, str(simpy_folder()))
    simpy = importlib.import_module("simpy")

    def measure() -> dict:
        random = np.random.default_rng(0)
        arrivals = np.cumsum(random.exponential(1 / RATE, requests)).tolist()
        services = random.gamma(9, MEAN / 9, requests).tolist()
        environment, times = simpy.Environment(), []
        threads = simpy.Resource(environment, THREADS)

        def call(service: float):
            due = environment.now
            yield environment.timeout(0.02)
            if len(threads.users) + len(threads.queue) < LINE:
                with threads.request() as turn:
                    yield turn
                    yield environment.timeout(service)
                times.append(environment.now - due)

        def source():
            for at, service in zip(arrivals, services, strict=True):
                yield environment.timeout(at - environment.now)
                environment.process(call(service))

        began = time.perf_counter()
        environment.process(source())
        environment.run()
        spent = time.perf_counter() - began
        return {"value": requests / spent, "p99_ms": float(np.quantile(times, 0.99)) * 1000}

    return measure


def simpy_folder() -> Path:
    """SimPy. It is not a dependency of the project, so the first use installs it into a separate folder."""
    folder = Path(os.environ.get("PAWPRINT_HOME", ROOT / ".local")) / "bench" / "simpy"
    if not (folder / "simpy").is_dir():
        lock = ROOT / "bench" / "eager" / "simpy.txt"
        command = [Path(sys.executable).parent / "uv", "pip", "install", "-q", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--target", folder, "-r", lock], check=True)
    return folder
