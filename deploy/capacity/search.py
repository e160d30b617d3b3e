"""The cheapest settings that meet an objective: each kind, instance type and policy, the cheapest first.

A group ends with its first plan that meets the objective, because what follows costs more.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np

from deploy.capacity import forecast
from deploy.capacity.calibration import PROCESSORS, Calibration
from deploy.capacity.control import MINUTE
from deploy.capacity.plan import (
    HIGH_RESOLUTION,
    SCHEDULED,
    SERVERLESS_MOST,
    STEP,
    TRACKING,
    CandidatePlan,
)
from deploy.capacity.price import monthly
from deploy.capacity.result import Simulated
from deploy.capacity.simulate import simulate
from deploy.capacity.trace import Trace
from deploy.console import Failure
from deploy.costs.price_list import HOSTING, PriceList
from deploy.deployment import IN_FUNCTION, INSTANCES, SERVERLESS
from deploy.load.objective import Achieved, Objective

KINDS = (INSTANCES, SERVERLESS, IN_FUNCTION)
TYPES = ("ml.m5.large", "ml.m5.xlarge", "ml.c5.large", "ml.c5.xlarge")
SHARES = (0.85, 0.7, 0.55, 0.4, 0.25)  # of what an instance can answer, that a policy aims at
TRIES = 8  # plans of a group
HEADROOM = 1.5  # of the concurrency that the peak needs
CONFIRMATIONS = 3  # seeds with which a plan must meet the objective
LONG = 3e6  # requests: of so many, one simulation has enough


@dataclass(frozen=True)
class Tried:
    """A plan and what it did: USD a month (None: not known), and the objective."""

    plan: CandidatePlan
    cost: float | None
    got: Achieved
    median: float
    instances: float  # mean number that is paid
    meets: bool
    exact: bool


def groups(trace: Trace, found: Calibration, types: Iterable[str] = TYPES) -> list[list[CandidatePlan]]:
    """The plans to try, each group from the cheapest on."""
    minutes = _minutes(trace)
    call = found.overhead.mean + 1.5 * found.service.mean
    peak = float(minutes.max())
    reserved = math.ceil(HEADROOM * peak * call + 3 * math.sqrt(peak * call)) + 2
    warm = math.ceil(1.1 * float(np.quantile(minutes, 0.5)) * call)
    made = [[CandidatePlan(IN_FUNCTION, reserved, each) for each in (0, warm, 2 * warm, reserved)]]
    few = min(SERVERLESS_MOST, math.ceil(HEADROOM * peak * found.service.mean + 3))
    sizes = ((few, 0), (SERVERLESS_MOST, 0), (few, warm), (SERVERLESS_MOST, warm))
    made.append([CandidatePlan(SERVERLESS, reserved, each, containers=size) for size, each in sizes])
    for kind, policy in product(types, (TRACKING, HIGH_RESOLUTION, STEP, SCHEDULED)):
        plans = list(_fleets(kind, policy, trace, minutes, found, reserved, warm))
        plans.sort(key=lambda plan: (_expected(plan, minutes, found), plan.provisioned))
        if plans:
            made.append(_spread(plans, TRIES))
    return made


def require_types(types: Iterable[str], prices: PriceList) -> None:
    """Raise Failure for an instance type that the search cannot try."""
    for each in types:
        family = each.split(".")[1] if each.count(".") == 2 else ""
        if (
            each.rpartition(".")[2] not in PROCESSORS
            or not each.startswith("ml.")
            or prices.hourly(each, HOSTING) is None
        ):
            raise Failure(f"TYPES: {each!r} has no price or no number of processors here. Give types like {TYPES[0]}.")
        if family.startswith("t"):
            raise Failure(f"TYPES: SageMaker does not scale {each}, as no burstable type. Give types like {TYPES[0]}.")


def _fleets(
    kind: str, policy: str, trace: Trace, minutes: np.ndarray, found: Calibration, reserved: int, warm: int
) -> Iterable[CandidatePlan]:
    servers = found.servers_of(kind)
    one = servers / found.service.mean
    for share, quantile, provisioned in product(SHARES, (0.0, 0.5, 1.0), (0, warm)):
        least = max(1, math.ceil(float(np.quantile(minutes, quantile)) / (one * share)))
        most = max(least, math.ceil(1.3 * minutes.max() / (one * share)))
        target = float(math.floor(60 * one * share))
        actions = ()
        if policy == HIGH_RESOLUTION:  # its highest value of ten seconds is well above its mean
            busy = servers * share
            target = float(max(1, round(busy + 2 * math.sqrt(busy))))
        if policy == SCHEDULED:
            actions = forecast.actions(trace, one * share, most)
            if not actions or quantile:
                continue
        yield CandidatePlan(INSTANCES, reserved, provisioned, kind, policy, least, most, target, actions)


def _expected(plan: CandidatePlan, minutes: np.ndarray, found: Calibration) -> float:
    """Instances that a plan keeps on average, if it follows the load at once."""
    one = found.servers_of(plan.instance_type) / found.service.mean
    share = min(1.0, plan.target / 60 / one) if plan.policy != HIGH_RESOLUTION else 0.5
    return float(np.clip(np.ceil(minutes / (one * share)), plan.least, plan.most).mean())


def _spread(plans: list[CandidatePlan], number: int) -> list[CandidatePlan]:
    """So many of them, from the first to the last."""
    if len(plans) <= number:
        return plans
    return [plans[round(place)] for place in np.linspace(0, len(plans) - 1, number)]


def _minutes(trace: Trace) -> np.ndarray:
    """Requests a second of each minute."""
    number = max(1, math.ceil(trace.seconds / MINUTE))
    return np.array([trace.in_tick(each * MINUTE, (each + 1) * MINUTE) / MINUTE for each in range(number)])


def attempt(
    plan: CandidatePlan, trace: Trace, found: Calibration, objective: Objective, prices: PriceList, seed: int = 0
) -> Tried:
    return judged(plan, simulate(plan.system(found), trace, seed), objective, prices)


def judged(plan: CandidatePlan, result: Simulated, objective: Objective, prices: PriceList) -> Tried:
    got = result.achieved(objective)
    return Tried(
        plan,
        monthly(result, plan, prices),
        got,
        result.quantile(50),
        result.instance_seconds / result.seconds,
        got.meets(objective),
        result.exact,
    )


def _group(
    plans: list[CandidatePlan],
    trace: Trace,
    found: Calibration,
    objective: Objective,
    prices: PriceList,
    budget: float | None,
) -> list[Tried]:
    tried = []
    for plan in plans:
        one = attempt(plan, trace, found, objective, prices)
        tried.append(one)
        if one.meets or (budget is not None and one.cost is not None and one.cost > budget):
            break
    return tried


def search(
    trace: Trace,
    found: Calibration,
    objective: Objective,
    prices: PriceList,
    budget: float | None = None,
    types: Iterable[str] = TYPES,
    kinds: Iterable[str] = KINDS,
) -> list[Tried]:
    """All that was tried, in the order of the groups."""
    tried: list[Tried] = []
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        jobs = [
            pool.submit(_group, plans, trace, found, objective, prices, budget)
            for plans in groups(trace, found, types)
            if plans[0].kind in kinds
        ]
        for job in jobs:
            tried += job.result()
    return tried


def cheapest(
    tried: list[Tried], trace: Trace, found: Calibration, objective: Objective, prices: PriceList,
    budget: float | None = None,
) -> Tried | None:  # fmt: skip
    """The cheapest that meets the objective with other random numbers, too; None if there is none in the budget."""
    able = [each for each in tried if each.meets and each.cost is not None]
    for one in sorted(able, key=lambda each: each.cost or 0.0):
        if budget is not None and (one.cost or 0.0) > budget:
            return None
        seeds = range(1, CONFIRMATIONS if trace.total < LONG else 1)
        if all(attempt(one.plan, trace, found, objective, prices, seed).meets for seed in seeds):
            return one
    return None
