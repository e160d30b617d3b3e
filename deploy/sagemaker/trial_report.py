"""The result of a tuning job: a table of its trials, a plot and the best trial."""

from __future__ import annotations

import itertools
from pathlib import Path

from classifier import prices
from rich.table import Table

from deploy import console
from deploy.console import Failure
from deploy.environment import Environment
from deploy.sagemaker.trials import Trial, shown

BLUE, ORANGE, GREY, INK = "#2a6fbb", "#e08a1e", "#8a949e", "#1f2933"
COLOURS = ("#7fb2e5", BLUE, "#3a9a6b", "#8a5bb5", "#c0475f", "#5f6b76")
DOT, STAR = 52, 260  # areas, in square points


def show(env: Environment, job: dict, trials: list[Trial]) -> None:
    """Print the table and the best trial, and draw the plot. Raises Failure if no trial completed."""
    name = job["HyperParameterTuningJobName"]
    best = (job.get("BestTrainingJob") or {}).get("TrainingJobName")
    console.show(table(trials, best))
    winner = next((trial for trial in trials if trial.name == best), None)
    if winner is None:
        raise Failure(f"The tuning job {name} is {job['HyperParameterTuningJobStatus']}, and no trial completed.")
    metric = job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    picture = plot(trials, winner, metric, env.home / "tuning" / f"{name}.png")
    console.done(
        f"{winner.name} is the best of {len(trials)}: {metric} {winner.objective:.4f}\n"
        f"  {picture}\n"
        f"  Cost of all trials on AWS: {cost(job, trials)}\n"
        f"  Its report: {console.make(f'report JOB={winner.name}')}\n"
        f"  Put it behind the URL: {console.make(f'promote MODEL={winner.name}')}"
    )
    overall = job.get("OverallBestTrainingJob", {}).get("TrainingJobName")
    if overall not in (None, best):
        console.out.print(f"  The best trial of this job and its parent jobs is still {overall}.")


def cost(job: dict, trials: list[Trial]) -> str:
    """The cost of the instances of all trials in SageMaker."""
    resources = job["TrainingJobDefinition"]["ResourceConfig"]
    seconds = sum(trial.seconds for trial in trials)
    return prices.sentence(resources["InstanceType"], seconds, resources["InstanceCount"])


def table(trials: list[Trial], best: str | None) -> Table:
    """The trials by objective, best first. Trials without an objective are at the end."""
    names = sorted({name for trial in trials for name in trial.hyperparameters})
    made = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    made.add_column("trial", justify="right")
    made.add_column("objective", justify="right")
    for name in names:
        made.add_column(name, justify="right")
    made.add_column("seconds", justify="right")
    made.add_column("")
    for trial in sorted(trials, key=lambda trial: (trial.objective is None, -(trial.objective or 0), trial.number)):
        made.add_row(
            str(trial.number),
            "—" if trial.objective is None else f"{trial.objective:.4f}",
            *(shown(trial.hyperparameters.get(name, "")) for name in names),
            f"{trial.seconds:.0f}",
            "winner" if trial.name == best else trial.outcome(),
            style="bold green" if trial.name == best else None,
        )
    return made


def plot(trials: list[Trial], winner: Trial, metric: str, path: Path) -> Path:
    """Plot the objective against the trial's number and, if it was tuned, the learning rate. Return the PNG's path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2 if "lr" in winner.hyperparameters else 1, sharey=True, squeeze=False)[0]
    for axes, draw in zip(panels, (_draw_over_time, _draw_over_lr), strict=False):
        draw(axes, trials, winner)
    panels[0].set_ylabel(metric.replace("_", " "), color=INK)
    for axes in panels:
        axes.grid(color="#e4e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
        axes.margins(0.08, 0.12)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 4}
        axes.legend(frameon=False, fontsize=9, handletextpad=0.3, columnspacing=1.2, labelcolor=INK, **below)
    name = winner.name.rsplit("-", 2)[0]
    figure.suptitle(f"{name}: the best of {len(trials)} trials is number {winner.number}", color=INK, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _draw_over_time(axes, trials: list[Trial], winner: Trial) -> None:
    from matplotlib.ticker import MaxNLocator

    completed = [trial for trial in trials if trial.status == "Completed" and trial.objective is not None]
    stopped = [trial for trial in trials if trial.status == "Stopped" and trial.objective is not None]
    nothing = [trial.number for trial in trials if trial.objective is None]
    numbers, objectives = _points(completed)
    best = list(itertools.accumulate(objectives, max))
    edge = max(trial.number for trial in trials) + 0.5
    reached = ([*numbers, edge], [*best, best[-1]])
    axes.step(*reached, where="post", color=ORANGE, label="best so far")
    axes.scatter(*_points(completed), s=DOT, color=BLUE, zorder=3, label="completed")
    if stopped:
        axes.scatter(*_points(stopped), s=DOT, c="white", edgecolors=BLUE, zorder=3, label="stopped early")
    if nothing:  # shown at the bottom of the plot
        bottom = {"transform": axes.get_xaxis_transform(), "marker": "x", "color": GREY}
        axes.scatter(nothing, [0.03] * len(nothing), label="no result", **bottom)
    _draw_star(axes, winner.number, winner, BLUE)
    axes.set_xlim(0.5, edge)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial", color=INK)


def _draw_over_lr(axes, trials: list[Trial], winner: Trial) -> None:
    """One colour per network if there are several, otherwise one per batch size. Hollow markers are stopped trials."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    having = [trial for trial in trials if trial.objective is not None]
    by = "arch" if "arch" in winner.hyperparameters else "batch-size"
    groups = sorted({trial.hyperparameters.get(by, "any") for trial in having}, key=lambda value: (len(value), value))
    for group, colour in zip(groups, itertools.cycle(COLOURS), strict=False):
        own = [trial for trial in having if trial.hyperparameters.get(by, "any") == group]
        rates = [float(trial.hyperparameters["lr"]) for trial in own]
        faces = ["white" if trial.status == "Stopped" else colour for trial in own]
        axes.scatter(rates, [trial.objective for trial in own], s=DOT, c=faces, edgecolors=colour, zorder=3)
        label = group if by == "arch" else f"batch {group}"
        axes.scatter([], [], s=DOT, color=colour, label=label)  # for the legend, which always shows solid markers
        if winner in own:
            _draw_star(axes, float(winner.hyperparameters["lr"]), winner, colour)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("learning rate", color=INK)


def _draw_star(axes, x: float, winner: Trial, colour: str) -> None:
    axes.scatter([x], [winner.objective], marker="*", s=STAR, color=colour, edgecolors=INK, zorder=4)
    above = {"xytext": (0, 12), "textcoords": "offset points", "ha": "center"}
    axes.annotate(f"{winner.objective:.4f}", (x, winner.objective), color=INK, **above)


def _points(trials: list[Trial]) -> tuple[list[int], list[float]]:
    found = [(trial.number, trial.objective) for trial in trials if trial.objective is not None]
    return [number for number, _ in found], [objective for _, objective in found]
