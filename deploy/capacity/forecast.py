"""Scheduled actions from the history of a trace: for each hour of the week, or of the day, what it will need.

An hour gets the instances for the highest minute that it had in any week of the history. They are asked for LEAD before
it begins, because an instance takes time to start.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from deploy.capacity.calibration import Calibration
from deploy.capacity.control import MINUTE
from deploy.capacity.plan import SCHEDULED, TRACKING, CandidatePlan
from deploy.capacity.system import Action
from deploy.capacity.trace import Trace
from deploy.deployment import INSTANCES

HOUR, DAY, WEEK = 3600, 86_400, 604_800
LEAD = 10  # minutes
FUZZ = 1e-6  # of a sum of counts
SHARE = 0.7  # of what an instance can answer, that a forecast aims at
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def actions(history: Trace, one: float, most: int) -> tuple[Action, ...]:
    """Actions that raise the minimum for the hours to come, up to `most`; `one` is what an instance is to answer.

    A history of a week or more gives a week's hours, a shorter one of a day or more the day's; without a day there is
    no pattern, and no action.
    """
    period = WEEK if history.seconds >= WEEK else DAY
    if history.seconds < DAY * 0.99:
        return ()
    peaks = profile(history, period)
    needed = [min(most, max(1, math.ceil(each / one - FUZZ))) for each in peaks]
    return tuple(
        Action(_cron(hour, period, LEAD if least > needed[hour - 1] else 0), least, most)
        for hour, least in enumerate(needed)
        if least != needed[hour - 1] or len(set(needed)) == 1
    )


def profile(history: Trace, period: int) -> np.ndarray:
    """Requests a second in the highest minute of each hour of the period, which begins on Monday at 0:00 UTC."""
    hours = period // HOUR
    peaks = np.zeros(hours)
    monday = 4 * DAY  # 1970-01-05
    for number in range(math.floor(history.seconds / MINUTE)):
        at = number * MINUTE
        rate = history.in_tick(at, at + MINUTE) / MINUTE
        hour = int((history.begin + at - monday) % period // HOUR)
        peaks[hour] = max(peaks[hour], rate)
    return peaks


def _cron(hour: int, period: int, lead: int) -> str:
    """`lead` minutes before an hour of the period."""
    day, second = divmod((hour * HOUR - lead * 60) % period, DAY)
    at = datetime.fromtimestamp(second, UTC)
    date = f"? * {DAYS[day]}" if period == WEEK else "* * ?"
    return f"cron({at.minute} {at.hour} {date} *)"


def plans(history: Trace, found: Calibration) -> tuple[CandidatePlan, CandidatePlan]:
    """Target tracking alone, and with a history's scheduled actions. Both may grow to twice what its peak needs."""
    one = SHARE * found.ceiling
    peaks = profile(history, WEEK)
    call = found.overhead.mean + 2 * found.service.mean
    reserved = math.ceil(2 * history.peak * call) + 10
    least, most = max(1, math.ceil(float(peaks.min()) / one)), max(1, math.ceil(2 * float(peaks.max()) / one))
    tracked = CandidatePlan(INSTANCES, reserved, 0, found.instance_type, TRACKING, least, most, math.floor(60 * one))
    return tracked, replace(tracked, policy=SCHEDULED, actions=actions(history, one, most))


def split(trace: Trace) -> tuple[Trace, Trace] | None:
    """The history of two weeks and the week after it; None if the trace is shorter than three weeks."""
    place = round(2 * WEEK / trace.width)
    after = round(WEEK / trace.width)
    if len(trace.counts) < place + after:
        return None
    parts = trace.counts[:place], trace.counts[place : place + after]
    begins = trace.begin, trace.begin + place * trace.width
    history, week = (
        Trace(counts, trace.width, begin, None, trace.name, trace.expected)
        for counts, begin in zip(parts, begins, strict=True)
    )
    return history, week
