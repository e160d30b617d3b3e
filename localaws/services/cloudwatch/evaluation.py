"""The clock of the alarms: every ten seconds of AWS's, it gathers numbers, evaluates alarms and calls their actions.

An action is called in every period in which its alarm is on, as CloudWatch does for scaling policies.
"""

import json
import logging
import threading
import time
from collections.abc import Callable

from moto.cloudwatch.models import Alarm, cloudwatch_backends

from localaws import clock, state
from localaws.context import ACCOUNT_ID
from localaws.services.cloudwatch import alarms
from localaws.services.cloudwatch.metrics import minute_of, store

log = logging.getLogger(__name__)

_actions: dict[str, Callable[[str, Alarm, alarms.Verdict], None]] = {}
_before_alarms: list[Callable[[float, float], None]] = []
_set_by_hand: dict[str, float] = {}  # alarm ARN -> when: such a state holds for a minute
_closing = threading.Event()


def on_alarm(prefix: str, act: Callable[[str, Alarm, alarms.Verdict], None]) -> None:
    """Call `act(arn, alarm, verdict)` in each period that an alarm is on and names an action with this prefix."""
    _actions[prefix] = act


def before_alarms(act: Callable[[float, float], None]) -> None:
    """Call `act(since, now)` every ten seconds before the alarms are evaluated; it was last called at `since`."""
    _before_alarms.append(act)


def set_by_hand(alarm: Alarm) -> None:
    """Leave the state of an alarm as it is for a minute."""
    _set_by_hand[alarm.alarm_arn] = time.time()


def start() -> None:
    threading.Thread(target=_run, name="alarms", daemon=True).start()


def stop() -> None:
    _closing.set()


def evaluate_alarms(now: float, fine: bool = False) -> None:
    """Bring every alarm to the state that its metric calls for at `now`, and call the actions of those that are on.

    `fine`: only the alarms whose period is shorter than a minute.
    """
    for region, backend in list(cloudwatch_backends[ACCOUNT_ID].items()):
        for alarm in [each for each in list(backend.alarms.values()) if alarms.can_be_evaluated(each)]:
            held = now - _set_by_hand.get(alarm.alarm_arn, 0) < clock.real(clock.MINUTE)
            if held or (fine and not alarms.is_fine(alarm)):
                continue
            try:
                _evaluate(alarm, region, now)
            except Exception:  # one alarm that fails must not keep the others from being looked at
                log.exception("the alarm %s could not be evaluated", alarm.name)


def _evaluate(alarm: Alarm, region: str, now: float) -> None:
    verdict = alarms.evaluate(alarm, region, store, now)
    if verdict.state != alarm.state_value:
        alarm.update_state(verdict.reason, json.dumps({"recentDatapoints": verdict.values}), verdict.state)
        log.info("alarm %s is %s: %s", alarm.name, verdict.state, verdict.reason)
        state.touch()
    if verdict.state != alarms.ALARM or not alarm.actions_enabled:
        return
    for arn in alarm.alarm_actions or []:
        for prefix, act in _actions.items():
            if arn.startswith(prefix):
                act(arn, alarm, verdict)


def tick(since: float, now: float) -> None:
    """What happens every ten seconds; alarms of whole minutes are evaluated once in each."""
    for act in _before_alarms:
        try:
            act(since, now)
        except Exception:
            log.exception("%s failed", getattr(act, "__name__", act))
    evaluate_alarms(now, fine=minute_of(now) == minute_of(since))


def _run() -> None:
    width, since = clock.real(clock.FINE), time.time()
    while not _closing.wait(width - time.time() % width):
        now = time.time()
        tick(since, now)
        since = now
