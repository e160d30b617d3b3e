"""A service level objective, such as `p99<300ms,errors<0.1%`, and what a load test achieved of it. Pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.console import Failure
from deploy.load.client import LoadAnswer

DEFAULT = "p99<1s,errors<0.1%"
TERM = re.compile(
    r"\s*(?:p(?P<percentile>\d+(?:\.\d+)?)\s*<\s*(?P<time>[\d.]+)\s*(?P<unit>ms|s)"
    r"|errors\s*<\s*(?P<errors>[\d.]+)\s*%)\s*"
)


@dataclass(frozen=True)
class Objective:
    """`limit` seconds at `percentile` (0 to 100), and the share of requests that may fail."""

    percentile: float
    limit: float
    errors: float

    def __str__(self) -> str:
        return f"p{self.percentile:g} < {self.limit * 1000:g} ms, errors < {self.errors:.3g}".replace(".0 ", " ")


@dataclass(frozen=True)
class Achieved:
    """What came of a number of requests; times in seconds from when a request was due."""

    requests: int
    failed: int  # any status but 200
    throttled: int  # of these, 429
    good: int  # 200, within the objective's limit
    quantile: float  # at the objective's percentile, of the requests that were answered with 200; nan if there are none

    @property
    def error_share(self) -> float:
        return self.failed / self.requests if self.requests else 0.0

    def meets(self, objective: Objective) -> bool:
        """Whether the objective is met. Not without an answer."""
        return self.quantile < objective.limit and self.error_share < max(objective.errors, 1e-12)


def parse(text: str) -> Objective:
    """`p99<300ms,errors<0.1%`, in any order; a missing part is that of DEFAULT. Raises Failure."""
    found: dict[str, str] = {}
    for part in [*DEFAULT.split(","), *text.split(",")]:
        match = TERM.fullmatch(part)
        if not match:
            raise Failure(f"SLO={text!r} is not an objective. Give one like {DEFAULT}.")
        found |= {name: value for name, value in match.groupdict().items() if value is not None}
    percentile = float(found["percentile"])
    limit = float(found["time"]) * (0.001 if found["unit"] == "ms" else 1)
    if not 0 < percentile < 100 or limit <= 0:
        raise Failure(f"SLO={text!r}: the percentile must be between 0 and 100, and the time above 0.")
    return Objective(percentile, limit, float(found["errors"]) / 100)


def achieved(answers: Sequence[LoadAnswer], objective: Objective) -> Achieved:
    served = sorted(each.latency for each in answers if each.status == 200)
    return Achieved(
        requests=len(answers),
        failed=len(answers) - len(served),
        throttled=sum(each.status == 429 for each in answers),
        good=sum(latency < objective.limit for latency in served),
        quantile=quantile(served, objective.percentile),
    )


def quantile(ordered: Sequence[float], percentile: float) -> float:
    """The smallest value that `percentile` per cent of the values do not exceed; nan of none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(percentile / 100 * len(ordered)) - 1)]
