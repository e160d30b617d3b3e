"""`make capacity`: the cheapest settings that meet an objective, by a simulation of the stack and its scaling."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from rich.table import Table

from deploy import console, environment
from deploy.capacity import forecast, report, search, traces
from deploy.capacity.calibration import Calibration, calibrate
from deploy.capacity.price import monthly
from deploy.capacity.search import Tried
from deploy.capacity.simulate import simulate
from deploy.capacity.trace import Trace
from deploy.console import Failure
from deploy.costs.price_list import PriceList
from deploy.deployment import INSTANCES
from deploy.environment import Environment
from deploy.load import measurement, shapes, tfvars
from deploy.load import objective as objectives
from deploy.load.objective import Objective
from deploy.load.requests import URL, images, questions
from deploy.load.search import ceiling, steps
from deploy.terraform import Stack

CAP = 64  # connections of the closed loop that calibrates, if there is no load test


def calibration(env: Environment, given: str | None, start: float | None) -> Calibration:
    """From the given file, the last load test, or a closed loop against the deployment. Raises Failure."""
    path = Path(given) if given else measurement.newest(env.home / "load-tests")
    if path is not None:
        return calibrate(measurement.load(path), f"load test {path.name}", start)
    deployment = Stack(env).deployment()
    if not deployment.has("artifacts_bucket"):
        raise Failure(
            f"There is nothing to calibrate with: no load test, and no deployment to measure. Deploy and measure with "
            f"{console.make('up')} and {console.make('load-test')}, or name a file of a load test: CALIBRATION=file."
        )
    env.require_own_local_aws()
    console.step("No load test yet: measuring service times in a short closed loop")
    objective, asked = objectives.parse(objectives.DEFAULT), questions(deployment, URL, images(None))
    taken = list(steps(asked, objective, CAP))
    if not (found := ceiling(taken, objective)):
        raise Failure(f"Nothing met {objective} in the closed loop. See what is wrong: {console.make('load-test')}")
    count = 1 if deployment.endpoint_kind == INSTANCES else 0
    measured = measurement.of(deployment, URL, taken, found, count, None, None)
    path = env.home / "load-tests" / f"{datetime.now():%Y%m%d-%H%M%S}.json"
    measured.save(path)
    return calibrate(measured, f"closed loop {path.name}", start)


def show(tried: list[Tried], objective: Objective) -> None:
    table = Table(*report.head(objective))
    for row in report.rows(tried):
        table.add_row(*row)
    console.show(table)


def propose(trace: Trace, found: Calibration, objective: Objective, prices: PriceList) -> None:
    """Scheduled actions from two weeks, and what they do in the next one, next to the same plan without them."""
    parts = forecast.split(trace)
    if parts is None:
        raise Failure(
            f"FORECAST=1 needs three weeks, two to learn from and one to judge on. The trace has "
            f"{trace.seconds / forecast.DAY:.1f} days."
        )
    history, week = parts
    tracked, planned = forecast.plans(history, found)
    console.step(f"{len(planned.actions)} scheduled actions from two weeks:")
    for action in planned.actions:
        console.out.print(f"  {action.schedule:<28} {action.least} to {action.most} instances", markup=False)
    judged = []
    for plan in (tracked, planned):
        result = simulate(plan.system(found), week)
        judged.append(search.judged(plan, result, objective, prices))
    console.step("The next week, without and with them:")
    show(judged, objective)
    before, after = judged
    if after.meets or after.got.quantile <= before.got.quantile:
        console.done("with the schedule, the week was answered at least as fast")
    else:
        console.warn("the schedule did not help in that week: its pattern differs from that of the two before")


def main() -> None:
    parser = console.Parser(description="Find the cheapest settings that meet an objective, by simulation.")
    parser.add_argument("--trace", default="diurnal", help=f"{traces.FORMS}; default: diurnal")
    parser.add_argument("--rate", type=float, help="requests a second at the highest; a file is scaled to it")
    parser.add_argument("--duration", default="24h", help="of a shape, such as 90s, 5m or 24h")
    parser.add_argument("--slo", default=objectives.DEFAULT, help="the objective, such as p99<300ms,errors<0.1%%")
    parser.add_argument("--budget", type=float, help="USD a month, at most")
    parser.add_argument("--types", default=",".join(search.TYPES), help="instance types, with commas")
    parser.add_argument("--kinds", default=",".join(search.KINDS), help="kinds of endpoint, with commas")
    parser.add_argument("--calibration", help="a file of a load test; default: the last one")
    parser.add_argument("--start", type=float, help="seconds in which an instance starts; default: as measured")
    parser.add_argument("--forecast", action="store_true", help="propose scheduled actions from two weeks of a trace")
    parser.add_argument("--write", action="store_true", help="write the cheapest settings to the settings file")
    options = parser.parse_args()
    objective = objectives.parse(options.slo)
    trace = traces.read(options.trace, options.rate, shapes.duration(options.duration))
    types, kinds = (
        [each.strip() for each in text.split(",") if each.strip()] for text in (options.types, options.kinds)
    )
    if wrong := [each for each in kinds if each not in search.KINDS]:
        raise Failure(f"KINDS: {wrong[0]!r} is not a kind of endpoint. Give some of {', '.join(search.KINDS)}.")
    env = environment.current()
    prices = PriceList("us-east-1")
    search.require_types(types, prices)
    if options.budget is not None and options.budget <= 0:
        raise Failure(f"BUDGET={options.budget:g} is not an amount of USD a month.")
    found = calibration(env, options.calibration, options.start)
    console.step(f"Calibration: {found.words}")
    console.step(f"Trace: {trace.name}, {trace.total:,.0f} requests, at most {trace.peak:.1f} a second")
    if options.forecast:
        propose(trace, found, objective, prices)
        return

    console.step(f"Looking for the cheapest plan with {objective}")
    tried = search.search(trace, found, objective, prices, options.budget, types, kinds)
    show(tried, objective)
    chosen = search.cheapest(tried, trace, found, objective, prices, options.budget)
    result = simulate(chosen.plan.system(found), trace) if chosen else None
    title = f"{trace.name}: {objective}"
    made = report.CapacityReport(title, trace, objective, found.words, tried, chosen, result, options.budget)
    page, picture = made.write(env.home / "capacity", f"{datetime.now():%Y%m%d-%H%M%S}")
    console.out.print(f"  {page}\n  {picture}", markup=False)
    if chosen is None:
        raise Failure(_nothing(tried, objective, options.budget))
    assert result is not None
    console.done(f"{chosen.plan.label}: ${monthly(result, chosen.plan, prices):,.2f} a month. {prices.source}")
    for name, value in chosen.plan.values().items():
        console.out.print(f"  {name} = {value}", markup=False)
    if options.write:
        write(env, chosen, tried, trace, found, objective, prices, options.budget)


def write(
    env: Environment, chosen: Tried, tried: list[Tried], trace: Trace, found: Calibration, objective: Objective,
    prices: PriceList, budget: float | None,
) -> None:  # fmt: skip
    """Write the cheapest plan that Terraform has inputs for."""
    if not chosen.plan.can_be_written:
        console.warn(f"Terraform has no inputs for the policy {chosen.plan.policy}; the next plan is written instead")
        able = [each for each in tried if each.plan.can_be_written]
        other = search.cheapest(able, trace, found, objective, prices, budget)
        if other is None:
            raise Failure("No plan with target tracking meets the objective; nothing was written.")
        chosen = other
    console.step(chosen.plan.label)
    tfvars.write(env.tfvars, chosen.plan.values())


def _nothing(tried: list[Tried], objective: Objective, budget: float | None) -> str:
    able = [each.cost for each in tried if each.meets and each.cost is not None]
    if able and budget is not None:
        return (
            f"{objective} costs at least ${min(able):,.2f} a month, and BUDGET is ${budget:,.2f}. Raise BUDGET, or "
            "give a weaker SLO."
        )
    best = min((each.got.quantile for each in tried if each.got.quantile == each.got.quantile), default=float("nan"))
    return (
        f"No plan met {objective}; the fastest had p{objective.percentile:g} {best * 1000:,.0f} ms. Give a weaker SLO, "
        "or larger TYPES."
    )


if __name__ == "__main__":
    console.run(main)
