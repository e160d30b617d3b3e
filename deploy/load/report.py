"""The report of a load test: one HTML file with its picture, and the picture as a PNG in the same folder."""

from __future__ import annotations

import base64
import html
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.load.client import LoadAnswer
from deploy.load.objective import Achieved, Objective, quantile
from deploy.load.observe import Observed, Points
from deploy.load.recommend import Recommendation
from deploy.load.search import SearchStep

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class LoadReport:
    """Everything that a load test found. `bound_seconds`: how long the cap on connections held requests back."""

    title: str
    objective: Objective
    steps: list[SearchStep]
    ceiling: float
    answers: Sequence[LoadAnswer]
    achieved: Achieved
    observed: Observed
    bound_seconds: float
    cap: int
    recommendations: list[Recommendation]

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `<name>.html` and `<name>.png`. Returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        page, picture = folder / f"{name}.html", folder / f"{name}.png"
        self._draw(picture)
        page.write_text(self._page(base64.b64encode(picture.read_bytes()).decode()), encoding="utf-8")
        return page, picture

    def _draw(self, path: Path) -> None:
        """Four charts on one time axis."""
        from matplotlib.figure import Figure

        series = self.observed.series
        figure = Figure(figsize=(11, 11), layout="constrained")
        rates, times, events, sizes = figure.subplots(4, 1, sharex=True)
        rates.step(*per_second([each.due for each in self.answers]), where="post", label="due", color="0.6")
        good = [each.ended for each in self.answers if each.status == 200 and each.latency < self.objective.limit]
        rates.step(*per_second(good), where="post", label="answered within the objective", color="tab:blue")
        rates.axhline(self.ceiling, linestyle=":", color="tab:green", label="ceiling of the closed loop")
        rates.set_ylabel("requests/s")
        for percentile, points in latencies(self.answers).items():
            times.plot(*zip(*points, strict=True), label=f"p{percentile}") if points else None
        times.axhline(self.objective.limit * 1000, linestyle=":", color="tab:red", label="objective")
        times.set(yscale="log", ylabel="ms from due")
        failed = [each.ended for each in self.answers if each.status not in (200, 429)]
        events.step(*per_second([each.ended for each in self.answers if each.status == 429]), where="post", label="429")
        events.step(*per_second(failed), where="post", label="other errors")
        for name, label, marker in (
            ("function_starts", "start of an environment", "^"),
            ("container_starts", "starts of containers in the minute", "v"),
            ("spillover", "spillover in the minute", "o"),
        ):
            if points := [each for each in series.get(name, []) if each[1]]:
                events.plot(*zip(*points, strict=True), marker, label=label, clip_on=False)
        events.set_ylabel("in a second, or a minute")
        for name, label in (
            ("instances", "instances"),
            ("concurrency", "concurrency of the function"),
            ("provisioned_use", "use of provisioned concurrency"),
            ("serverless_use", "use of serverless concurrency"),
        ):
            if points := series.get(name):
                sizes.step(*zip(*points, strict=True), where="post", marker="o", markersize=3, label=label)
        sizes.set_xlim(left=0)
        sizes.set(xlabel="seconds from the start", ylabel="count, or share")
        for chart in (rates, events, sizes):  # without a value above 0, the axis would be from -0.05 to 0.05
            chart.set_ylim(0, max(1.0, chart.get_ylim()[1]) * 1.05)
        for chart in (rates, times, events, sizes):
            chart.grid(alpha=0.3)
            if chart.get_legend_handles_labels()[0]:
                chart.legend(loc="upper left", fontsize=8)
        figure.suptitle(self.title)
        figure.savefig(path, dpi=100)

    def _page(self, picture: str) -> str:
        got = self.achieved
        facts = {
            "Objective": f"{self.objective}: {'met' if got.meets(self.objective) else 'missed'}",
            f"p{self.objective.percentile:g}": f"{got.quantile * 1000:,.0f} ms from when a request was due",
            "Requests": f"{got.requests:,}, of these {got.good:,} within the objective (goodput)",
            "Errors": f"{got.failed:,} ({got.error_share:.2%}), of these {got.throttled:,} throttled (429)",
            "Ceiling": f"{self.ceiling:.1f} requests/s in the closed loop",
            "Starts": f"{self.observed.total('function_starts'):.0f} environments, "
            f"{self.observed.total('container_starts'):.0f} containers",
            "Cap": cap_words(self.bound_seconds, self.cap),
        }
        searched = []
        for step in self.steps:
            worst, errors = f"{step.achieved.quantile * 1000:,.0f}", f"{step.achieved.error_share:.2%}"
            searched.append((step.connections, f"{step.rate:.1f}", worst, errors))
        settings = [(each.setting, each.value, each.why) for each in self.recommendations]
        return (
            "<!doctype html><html lang=en><meta charset=utf-8>"
            f"<title>{html.escape(self.title)}</title>"
            "<style>body{font:15px sans-serif;max-width:1100px;margin:2em auto}"
            "td,th{padding:.2em 1em;text-align:left;border-bottom:1px solid #ddd}img{max-width:100%}</style>"
            f"<h1>{html.escape(self.title)}</h1>{table((), facts.items())}"
            f'<img alt="Rate, latency, errors and sizes over time" src="data:image/png;base64,{picture}">'
            f"<h2>Recommended settings</h2>{table(('setting', 'value', 'because'), settings)}"
            "<h2>The search for the ceiling</h2>"
            f"{table(('connections', 'answers/s', f'p{self.objective.percentile:g}, ms', 'errors'), searched)}</html>"
        )


def cap_words(bound_seconds: float, cap: int) -> str:
    """Whether the cap on connections was reached, and what that means."""
    if not bound_seconds:
        return f"at most {cap} requests at a time were allowed, and never needed"
    return f"{cap} requests at a time were too few for {bound_seconds:.1f} s; requests waited for a connection then"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table. Everything in it is escaped."""
    cells = [f"<tr>{''.join(f'<td>{html.escape(str(each))}</td>' for each in row)}</tr>" for row in rows]
    names = f"<tr>{''.join(f'<th>{html.escape(each)}</th>' for each in head)}</tr>" if head else ""
    return f"<table>{names}{''.join(cells)}</table>"


def per_second(times: Sequence[float]) -> tuple[list[int], list[int]]:
    """How many of the times are in each second, from 0 to the last."""
    counted: dict[int, int] = defaultdict(int)
    for each in times:
        counted[int(each)] += 1
    seconds = list(range(max(counted, default=0) + 1))
    return seconds, [counted[second] for second in seconds]


def latencies(answers: Sequence[LoadAnswer]) -> dict[int, Points]:
    """Percentile -> (second in which requests were due, milliseconds) of the answers with 200."""
    by_second: dict[int, list[float]] = defaultdict(list)
    for each in answers:
        if each.status == 200:
            by_second[int(each.due)].append(each.latency * 1000)
    ordered = {second: sorted(values) for second, values in sorted(by_second.items())}
    return {
        percentile: [(second, quantile(values, percentile)) for second, values in ordered.items()]
        for percentile in PERCENTILES
    }
