"""Scaling on a simulated clock, by the code that scales in the local AWS: alarms, policies, decisions and schedules.

Only what `localaws/services/autoscaling/backend.py`, `changes.py` and `scheduler.py` do around that code is repeated
here: its order of steps, on simulated time. All times of this module are AWS's seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.capacity.system import Scaling
from localaws.services.autoscaling import decision, policies, schedules
from localaws.services.autoscaling.decision import AlarmSignal, CapacityChange, CapacityLimits, Peer, Situation
from localaws.services.cloudwatch import alarms
from localaws.services.cloudwatch.alarms import AlarmRule

TICK, MINUTE = 10.0, 60.0
KEPT = 200  # periods of a metric; the alarm Low of a high-resolution metric looks at 92
RESOURCES = {"sagemaker": "endpoint/e/variant/main", "lambda": "function:f:live"}


@dataclass(frozen=True)
class WatchedAlarm:
    """An alarm and the policy that it calls."""

    name: str
    policy: policies.ScalingPolicy
    metric: str
    rule: AlarmRule
    seconds: float


def watches(scaling: Scaling, service: str) -> list[WatchedAlarm]:
    """The alarms of a target's policies, as AWS makes them for target tracking. A step policy brings its own, as
    `Alarm`: `MetricName`, `ComparisonOperator`, `Threshold`, `EvaluationPeriods`, `Period`. Raises InvalidPolicy."""
    found = []
    for number, request in enumerate(scaling.policies):
        name = f"policy {number}"
        if "Alarm" in request:
            alarm = request["Alarm"]
            rule = AlarmRule(
                alarm["ComparisonOperator"], alarm["Threshold"], alarm["EvaluationPeriods"], alarm["EvaluationPeriods"]
            )
            found.append(WatchedAlarm(name, policies.steps_of(request), alarm["MetricName"], rule, alarm["Period"]))
            continue
        policy = policies.tracking_of(request, service)
        tracked = policies.tracked_by(request, "us-east-1", RESOURCES[service])
        (query,) = tracked.queries
        assert query.metric is not None
        for spec in policies.alarms_for(policy, tracked):
            found.append(WatchedAlarm(name, policy, query.metric.name, spec.rule, spec.seconds))
    return found


class ScalingTarget:
    """A scalable target. `capacity` is what was asked for last; the owner tells with `settle` when it is there."""

    def __init__(self, capacity: int, scaling: Scaling, service: str, begin: float):
        self.capacity = capacity
        self._limits = CapacityLimits(scaling.least, scaling.most)
        self._watches = watches(scaling, service)
        self._states = [alarms.UNKNOWN] * len(self._watches)
        self._verdicts: list[alarms.Verdict | None] = [None] * len(self._watches)
        self._values: dict[tuple[str, float], deque[float | None]] = {
            (each.metric, each.seconds): deque(maxlen=KEPT) for each in self._watches
        }
        self._history = decision.ScalingHistory()
        self._schedules = [(schedules.parse(each.schedule), each) for each in scaling.actions]
        self._due = [schedule.after(begin, begin) for schedule, _ in self._schedules]
        self._begin = begin
        self._changing: str | None = None  # the policy, or "" for limits
        self._settled = True
        self.changes: list[tuple[float, int]] = []

    def settle(self, now: float) -> None:
        """The capacity that was asked for is there."""
        if not self._settled:
            self._settled = True
            if self._changing:
                self._history.end(self._changing, True, now)

    def record(self, seconds: float, values: Mapping[str, float | None]) -> None:
        """The values of the period of `seconds` that has just ended; None for a metric without data."""
        for (metric, length), kept in self._values.items():
            if length == seconds:
                kept.appendleft(values.get(metric))

    def tick(self, since: float, now: float) -> None:
        """What happens every ten seconds: scheduled actions, then alarms and what their policies decide."""
        self._run_schedules(now)
        self._keep_limits(now)
        whole = int(now // MINUTE) != int(since // MINUTE)
        for number, watch in enumerate(self._watches):
            if whole or watch.seconds < MINUTE:
                self._evaluate(number, watch, now)

    def _evaluate(self, number: int, watch: WatchedAlarm, now: float) -> None:
        kept, size = self._values[watch.metric, watch.seconds], watch.rule.periods + alarms.MORE_PERIODS
        looked_at = [kept[age] if age < len(kept) else None for age in range(size)]
        verdict = alarms.judge(watch.rule, looked_at, self._states[number])
        self._states[number], self._verdicts[number] = verdict.state, verdict
        if verdict.state != alarms.ALARM:
            return
        signal = AlarmSignal(verdict.values, watch.rule.threshold, watch.rule.watches_below)
        situation = Situation(self.capacity, self._limits, scalable=self._settled)
        last = self._history.last.get(watch.name)
        decided = decision.decide(watch.policy, signal, situation, now, last, self._peers(watch.name))
        if isinstance(decided, CapacityChange):
            self._history.begin(watch.name, decided, self.capacity)
            self._change(decided.to, now, watch.name)

    def _peers(self, name: str) -> Sequence[Peer]:
        peers = []
        for watch, verdict in zip(self._watches, self._verdicts, strict=True):
            if watch.name == name or not isinstance(watch.policy, policies.TargetTracking):
                continue
            if watch.rule.watches_below:
                low = verdict.values if verdict and verdict.state == alarms.ALARM else None
                peers.append(Peer(watch.policy, low, self._history.last.get(watch.name)))
        return peers

    def _run_schedules(self, now: float) -> None:
        """The actions that are due by now, in the order of their times."""
        ordered = sorted((at, number) for number, at in enumerate(self._due) if at is not None and at <= now)
        for _, number in ordered:
            schedule, action = self._schedules[number]
            self._limits = CapacityLimits(action.least, action.most)
            self._due[number] = schedule.after(now, self._begin)

    def _keep_limits(self, now: float) -> None:
        wanted = decision.outside(self.capacity, self._limits)
        if wanted is not None and self._settled:
            self._change(wanted, now, "")

    def _change(self, to: int, now: float, policy: str) -> None:
        self.capacity, self._settled, self._changing = to, False, policy
        self.changes.append((now, to))
