"""`make load-test`: how much the deployment answers, and settings that follow from it.

First a closed loop looks for the ceiling. Then requests are sent at the times of a shape, without waiting for answers
(open loop), and each answer is measured from when its request was due.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from pathlib import Path

from rich.table import Table

from deploy import console, environment
from deploy.consistency import measured as measurements
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.load import measurement, recommend, search, shapes, tfvars
from deploy.load import objective as objectives
from deploy.load.client import Load, LoadAnswer
from deploy.load.objective import Objective, achieved
from deploy.load.observe import Observed, Observer, seconds_to_next_minute
from deploy.load.report import LoadReport, cap_words, per_second
from deploy.load.requests import TARGETS, URL, Questions, Renewal, images, questions
from deploy.terraform import Stack

CAP = 128  # connections
DEFAULT_SHARE = 0.6  # of the ceiling, if no rate is given
FALLBACK_RATE = 1.0  # requests a second, if nothing met the objective


def due_times(shape: str, rate: float, seconds: float) -> list[float]:
    """The due times of a shape or of a trace file. Raises Failure."""
    if shape in shapes.SHAPES:
        return list(shapes.dues(shape, rate, seconds))
    if not Path(shape).is_file():
        raise Failure(f"SHAPE={shape} is neither a file nor one of {', '.join(shapes.SHAPES)}.")
    return shapes.trace(Path(shape))


def find_ceiling(asked: Questions, objective: Objective, cap: int) -> tuple[list[search.SearchStep], float]:
    console.step("Looking for the ceiling, with more and more requests at a time")
    taken = []
    for step in search.steps(asked, objective, cap):
        taken.append(step)
        got = step.achieved
        console.out.print(
            f"  {step.connections:>4} at a time: {step.rate:7.1f} requests/s, "
            f"p{objective.percentile:g} {got.quantile * 1000:,.0f} ms, errors {got.error_share:.1%}",
            markup=False,
        )
        if not step.times and not got.throttled:
            raise Failure(
                f"None of {got.requests} requests was answered with 200, so there is nothing to measure. "
                f"What a request gets: {console.make('predict')}. The parts: {console.make('status')}"
            )
    return taken, search.ceiling(taken, objective)


def run(asked: Questions, dues: list[float], cap: int) -> tuple[list[LoadAnswer], float]:
    """Send the requests, with a line each second. Returns the answers, and for how many seconds the cap was binding."""
    answers: list[LoadAnswer] = []
    load = Load(asked.target, asked.sign(), cap)
    renewal = Renewal(asked.sign, lambda made: setattr(load, "requests", made))
    shown = 0

    def report(answer: LoadAnswer) -> None:
        nonlocal shown
        answers.append(answer)
        if int(answer.ended) > shown:
            shown = int(answer.ended)
            recent = [each for each in answers[-cap * 20 :] if each.ended > shown - 1]
            status.update(progress(shown, dues[-1], recent, len(answers)))

    try:
        with console.out.status("") as status:
            bound = load.follow(dues, report)
    finally:
        renewal.close()
        load.close()
    return answers, bound


def progress(second: int, last: float, recent: list[LoadAnswer], total: int) -> str:
    served = sorted(each.latency for each in recent if each.status == 200)
    p99 = objectives.quantile(served, 99) * 1000
    return (
        f"{second} of {last:.0f} s: {len(served)} requests/s, p99 {p99:,.0f} ms, "
        f"{len(recent) - len(served)} errors; {total:,} answers"
    )


def measured(
    deployment: Deployment, ceiling: float, instances: int, dues: list[float], answers: list[LoadAnswer],
    observed: Observed, start: float | None,
) -> recommend.Measured:  # fmt: skip
    rates = sorted(per_second(dues)[1])
    call = observed.mean("call_ms")
    served = [each.ended - each.sent for each in answers if each.status == 200]
    fallback = sum(served) / len(served) if served else 0.0
    return recommend.Measured(
        ceiling=ceiling,
        instances=instances,
        base=rates[len(rates) // 10],
        peak=rates[-1],
        call=call / 1000 if call else fallback,
        start=start,
    )


def options_of_caller() -> argparse.Namespace:
    parser = console.Parser(description="Test how much the deployment answers, and recommend settings.")
    parser.add_argument("--rate", type=float, help="requests a second at the highest; default: 60 %% of the ceiling")
    parser.add_argument("--duration", default="60s", help="such as 90s or 5m; a trace file has its own")
    parser.add_argument("--shape", default="constant", help=f"{', '.join(shapes.SHAPES)}, or a CSV file with times")
    parser.add_argument("--target", choices=TARGETS, default=URL, help="the function URL, or the endpoint behind it")
    parser.add_argument("--images", help="a folder of photographs; default: one of the sample")
    parser.add_argument("--slo", default=objectives.DEFAULT, help="the objective, such as p99<300ms,errors<0.1%%")
    parser.add_argument("--cap", type=int, default=CAP, help="requests at a time, at most")
    parser.add_argument("--write", action="store_true", help="write the recommended values to the settings")
    return parser.parse_args()


def main() -> None:
    options = options_of_caller()
    objective, seconds = objectives.parse(options.slo), shapes.duration(options.duration)
    stack = Stack(environment.current())
    deployment = stack.require_deployment()
    asked = questions(deployment, options.target, images(options.images))
    due_times(options.shape, 1.0, seconds)  # a wrong shape is refused before anything is sent

    observer = Observer(deployment)
    taken, ceiling = find_ceiling(asked, objective, options.cap)
    instances = observer.instances
    rate = options.rate or (ceiling * DEFAULT_SHARE) or FALLBACK_RATE
    dues = due_times(options.shape, rate, seconds)
    observer.stop()

    console.step("Waiting for the next minute of CloudWatch, so that its values are those of the shape")
    time.sleep(seconds_to_next_minute())
    console.step(f"Sending {len(dues):,} requests in {dues[-1]:.0f} s: {options.shape}, up to {rate:.1f} a second")
    observer = Observer(deployment)
    answers, bound = run(asked, dues, options.cap)
    observed = observer.finish()
    got = achieved(answers, objective)
    advice = recommend.recommend(
        measured(deployment, ceiling, instances, dues, answers, observed, observer.start_seconds)
    )
    if instances and ceiling and not taken[-1].achieved.throttled:  # throttled: the function ended the search
        calls = [value for _, value in observed.series.get("call_ms", [])]
        measurements.write(deployment, ceiling / instances, min(calls) / 1000 if calls else None)
    title = (
        f"{deployment.name}, {options.target}, {deployment.endpoint_kind}: {options.shape} up to {rate:.1f} requests/s"
    )
    report = LoadReport(title, objective, taken, ceiling, answers, got, observed, bound, options.cap, advice)
    folder, name = stack.env.home / "load-tests", f"{datetime.now():%Y%m%d-%H%M%S}"
    page, picture = report.write(folder, name)
    if ceiling:
        measurement.of(deployment, options.target, taken, ceiling, instances, observed, observer.start_seconds).save(
            folder / f"{name}.json"
        )
    show(report)
    console.out.print(f"  {page}\n  {picture}", markup=False)
    if options.write:
        tfvars.write(stack.env.tfvars, {each.setting: each.value for each in advice})


def show(report: LoadReport) -> None:
    """Print whether the objective is met, and the recommended settings."""
    objective, got = report.objective, report.achieved
    met = "met" if got.meets(objective) else "missed"
    console.done(
        f"{objective}: {met}. p{objective.percentile:g} {got.quantile * 1000:,.0f} ms; "
        f"{got.good:,} of {got.requests:,} within the objective; errors {got.error_share:.2%}, "
        f"of these {got.throttled} throttled"
    )
    say = console.warn if report.bound_seconds else console.step
    say(f"Concurrency: {cap_words(report.bound_seconds, report.cap)}")
    rows = Table("setting", "value", "because")
    for each in report.recommendations:
        rows.add_row(each.setting, str(each.value), each.why)
    console.show(rows)


if __name__ == "__main__":
    console.run(main)
