"""How fast time passes for what AWS does by the clock: alarms' periods, scaling's cooldowns and the waits of
an endpoint's update. Scheduled actions at a date, and timestamps, use the calendar.

`LOCALAWS_TIME_SCALE=60` makes a minute of them last a second, so that a scaling policy can be watched at work.
Processes, timeouts and timestamps keep to the wall clock whatever the scale.
"""

import functools
import os
import time

MINUTE = 60.0  # seconds, AWS's: metrics are gathered and alarms evaluated once in each
FINE = 10.0  # seconds, AWS's: high-resolution metrics and their alarms
MAX_SCALE = 600.0


@functools.cache
def scale() -> float:
    """The time scale from LOCALAWS_TIME_SCALE, or 1. Raises SystemExit with words where it is none."""
    value = os.environ.get("LOCALAWS_TIME_SCALE") or "1"
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 1 <= number <= MAX_SCALE:
        raise SystemExit(f"LOCALAWS_TIME_SCALE is {value!r}: it must be a number from 1 to {MAX_SCALE:.0f}.")
    return number


def real(seconds: float) -> float:
    """How many real seconds `seconds` of AWS's last here."""
    return seconds / scale()


def now() -> float:
    """The seconds of AWS's clock: they pass `scale()` times as fast as real ones. Only differences mean anything."""
    return time.time() * scale()
