"""The report of a search: a table and a picture of cost against latency, and the chosen plan on a time axis."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.capacity.result import Simulated
from deploy.capacity.search import Tried
from deploy.capacity.trace import Trace
from deploy.deployment import INSTANCES
from deploy.load.objective import Objective
from deploy.load.report import table

POINTS = 1500  # of a curve, at most
MARKERS = {"target tracking": "o", "high-resolution tracking": "s", "steps": "^", "schedule": "D"}


@dataclass(frozen=True)
class CapacityReport:
    """`result` is of the chosen plan; None if no plan met the objective."""

    title: str
    trace: Trace
    objective: Objective
    calibration: str
    tried: list[Tried]
    chosen: Tried | None
    result: Simulated | None
    budget: float | None = None

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `<name>.html` and `<name>.png`. Returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        page, picture = folder / f"{name}.html", folder / f"{name}.png"
        self._draw(picture)
        page.write_text(self._page(base64.b64encode(picture.read_bytes()).decode()), encoding="utf-8")
        return page, picture

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 12 if self.result else 6), layout="constrained")
        axes = figure.subplots(3 if self.result else 1, 1, height_ratios=[2, 1, 1] if self.result else None)
        charts = list(np.atleast_1d(axes))
        self._costs(charts[0])
        if self.result:
            self._load(charts[1], self.result)
            self._sizes(charts[2], self.result)
        for chart in charts:
            chart.grid(alpha=0.3)
            if chart is not charts[0]:
                chart.legend(loc="best", fontsize=8)
        figure.suptitle(self.title)
        figure.savefig(path, dpi=100)

    def _costs(self, chart) -> None:
        """A point for each plan: its colour is that of the type, its marker of the policy. Those that miss the
        objective are hollow."""
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        shown = [each for each in self.tried if each.cost is not None and np.isfinite(each.got.quantile)]
        kinds = sorted({each.plan.instance_type or each.plan.kind for each in shown})
        for each in shown:
            colour = f"C{kinds.index(each.plan.instance_type or each.plan.kind) % 10}"
            chart.scatter(
                [each.cost],
                [each.got.quantile * 1000],
                marker=MARKERS[each.plan.policy] if each.plan.kind == INSTANCES else "P",
                facecolors=colour if each.meets else "none",
                edgecolors=colour,
            )
        for number, kind in enumerate(kinds):
            chart.scatter([], [], color=f"C{number % 10}", label=kind)
        for policy in sorted({each.plan.policy for each in shown if each.plan.kind == INSTANCES}):
            chart.scatter([], [], marker=MARKERS[policy], color="0.4", label=policy)
        chart.scatter([], [], facecolors="none", edgecolors="0.4", label="missed the objective")
        chart.axhline(self.objective.limit * 1000, linestyle=":", color="tab:red", label="limit of the objective")
        if self.budget is not None:
            chart.axvline(self.budget, linestyle="--", color="0.4", label="budget")
        if self.chosen is not None and self.chosen.cost is not None:
            cost, worst = self.chosen.cost, self.chosen.got.quantile * 1000
            chart.scatter(
                [cost], [worst], s=260, marker="*", color="gold", edgecolors="black", label="chosen", zorder=3
            )
        name = f"p{self.objective.percentile:g}, ms from due"
        chart.set(xscale="log", yscale="log", xlabel="USD a month", ylabel=name)
        for axis in (chart.xaxis, chart.yaxis):  # 300 is easier to read than 3 x 10^2
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axis.set_minor_formatter(NullFormatter())
        chart.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)

    def _load(self, chart, result: Simulated) -> None:
        hours, every = result.column("begin") / 3600, max(1, len(result.ticks) // POINTS)
        for name, label in (("offered", "due"), ("throttled", "throttled"), ("failed", "other errors")):
            values = _means(result.column(name) / result.column("seconds"), every)
            if name == "offered" or values.any():
                chart.step(hours[::every][: len(values)], values, where="post", label=label)
        chart.set(ylabel="requests/s", ylim=(0, None))

    def _sizes(self, chart, result: Simulated) -> None:
        hours, every = result.column("begin") / 3600, max(1, len(result.ticks) // POINTS)
        names = [("paid", "instances that are paid"), ("ready", "instances in service")]
        if self.chosen is not None and self.chosen.plan.kind != INSTANCES:
            names = []
        for name, label in (*names, ("concurrency", "concurrency of the function"), ("provisioned", "provisioned")):
            values = _means(result.column(name), every)
            if values.any():
                chart.step(hours[::every][: len(values)], values, where="post", label=label)
        chart.set(xlabel="hours from the start", ylabel="count", ylim=(0, None))

    def _page(self, picture: str) -> str:
        budget = "" if self.budget is None else f"; budget {self.budget:,.0f} USD a month"
        facts = {
            "Objective": f"{self.objective}{budget}",
            "Trace": f"{self.trace.name}: {self.trace.total:,.0f} requests in {self.trace.seconds / 3600:.2f} h, "
            f"at most {self.trace.peak:.1f} a second",
            "Calibration": self.calibration,
            "Chosen": self.chosen.plan.label if self.chosen else "no plan meets the objective",
        }
        settings = self.chosen.plan.values().items() if self.chosen else ()
        return (
            "<!doctype html><html lang=en><meta charset=utf-8>"
            f"<title>{html.escape(self.title)}</title>"
            "<style>body{font:15px sans-serif;max-width:1100px;margin:2em auto}"
            "td,th{padding:.2em 1em;text-align:left;border-bottom:1px solid #ddd}img{max-width:100%}</style>"
            f"<h1>{html.escape(self.title)}</h1>{table((), facts.items())}"
            f'<img alt="Cost against latency, and the chosen plan over time" src="data:image/png;base64,{picture}">'
            f"<h2>Settings</h2>{table(('setting', 'value'), settings)}"
            f"<h2>What was tried</h2>{table(head(self.objective), rows(self.tried))}</html>"
        )


def head(objective: Objective) -> tuple[str, ...]:
    return "plan", "USD a month", "p50, ms", f"p{objective.percentile:g}, ms", "errors", "instances", "objective"


def rows(tried: list[Tried]) -> list[tuple[str, ...]]:
    """The plans as text, the cheapest first."""
    return [
        (
            each.plan.label,
            "not known" if each.cost is None else f"{each.cost:,.2f}",
            f"{each.median * 1000:,.0f}",
            f"{each.got.quantile * 1000:,.0f}",
            f"{each.got.error_share:.3%}",
            f"{each.instances:.2f}",
            "met" if each.meets else "missed",
        )
        for each in sorted(tried, key=lambda each: (each.cost is None, each.cost or 0.0))
    ]


def _means(values: np.ndarray, every: int) -> np.ndarray:
    """The means of so many values each; the last few that are fewer are left out."""
    return values[: len(values) // every * every].reshape(-1, every).mean(axis=1)
