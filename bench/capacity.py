"""The capacity simulation: its speed, and its error against the local AWS.

    make bench ONLY=capacity/day          a day at 10,000 requests/s, against SimPy
    make bench ONLY=capacity/accuracy     scenarios simulated and measured; writes the table in docs/CAPACITY.md
    make bench ONLY=capacity/spike+full   some of them, by their keys

The accuracy takes seven minutes and little processor time. It needs a quiet machine: a delay of the client counts as
latency.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench import results
from bench.harness import ROOT, BenchmarkCandidate, Comparison, compare
from bench.options import Options
from bench.rehearsal import LINE, SCALE, THREADS, Rehearsal, Scenario, Seen
from deploy.capacity.result import Simulated
from deploy.capacity.simulate import simulate
from deploy.capacity.system import INVOCATIONS, Function, Instances, Scaling, ServerlessEndpoint, System, Times
from deploy.capacity.trace import Trace
from deploy.load.objective import quantile

DOCUMENT = ROOT / "docs" / "CAPACITY.md"
PREFIX = "Capacity simulated, "
NOTE = (
    "The same requests, due at the same times, in the local AWS (whose minutes of metrics last a second) and in the "
    "simulation. The model sleeps, so that instances do not share processors. Single requests give the other times."
)


def tracking(metric: str, target: float) -> dict:
    """Cooldowns of a minute, which lasts a second here."""
    return {
        "TargetValue": target,
        "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
        "ScaleInCooldown": 60,
        "ScaleOutCooldown": 60,
    }


USE = "LambdaProvisionedConcurrencyUtilization"
SCENARIOS = {
    "steady": Scenario("steady, half full", ((30, 10.0),), url=False),
    "full": Scenario("steady, nearly full, varying times", ((40, 15.0),), spread="exponential", url=False),
    "overload": Scenario("overloaded line", ((20, 35.0),), url=False),
    "function": Scenario("function and endpoint, steady", ((30, 8.0),)),
    "reserved": Scenario("reserved concurrency too small", ((25, 16.0),), reserved=2, mean=0.2),
    "spillover": Scenario("provisioned concurrency spills over", ((25, 12.0),), reserved=8, provisioned=2, mean=0.15),
    "spike": Scenario(
        "spike with target tracking",
        ((10, 5.0), (25, 22.0), (35, 3.0)),
        url=False,
        scaling=Scaling(1, 3, (tracking(INVOCATIONS, 10.0),)),
    ),
    "provisioned": Scenario(
        "provisioned concurrency tracks its use",
        ((40, 10.0),),
        reserved=8,
        provisioned=1,
        mean=0.2,
        warm=Scaling(1, 5, (tracking(USE, 0.7),)),
    ),
    "serverless": Scenario("serverless, few containers", ((25, 12.0),), mean=0.2, containers=2, url=False),
}


def run(options: Options) -> Iterator[Comparison]:
    if options.wants("day"):
        yield day(options)
    keys = SCENARIOS if options.wants("accuracy") else (options.part or "").split("+")
    if scenarios := [SCENARIOS[each] for each in keys if each in SCENARIOS]:
        yield from accuracy(scenarios[:1] if options.quick else scenarios)
    if not options.quick:
        results.write_between_markers(DOCUMENT, table())


def day(options: Options) -> Comparison:
    """A day whose busiest hour has 10,000 requests a second."""
    hours = 1 if options.quick else 24
    target = "bench.capacity_candidates"
    return compare(
        "Capacity, a day at 10,000 requests/s",
        [
            BenchmarkCandidate("SimPy", f"{target}:event_list", {"requests": 5_000 if options.quick else 40_000}),
            BenchmarkCandidate("request by request", f"{target}:single", {"requests": 40_000}),
            BenchmarkCandidate("make capacity", f"{target}:whole_day", {"hours": hours, "rate": 10_000.0}),
        ],
        unit="requests/s simulated",
        repeats=options.rounds(3),
        note="Requests simulated per second of one processor. SimPy runs a few of them: its day would last hours.",
    )


def accuracy(scenarios: list[Scenario]) -> Iterator[Comparison]:
    rehearsal = Rehearsal()
    try:
        measured = rehearsal.measure()
        print({name: f"{float(np.median(value)):.4f} s" for name, value in measured.items()}, flush=True)
        for scenario in scenarios:
            seen = rehearsal.run(scenario)
            made = comparison(scenario, seen, simulate(system(scenario, measured), trace(scenario)))
            print(" | ".join(row(made.to_json())), flush=True)
            yield made
    finally:
        rehearsal.close()


def trace(scenario: Scenario) -> Trace:
    seconds = sum(each for each, _ in scenario.load)
    times = scenario.arrivals()
    return Trace(np.histogram(times, int(seconds), (0, seconds))[0].astype(float), 1.0, 0.0, times)


def system(scenario: Scenario, measured: dict) -> System:
    """The scenario as the simulation has it, with the measured times."""
    own = Times.of(np.maximum(0.0, measured["url" if scenario.url else "direct"]))
    model = Times.exponential(scenario.mean) if scenario.spread == "exponential" else Times.fixed(scenario.mean)
    start = Times.fixed(measured["instance"])
    if scenario.containers:
        endpoint: Instances | ServerlessEndpoint = ServerlessEndpoint(model, start, scenario.containers)
    else:
        endpoint = Instances(model, THREADS, scenario.scaling.least, scenario.scaling, start, line=LINE, in_turn=True)
    if not scenario.url:
        return System(Function(own, Times.fixed(0.0), account=10**6), endpoint, SCALE)
    function = Function(
        own,
        Times.fixed(measured["environment"]),
        scenario.reserved,
        provisioned=scenario.provisioned,
        scaling=scenario.warm,
        provisioning=measured["environment"],
    )
    return System(function, endpoint, SCALE)


def figures(seen: Seen) -> dict[str, float]:
    """p50 and p99 in ms, the requests, those that were refused, and the minutes of instances."""
    times = sorted(each.latency * 1000 for each in seen.answers if each.status == 200)
    refused = sum(each.status != 200 for each in seen.answers)
    return {
        "requests": len(seen.answers),
        "p50_ms": quantile(times, 50),
        "p99_ms": quantile(times, 99),
        "refused": refused,
        "instance_minutes": seen.instance_seconds * SCALE / 60,
    }


def simulated(result: Simulated) -> dict[str, float]:
    return {
        "requests": result.total("offered"),
        "p50_ms": result.quantile(50) * 1000,
        "p99_ms": result.quantile(99) * 1000,
        "refused": result.total("throttled") + result.total("failed"),
        "instance_minutes": result.instance_seconds * SCALE / 60,
    }


def comparison(scenario: Scenario, seen: Seen, result: Simulated) -> Comparison:
    """The p99 of both; the other figures are its details."""
    both = {"measured": figures(seen), "simulated": simulated(result)}
    return Comparison(
        f"{PREFIX}{scenario.name}",
        "ms, p99",
        True,
        "measured",
        "simulated",
        {name: [values["p99_ms"]] for name, values in both.items()},
        {name: [values] for name, values in both.items()},
        note=NOTE,
    )


def row(kept: dict) -> list[str]:
    """A line of the table: each figure as measured / simulated, and the difference."""
    (real,), (made,) = (kept["candidates"][name]["details"] for name in ("measured", "simulated"))
    cells = [kept["what"].removeprefix(PREFIX), f"{real['requests']:,.0f}"]
    for name in ("p50_ms", "p99_ms"):
        cells.append(f"{real[name]:,.0f} / {made[name]:,.0f} ({made[name] / real[name] - 1:+.0%})")
    share = (made["refused"] - real["refused"]) / real["requests"]
    cells.append(f"{real['refused']:,.0f} / {made['refused']:,.0f} ({share:+.1%} of all)")
    minutes = real["instance_minutes"], made["instance_minutes"]
    cells.append(f"{minutes[0]:.0f} / {minutes[1]:.0f} ({minutes[1] / minutes[0] - 1:+.0%})" if minutes[0] else "none")
    return cells


def table() -> str:
    """The scenarios that were measured, from the results."""
    kept = {each["what"]: each for each in results.read() if each["what"].startswith(PREFIX)}
    found = [kept[name] for each in SCENARIOS.values() if (name := f"{PREFIX}{each.name}") in kept]
    head = ["scenario", "requests", "p50, ms", "p99, ms", "refused", "instance-minutes"]
    return "\n".join(f"| {' | '.join(each)} |" for each in [head, ["---"] * len(head), *map(row, found)])
