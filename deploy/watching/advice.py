"""What to do next: the first of these that applies. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deploy import console
from deploy.sagemaker import trials
from deploy.sagemaker.releases import BOOTSTRAP
from deploy.watching.alarms import AlarmState
from deploy.watching.parts import BAD, Part
from deploy.watching.traffic import ObservedTraffic


@dataclass(frozen=True)
class Advice:
    """A command, and why."""

    command: str
    why: str


def next_steps(
    parts: Iterable[Part], alarms: Iterable[AlarmState], traffic: ObservedTraffic | None, release: str, unfinished: bool
) -> Advice:
    """The most urgent step. There is always one."""
    return next(_steps(list(parts), list(alarms), traffic, release, unfinished))


def _steps(
    parts: list[Part], alarms: list[AlarmState], traffic: ObservedTraffic | None, release: str, unfinished: bool
) -> Iterator[Advice]:
    if unfinished:
        yield Advice(console.make("apply"), "the last apply or destroy runs, or did not finish")
    for part in (each for each in parts if each.advice and (each.mark == BAD or each.what in ("endpoint", "model"))):
        yield Advice(part.advice, f"the {part.what} is {part.status}")
    for alarm in (each for each in alarms if each.is_on):
        yield Advice(alarm.advice, f"the alarm {alarm.name} is on")
    if traffic and traffic.failed:
        yield Advice(console.make("logs WHAT=lambda"), f"{traffic.failed:.0f} requests failed in the last minutes")
    if traffic and traffic.total("throttles"):
        yield Advice(
            console.make("load-test"),
            f"{traffic.total('throttles'):.0f} requests were throttled; it recommends a concurrency",
        )
    jobs = [part for part in parts if part.what == "job"]
    if jobs and jobs[0].advice:
        yield Advice(jobs[0].advice, f"the last job is {jobs[0].status}")
    if jobs and jobs[0].status == "Completed" and _can_be_promoted(jobs[0].details.split()[0], release):
        yield Advice(console.make("promote"), f"the last job is completed, and {release} is served")
    if release == BOOTSTRAP:
        yield Advice(console.make("data DATA=folder"), "the stack serves the bootstrap model; train one of your own")
    yield Advice(console.make("curl"), "everything works; this prints a request for the URL")


def _can_be_promoted(job: str, release: str) -> bool:
    """Whether a completed job made another model than the release. A trial is promoted by its tuning job."""
    run = release.rpartition("-")[0]  # as deploy.sagemaker.promotion.release_id names it
    return not trials.tuning_job_of(job) and not (run and job.endswith(run))
