"""Scheduled actions: at their times, they set the limits of a target.

The dates of at(…) and cron(…) are those of the calendar; a rate passes with the time scale. What falls into a time in
which the local AWS does not run is not made up for.
"""

import time
import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

from moto.applicationautoscaling.exceptions import AWSValidationException

from localaws import clock, state
from localaws.services.autoscaling import activities, schedules
from localaws.services.autoscaling.backend import MAX_BELOW_MIN, LocalAutoscalingBackend
from localaws.services.autoscaling.changes import resource_of
from localaws.services.autoscaling.schedules import Rate, Schedule


def check(asked: dict[str, Any], known: Any | None) -> None:
    """Refuse an action without a schedule that can be read. `known` is the action of that name, if there is one."""
    expression = asked.get("Schedule") or (known.schedule if known else None)
    if not expression:
        raise AWSValidationException("A new scheduled action needs a Schedule.")
    action = asked.get("ScalableTargetAction") or (known.scalable_target_action if known else None) or {}
    if not action.keys() & {"MinCapacity", "MaxCapacity"}:
        raise AWSValidationException("A scheduled action needs a MinCapacity, a MaxCapacity or both.")
    if min(action.values()) < 0 or action.get("MinCapacity", 0) > action.get("MaxCapacity", float("inf")):
        raise AWSValidationException(MAX_BELOW_MIN)
    try:
        schedules.parse(expression, asked.get("Timezone") or (known.timezone if known else None))
    except schedules.InvalidSchedule as error:
        raise AWSValidationException(str(error)) from None


def name_arn(action: Any) -> None:
    """Give a new action the ARN that AWS gives."""
    head = action.arn.split(":scheduledAction:")[0]
    action.arn = (
        f"{head}:scheduledAction:{uuid.uuid4()}:resource/{action.service_namespace}/{action.resource_id}"
        f":scheduledActionName/{action.scheduled_action_name}"
    )


def run_due(backend: LocalAutoscalingBackend, since: float, now: float) -> None:
    """Carry out the actions that were due after `since`, and by `now`, in the order of their times."""
    due = []
    for action in list(backend.scheduled_actions):
        start, end = _seconds(action.start_time), _seconds(action.end_time)
        schedule, anchor = _schedule(action), action.creation_time
        if isinstance(schedule, Rate) and start is not None:
            anchor = start - schedule.seconds  # the first time is the start
        begin = max(since, action.creation_time if start is None else start - 0.001)
        moment = schedule.after(begin, anchor)
        if moment is not None and moment <= now and (end is None or moment <= end):
            due.append((moment, action))
    for _, action in sorted(due, key=lambda each: each[0]):
        _carry_out(backend, action)


def _schedule(action: Any) -> Schedule:
    schedule = schedules.parse(action.schedule, action.timezone)
    return replace(schedule, seconds=clock.real(schedule.seconds)) if isinstance(schedule, Rate) else schedule


def _carry_out(backend: LocalAutoscalingBackend, action: Any) -> None:
    target = backend.targets.get(action.scalable_dimension, {}).get(action.resource_id)
    if target is None or (target.suspended_state or {}).get("ScheduledScalingSuspended"):
        return
    asked = action.scalable_target_action
    least, most = asked.get("MinCapacity"), asked.get("MaxCapacity")
    low = target.min_capacity if least is None else least
    high = target.max_capacity if most is None else most
    refusal = MAX_BELOW_MIN if low > high else None
    with backend.changes.lock:
        if refusal is None:
            target.min_capacity, target.max_capacity = low, high
        name = action.scheduled_action_name
        backend.changes.insert(activities.scheduled(resource_of(target), least, most, name, time.time(), refusal))
        if refusal is None:
            backend.changes.keep_limits(target)
    state.touch()


def _seconds(moment: Any) -> float | None:
    """A time of a request, in seconds since 1970."""
    if moment is None or isinstance(moment, int | float):
        return moment
    return datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp()
