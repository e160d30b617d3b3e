"""What is simulated: the way of a request, with its times, limits and scaling. Times are in seconds.

Sources: "Lambda scaling behavior" in the Lambda developer guide (1,000 more environments each 10 seconds for a
function, refilled continuously); `RoutingStrategy` in SageMaker's API model (RANDOM unless set); payloads/inference
/line.py for the bounded line of an instance.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

BURST = 1000  # environments of a function that may start in BURST_SECONDS
BURST_SECONDS = 10.0
IDLE_SECONDS = 300.0  # AWS does not say how long an idle environment is kept; the local AWS keeps it so long
ACCOUNT_CONCURRENCY = 1000  # Lambda quotas, "Concurrent executions"
CONTAINER_SECONDS = 60.0  # the longest wait for an answer of a container ("Deploy models", SageMaker developer guide)
INVOCATIONS, CONCURRENT = (
    "SageMakerVariantInvocationsPerInstance",
    "SageMakerVariantConcurrentRequestsPerModelHighResolution",
)


@dataclass(frozen=True)
class Times:
    """A distribution of times by its quantiles: `values[i]` seconds at the share `shares[i]`, both ascending."""

    shares: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def fixed(cls, seconds: float) -> Times:
        return cls((0.0, 1.0), (seconds, seconds))

    @classmethod
    def of(cls, measured: np.ndarray) -> Times:
        """The distribution of measured times. Raises ValueError if there are none."""
        if not len(measured):
            raise ValueError("no times were measured")
        shares = (0.0, 0.01, 0.05, *(each / 10 for each in range(1, 10)), 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
        return cls(shares, tuple(float(each) for each in np.quantile(measured, shares)))

    @classmethod
    def exponential(cls, mean: float) -> Times:
        shares = np.concatenate([np.linspace(0, 0.99, 400), 1 - np.geomspace(0.01, 1e-7, 200)[1:]])
        return cls(tuple(shares), tuple(-mean * np.log1p(-shares)))

    @property
    def mean(self) -> float:
        values, shares = np.asarray(self.values), np.asarray(self.shares)
        return float(np.sum((values[1:] + values[:-1]) / 2 * np.diff(shares)))

    def scaled(self, factor: float) -> Times:
        return Times(self.shares, tuple(each * factor for each in self.values))

    def sample(self, random: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        if self.values[0] == self.values[-1]:
            return np.full(size, self.values[0])
        return np.interp(random.random(size), self.shares, self.values)


@dataclass(frozen=True)
class Action:
    """A scheduled action: an expression of Application Auto Scaling, and the new limits."""

    schedule: str
    least: int
    most: int


@dataclass(frozen=True)
class Scaling:
    """The scaling of one resource. `policies` are requests of PutScalingPolicy, for target tracking, or step policies
    with their alarm (see control.StepRequest)."""

    least: int
    most: int
    policies: tuple[dict, ...] = ()
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True)
class Function:
    """The function: what a call takes without the model, a cold start, and its concurrency.

    `reserved` None: it shares what the account has (`account`). `provisioning` is how long more warm environments take.
    """

    overhead: Times
    start: Times = field(default_factory=lambda: Times.fixed(0.4))
    reserved: int | None = None
    account: int = ACCOUNT_CONCURRENCY
    provisioned: int = 0
    scaling: Scaling | None = None
    provisioning: float = 60.0
    idle: float = IDLE_SECONDS
    timeout: float = 30.0

    @property
    def limit(self) -> int:
        return self.account if self.reserved is None else self.reserved


@dataclass(frozen=True)
class Instances:
    """An endpoint of instances: each has `servers` threads and a line of `line` images, those in work among them.

    `start` is how long an instance takes from the request until it answers. `in_turn` is how the local AWS routes;
    SageMaker routes at random.
    """

    service: Times
    servers: int
    initial: int
    scaling: Scaling
    start: Times = field(default_factory=lambda: Times.fixed(300.0))
    line: int = 64
    in_turn: bool = False


@dataclass(frozen=True)
class ServerlessEndpoint:
    """SageMaker serverless inference: containers with one request each, which requests start."""

    service: Times
    start: Times
    most: int
    idle: float = IDLE_SECONDS


@dataclass(frozen=True)
class System:
    """Function and endpoint; `endpoint` None: the function has the model, and `overhead` includes it.

    `time_scale` is that of a local AWS whose clock of metrics and cooldowns runs faster (ADR 8).
    """

    function: Function
    endpoint: Instances | ServerlessEndpoint | None
    time_scale: float = 1.0
