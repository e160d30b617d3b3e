"""Machines that are taken away: instances of endpoints, spot capacity of training jobs, EC2 instances.

The service that owns the machines says which there are and ends them. What follows is its own doing, as on AWS.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from localaws.chaos import decisions
from localaws.chaos.decisions import Active
from localaws.chaos.rule import LOSSES, FaultRule

POLL_SECONDS = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Losable:
    """Something that can be lost: the name of its endpoint, its job or itself, and what ends it."""

    resource: str
    name: str
    end: Callable[[], None]


_owners: dict[str, Callable[[], list[Losable]]] = {}


def of(loss: str, machines: Callable[[], list[Losable]]) -> None:
    """Have `machines()` asked for what can be lost by this loss."""
    assert loss in LOSSES
    _owners[loss] = machines


def start(active: Active) -> None:
    """Take machines away as a rule says, in a thread."""
    threading.Thread(target=_run, args=(active,), name=f"chaos {active.rule.fault}", daemon=True).start()


def _run(active: Active) -> None:
    """Wait for the machines of a rule: one that has nothing to take away yet keeps waiting."""
    rule, turn = active.rule, 0
    due = active.since + rule.after
    while not active.over:
        if time.monotonic() >= due and (found := matching(rule)):
            turn += 1
            for machine in chosen(rule, found, turn):
                log.warning("chaos takes %s of %s away: %s", machine.name, machine.resource, rule.text)
                active.faults += 1
                machine.end()
            if rule.every is None:
                break
            due = time.monotonic() + rule.every
        active.ended.wait(POLL_SECONDS)
    active.ended.set()
    decisions.listed()  # drops it


def matching(rule: FaultRule) -> list[Losable]:
    """The machines that a rule may take away at the moment, in the order of their names."""
    machines = _owners[rule.fault]()
    return sorted((each for each in machines if fnmatchcase(each.resource, rule.resource)), key=lambda each: each.name)


def chosen(rule: FaultRule, found: list[Losable], turn: int) -> list[Losable]:
    """The share of the machines that a rule takes away, rounded up. The seed and the turn decide which."""
    count = math.ceil(rule.share * len(found))
    return random.Random(f"{rule.seed}/{turn}").sample(found, count)  # noqa: S311
