"""Units that take time to start: instances of an endpoint, and provisioned environments."""

from __future__ import annotations

import numpy as np

from deploy.capacity.control import TICK, ScalingTarget
from deploy.capacity.system import Scaling, Times


class Fleet:
    """`ready` units serve at the moment. A unit is paid from when it is asked for. Times are real seconds."""

    def __init__(
        self, initial: int, scaling: Scaling, service: str, start: Times, scale: float, begin: float,
        random: np.random.Generator,
    ):  # fmt: skip
        self.ready = initial
        self.target = ScalingTarget(initial, scaling, service, begin * scale)
        self._start, self._scale, self._random = start, scale, random
        self._starting: list[float] = []  # when each is ready

    @property
    def paid(self) -> int:
        return self.target.capacity

    def advance(self, now: float) -> None:
        """Let the units that have started by `now` serve."""
        started = sum(at <= now for at in self._starting)
        if started:
            self._starting = [at for at in self._starting if at > now]
            self.ready += started
        if self.ready == self.target.capacity:
            self.target.settle(now * self._scale)

    def tick(self, since: float, now: float) -> None:
        """Let alarms and schedules decide, and start or end units for what they have decided."""
        self.target.tick(since * self._scale, now * self._scale)
        missing = self.target.capacity - self.ready - len(self._starting)
        if missing > 0:
            self._starting += [now + float(each) for each in self._start.sample(self._random, missing)]
        elif missing < 0:
            kept = max(0, len(self._starting) + missing)
            self._starting = sorted(self._starting)[:kept]
            self.ready = min(self.ready, self.target.capacity)


def tick_seconds(scale: float) -> float:
    """Real seconds of a tick of AWS's clock."""
    return TICK / scale
