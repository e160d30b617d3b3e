"""The rules that hold at the moment, and what they do to a request.

What a rule draws for the n-th request to an operation depends only on its seed, the operation and n. So the same
requests have the same faults again. Rules end with the server: a rehearsal that starts is whole. Requests that the
services of the local AWS send for themselves are not touched, because AWS's services retry their own.
"""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from localaws import errors
from localaws.chaos import faults
from localaws.chaos.rule import FaultRule
from localaws.context import OWN_AGENT

MOST_RULES = 50


@dataclass
class Active:
    """A rule at work: since when (monotonic clock), the requests that it saw of each operation, its faults."""

    rule: FaultRule
    since: float = field(default_factory=time.monotonic)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        timed_out = self.rule.until is not None and time.monotonic() - self.since >= self.rule.until
        spent = self.rule.times is not None and self.faults >= self.rule.times
        return timed_out or spent or self.ended.is_set()

    def draws(self, service: str, operation: str) -> bool:
        """Whether the next request to an operation has the fault."""
        self.seen[service, operation] += 1
        return drawn(self.rule, service, operation, self.seen[service, operation]) < self.rule.probability


def drawn(rule: FaultRule, service: str, operation: str, number: int) -> float:
    """What a rule draws for the n-th request to an operation, from 0 to 1."""
    return random.Random(f"{rule.seed}/{service}/{operation}/{number}").random()  # noqa: S311


_lock = threading.Lock()
_active: list[Active] = []


def add(rule: FaultRule) -> Active:
    """Have a rule at work. Raises ValueError if there are too many."""
    with _lock:
        _drop_ended()
        if len(_active) >= MOST_RULES:
            raise ValueError(f"There are {MOST_RULES} rules already.")
        _active.append(Active(rule))
        return _active[-1]


def clear() -> int:
    """End all rules; gives their number."""
    with _lock:
        _drop_ended()
        count = len(_active)
        for each in _active:
            each.ended.set()
        _active.clear()
        return count


def listed() -> list[dict[str, Any]]:
    """The rules at work: their words, and how many faults each has made."""
    with _lock:
        _drop_ended()
        return [{"rule": each.rule.text, "faults": each.faults} for each in _active]


def _drop_ended() -> None:
    _active[:] = [each for each in _active if not each.over]


def refusal(service: str, operation: str | None, environ: dict[str, Any]) -> errors.Answer | None:
    """The error that a request gets by the first rule that hits it, or None. Waits for the latency of each one."""
    hit, latency = hits(service, operation, environ)
    if latency:
        time.sleep(latency)
    return faults.answer(service, hit, environ) if hit else None


def hits(service: str, operation: str | None, environ: dict[str, Any]) -> tuple[str | None, float]:
    """The fault that a request gets, or None, and the seconds that it waits first."""
    if not _active or operation is None or OWN_AGENT in environ.get("HTTP_USER_AGENT", ""):
        return None, 0.0
    latency, fault = 0.0, None
    with _lock:
        _drop_ended()
        for each in _active:
            if each.rule.is_loss or not each.rule.is_for(service, operation) or not each.draws(service, operation):
                continue
            each.faults += 1
            latency += each.rule.latency
            if each.rule.fault != "delay":
                fault = each.rule.fault
                break
    return fault, latency
