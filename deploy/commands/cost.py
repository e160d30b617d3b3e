"""`make cost`: what the stack costs, idle, for a training run and for a million predictions, before it is applied."""

from __future__ import annotations

from pathlib import Path

from classifier.prices import dollars
from rich.table import Table

from deploy import console, environment
from deploy.build import package
from deploy.costs import expected, idle, traffic
from deploy.costs.idle import CostLine
from deploy.costs.price_list import PriceList
from deploy.costs.rates import AS_OF, an_hour
from deploy.environment import ROOT
from deploy.settings import effective, endpoint_kind
from deploy.terraform import Stack


def show_idle(listed: list[CostLine], storage: float) -> None:
    console.out.print("Without traffic")
    table = Table("part", "what")
    for heading in ("an hour", "a month"):
        table.add_column(heading, justify="right")
    table.add_column("to stop it", overflow="fold")
    for line in (line for line in listed if line.idle):
        table.add_row(line.part, line.what, _rate(line.hourly), _usd(line.monthly), line.stop)
    table.add_row("bucket", "as in the usage file", _rate(an_hour(storage)), dollars(storage), console.make("destroy"))
    total = idle.monthly(listed)
    table.add_section()
    table.add_row("", "all of it", _rate(an_hour(total + storage)), dollars(total + storage), "")
    console.show(table)
    console.out.print("\nOnly while it is used")
    used = Table("part", "what")
    used.add_column("an hour", justify="right")
    used.add_column("to stop it", overflow="fold")
    for line in (line for line in listed if not line.idle):
        used.add_row(line.part, line.what, _rate(line.hourly), line.stop)
    console.show(used)


def show_traffic(usage: traffic.Usage, listed: list[traffic.TrafficLine]) -> None:
    console.out.print(
        f"\nA million predictions, {usage.rate:.3g} a second, images of {usage.image_kb:g} KB", markup=False
    )
    table = Table("part", "what")
    table.add_column("USD", justify="right")
    for line in listed:
        table.add_row(line.part, line.what, _usd(line.usd))
    table.add_section()
    table.add_row("", "", dollars(sum(line.usd or 0 for line in listed)))
    console.show(table)


def _usd(amount: float | None) -> str:
    return "not known" if amount is None else dollars(amount)


def _rate(hourly: float | None) -> str:
    return "not known" if hourly is None else f"${hourly:.4f}"


def main() -> None:
    parser = console.Parser(description=__doc__)
    parser.add_argument("--rate", type=float, help="requests a second; default: as in the usage file")
    parser.add_argument("--image-kb", type=float, help="size of an image in KB (100)")
    parser.add_argument("--usage", type=Path, help="a usage file of infracost's format (terraform/infracost-usage.yml)")
    options = parser.parse_args()
    usage = traffic.Usage.read(options.usage or traffic.USAGE, options.rate, options.image_kb)
    env = environment.current()
    env.require_access()
    package.build(endpoint_kind(env.tfvars))
    stack = Stack(env)
    # Of the file alone, because what a dress rehearsal changes in it is not what AWS would bill.
    settings, plan = effective(env.tfvars), stack.planned()
    prices = PriceList(settings["region"], env.client)
    found = idle.resources(plan, "after")
    show_idle(idle.lines(found, prices, settings), traffic.storage(usage))
    listed, warning = traffic.per_million(usage, found, prices, settings)
    show_traffic(usage, listed)
    deployment = stack.deployment()
    console.out.print("\nA training run")
    for words in expected.overview(deployment, settings):
        console.out.print(f"  {words}", markup=False)
    if warning:
        console.warn(warning)
    console.out.print(f"\n{prices.source} Everything else at list prices of us-east-1 as of {AS_OF}.", markup=False)
    console.out.print(f"The settings are those of {env.tfvars.relative_to(ROOT)}.", markup=False)
    console.out.print("Not included: free tiers, taxes, volumes of training jobs, data between regions.", markup=False)


if __name__ == "__main__":
    console.run(main)
