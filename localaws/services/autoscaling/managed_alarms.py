"""The alarms that Application Auto Scaling creates for a target tracking policy, and those that name a policy."""

import time
import uuid
from typing import Any

from moto.cloudwatch import models

from localaws.services.autoscaling.policies import HIGH, LOW, TargetTracking, Tracked, alarms_for
from localaws.services.cloudwatch import alarms
from localaws.services.cloudwatch.expressions import MetricQuery
from localaws.services.cloudwatch.metrics import store


def put(cloudwatch: Any, policy: Any, tracking: TargetTracking, tracked: Tracked) -> None:
    """Create or update the alarms of a policy; those that it has already keep their names."""
    named = {kind: each.name for each in policy.alarms for kind in (HIGH, LOW) if f"-{kind}-" in each.name}
    policy.alarms = []
    for spec in alarms_for(tracking, tracked):
        alarm = cloudwatch.put_metric_alarm(
            name=named.pop(spec.kind, None) or f"TargetTracking-{policy.resource_id}-{spec.kind}-{uuid.uuid4()}",
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.policy_arn}.",
            alarm_actions=[policy.policy_arn],
            comparison_operator=spec.comparison,
            evaluation_periods=spec.periods,
            threshold=spec.threshold,
            **_watched(tracked),
        )
        alarm.state_value = alarms.UNKNOWN
        policy.alarms.append(alarm)
    cloudwatch.delete_alarms(list(named.values()))


def low_values(cloudwatch: Any, policy: Any, region: str) -> tuple[float, ...] | None:
    """The datapoints of a policy's alarm Low, the newest first; None unless it is on."""
    for each in policy.alarms:
        alarm = cloudwatch.alarms.get(each.name)
        if f"-{LOW}-" in each.name and alarm is not None:
            verdict = alarms.evaluate(alarm, region, store, time.time())
            return verdict.values if verdict.state == alarms.ALARM else None
    return None


def naming(cloudwatch: Any, policy_arn: str) -> list[Any]:
    """The alarms with a policy among their actions."""
    return [each for each in cloudwatch.alarms.values() if policy_arn in (each.alarm_actions or [])]


def forget(cloudwatch: Any, policy_arn: str) -> None:
    """Take a deleted policy out of the alarms that name it; the alarms stay."""
    for alarm in naming(cloudwatch, policy_arn):
        alarm.alarm_actions = [each for each in alarm.alarm_actions if each != policy_arn]


def _watched(tracked: Tracked) -> dict[str, Any]:
    """What PutMetricAlarm takes: one metric, or metrics and expressions."""
    if len(tracked.queries) == 1 and tracked.queries[0].metric:
        (query,) = tracked.queries
        return {
            "namespace": query.metric.namespace,
            "metric_name": query.metric.name,
            "dimensions": [{"Name": name, "Value": value} for name, value in query.metric.dimensions],
            "statistic": query.statistic,
            "period": int(tracked.seconds),
        }
    nothing = dict.fromkeys(("namespace", "metric_name", "statistic", "period"))
    queries = [_as_moto(each, tracked.seconds) for each in tracked.queries]
    return {**nothing, "dimensions": [], "metric_data_queries": queries}


def _as_moto(query: MetricQuery, seconds: float) -> models.MetricDataQuery:
    stat = None
    if query.metric:
        dimensions = [models.Dimension(name, value) for name, value in query.metric.dimensions]
        metric = models.Metric(query.metric.name, query.metric.namespace, dimensions)
        stat = models.MetricStat(metric, int(seconds), query.statistic, None)
    return models.MetricDataQuery(query.id, None, None, query.returned, query.expression or None, stat)
