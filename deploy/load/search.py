"""The most that a service answers: a closed loop with more and more connections, until more bring nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.load.client import Load
from deploy.load.objective import Achieved, Objective, achieved
from deploy.load.requests import Questions

STEP_SECONDS = 4.0
WARM_UP_SECONDS = 2.0
GAIN = 1.05  # of the rate, by twice the connections; with less, the service is at its ceiling


@dataclass(frozen=True)
class SearchStep:
    """What a number of connections got: answers of 200 a second, and how they compare with the objective."""

    connections: int
    rate: float
    achieved: Achieved
    times: tuple[float, ...] = ()  # seconds of each answer with 200


def steps(questions: Questions, objective: Objective, cap: int) -> Iterator[SearchStep]:
    """Steps with 1, 2, 4 … connections. The last one gained nothing, missed the objective, or had `cap` connections."""
    requests, connections, before = questions.sign(), 1, 0.0
    while True:
        load = Load(questions.target, requests, connections)
        try:
            load.busy(WARM_UP_SECONDS)
            began = time.perf_counter()
            answers = load.busy(STEP_SECONDS)
            seconds = time.perf_counter() - began
        finally:
            load.close()
        got = achieved(answers, objective)
        times = tuple(each.latency for each in answers if each.status == 200)
        step = SearchStep(connections, (got.requests - got.failed) / seconds, got, times)
        yield step
        if connections >= cap or not got.meets(objective) or step.rate < GAIN * before:
            return
        before, connections = step.rate, min(cap, 2 * connections)


def ceiling(taken: list[SearchStep], objective: Objective) -> float:
    """The highest rate that met the objective, 0 if none did."""
    return max((step.rate for step in taken if step.achieved.meets(objective)), default=0.0)
