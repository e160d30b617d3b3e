"""One screen about a deployment: `make status`, and each frame of `make dashboard`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import ClientError
from rich.table import Table
from rich.text import Text

from deploy import unfinished
from deploy.deployment import Deployment
from deploy.watching import advice, alarms, parts, traffic
from deploy.watching.advice import Advice
from deploy.watching.alarms import AlarmState
from deploy.watching.parts import BAD, GOOD, PLAIN, UNSURE, Part
from deploy.watching.traffic import MINUTES, ObservedTraffic

COLOURS = {GOOD: "green", UNSURE: "yellow", BAD: "red", PLAIN: ""}


@dataclass(frozen=True)
class View:
    """What was read from AWS at one time. `problems` are what could not be read."""

    title: str
    url: str
    release: str
    parts: tuple[Part, ...]
    traffic: ObservedTraffic | None  # of the last MINUTES
    alarms: tuple[AlarmState, ...]
    advice: Advice
    problems: tuple[str, ...] = ()
    history: ObservedTraffic | None = None  # of as many minutes as were asked for


def look(deployment: Deployment, minutes: int = MINUTES) -> View:
    """Read everything. What AWS does not show, or an apply did not make, is said on the screen."""
    problems: list[str] = []
    history, found, states = None, None, []
    try:
        history = traffic.read(deployment, max(minutes, MINUTES))
        found = history.since(time.time() - (MINUTES + 1) * traffic.PERIOD)
        states = alarms.read(deployment)
    except ClientError as error:
        problems.append(f"{error.response['Error']['Code']} from {error.operation_name}")
    seen = tuple(parts.all_parts(deployment))
    release = deployment.outputs.get("release") or "nothing"
    step = advice.next_steps(seen, states, found, release, unfinished.exists(deployment.env))
    return View(
        title=f"{deployment.name} in {deployment.env}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        url=deployment.outputs.get("function_url") or "",
        release=release,
        parts=seen,
        traffic=found,
        alarms=tuple(states),
        advice=step,
        problems=tuple(problems),
        history=history,
    )


def table(view: View) -> Table:
    """The screen: a mark, a subject and its words in each row."""
    shown = Table.grid(padding=(0, 1))
    shown.title, shown.title_justify, shown.title_style = view.title, "left", "bold"
    shown.add_column(width=1)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for mark, what, words in rows(view):
        shown.add_row(Text(mark, COLOURS[mark]), what, Text(words))
    return shown


def rows(view: View) -> Iterator[tuple[str, str, str]]:
    """Mark, subject and words of each row."""
    if view.url:
        yield PLAIN, "url", view.url
    for part in view.parts:
        yield part.mark, part.what, f"{part.status}: {part.details}"
    yield from _traffic_rows(view)
    yield _alarm_row(view)
    for alarm in (each for each in view.alarms if each.is_on):
        yield BAD, "", f"{alarm.name}: {alarm.description} {alarm.reason}"
    yield PLAIN, "cost now", cost(view.parts)
    yield PLAIN, "next", f"{view.advice.command}  ({view.advice.why})"


def _traffic_rows(view: View) -> Iterator[tuple[str, str, str]]:
    found = view.traffic
    if found is None:
        yield UNSURE, "traffic", f"not known: {', '.join(view.problems)}"
        return
    calls, endpoint_calls = found.total("invocations"), found.total("endpoint_calls")
    since = f"in the last {MINUTES} minutes"
    if not calls and not endpoint_calls and not found.total("throttles"):
        yield PLAIN, "traffic", f"no requests {since}"
        return
    what, count = ("requests", calls) if calls else ("requests to the endpoint alone", endpoint_calls)
    words = [f"{count:,.0f} {what} {since}", f"{found.failed:,.0f} failed ({found.error_share:.1%})"]
    words.append(f"{found.total('throttles'):,.0f} throttled")
    yield (UNSURE if found.failed or found.total("throttles") else GOOD), "traffic", ", ".join(words)
    if latency := _latency(found):
        yield PLAIN, "latency", latency
    if concurrency := _concurrency(view):
        yield PLAIN, "in use", concurrency


def _latency(found: ObservedTraffic) -> str:
    """CloudWatch has a percentile of each minute; the highest of the minutes is shown."""
    median, slow, model = (found.highest(name) for name in ("median_ms", "slow_ms", "model_us"))
    words = []
    if median is not None and slow is not None:
        words.append(f"in the slowest minute half of the requests within {median:,.0f} ms, 99 % within {slow:,.0f} ms")
    if model is not None:
        words.append(f"of the model alone {model / 1000:,.0f} ms")
    return "; ".join(words)


def _concurrency(view: View) -> str:
    found = view.traffic
    assert found is not None
    words = []
    if (most := found.highest("concurrency")) is not None:
        words.append(f"at most {most:,.0f} calls at a time")
    if (warm := found.highest("warm_use")) is not None:
        words.append(f"{warm:.0%} of the warm environments")
    if spilled := found.total("spillover"):
        words.append(f"{spilled:,.0f} calls found no warm environment")
    if (share := found.highest("serverless_use")) is not None:
        words.append(f"{share:.0%} of the serverless concurrency")
    return "; ".join(words)


def _alarm_row(view: View) -> tuple[str, str, str]:
    on = sum(each.is_on for each in view.alarms)
    unknown = sum(each.state == alarms.UNKNOWN for each in view.alarms)
    if not view.alarms:
        return PLAIN, "alarms", "none, or none could be read"
    fine = len(view.alarms) - on - unknown
    words = [f"{on} on"] * bool(on) + [f"{fine} fine"] * bool(fine) + [f"{unknown} without data yet"] * bool(unknown)
    return (BAD if on else GOOD if fine else PLAIN), "alarms", ", ".join(words)


def cost(found: tuple[Part, ...]) -> str:
    """USD an hour of what runs now, at list prices, and of which parts."""
    priced = [each for each in found if each.hourly]
    unknown = [each.what for each in found if each.hourly is None]
    total = sum(each.hourly or 0 for each in priced)
    listed = ", ".join(f"{each.what} ${each.hourly:.3f}" for each in priced)
    words = f"${total:.3f} an hour ({listed}), ${total * 24:.2f} a day" if priced else "nothing that runs by the hour"
    return words + (f"; not known: {', '.join(unknown)}" if unknown else "")
