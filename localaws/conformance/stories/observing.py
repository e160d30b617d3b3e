"""The stories of CloudWatch and of Application Auto Scaling."""

import time
from datetime import UTC, datetime

from localaws.conformance import wire
from localaws.conformance.checks import Checks

METRIC = {"Namespace": "Conformance", "MetricName": "Number"}
ALARM = {
    **METRIC,
    "Statistic": "Sum",
    "Period": 60,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


def cloudwatch(api: Checks) -> None:
    """In each of the three protocols, with an alarm of its own."""
    for number, protocol in enumerate(wire.protocols("cloudwatch")):
        _cloudwatch(api, protocol, f"conformance-{number}")
    api.refused("SetAlarmState", "ResourceNotFound", AlarmName="none", StateReason="a", StateValue="OK")
    times = {"StartTime": "2026-11-25T00:00:00Z", "EndTime": "2026-11-25T01:00:00Z"}
    api.refused("GetMetricData", "InvalidNextToken", NextToken="none", MetricDataQueries=[], **times)
    api.call("PutMetricAlarm", AlarmName="conformance", EvaluationPeriods=1, **ALARM)
    state = {"AlarmName": "conformance", "StateReason": "a", "StateValue": "OK"}
    api.refused("SetAlarmState", "InvalidFormat", **state, StateReasonData="{")
    api.refused("DescribeAlarms", "InvalidNextToken", NextToken="none")
    api.refused("ListMetrics", "InvalidParameterValue", NextToken="none")
    asked = {**METRIC, **times, "Period": 60}
    backwards = {**asked, "StartTime": times["EndTime"], "EndTime": times["StartTime"], "Statistics": ["Sum"]}
    api.refused("GetMetricStatistics", "InvalidParameterValue", **backwards)
    api.refused("GetMetricStatistics", "InvalidParameterCombination", **asked)
    statistics = {"SampleCount": 1.0, "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0}
    both = {"MetricName": "Number", "Value": 1.0, "StatisticValues": statistics}
    api.refused("PutMetricData", "InvalidParameterCombination", MetricData=[both])
    both = {"MetricName": "Number", "Value": 1.0, "Values": [1.0]}
    api.refused("PutMetricData", "InvalidParameterValue", MetricData=[both])


def _cloudwatch(api: Checks, protocol: str, alarm: str) -> None:
    now = time.time()
    times = {name: datetime.fromtimestamp(now + step, UTC) for name, step in (("StartTime", -600), ("EndTime", 60))}
    datum = {"MetricName": "Number", "Value": 2.0, "Unit": "Count"}
    api.call("PutMetricData", protocol, Namespace="Conformance", MetricData=[datum])
    api.call("ListMetrics", protocol, Namespace="Conformance")
    api.call("GetMetricStatistics", protocol, **METRIC, **times, Period=60, Statistics=["Sum"])
    stat = {"Metric": METRIC, "Period": 60, "Stat": "Sum"}
    api.call("GetMetricData", protocol, **times, MetricDataQueries=[{"Id": "a", "MetricStat": stat}])
    api.call("PutMetricAlarm", protocol, AlarmName=alarm, EvaluationPeriods=1, **ALARM)
    api.call("SetAlarmState", protocol, AlarmName=alarm, StateValue="ALARM", StateReason="by hand")
    api.call("DescribeAlarms", protocol, AlarmNames=[alarm])
    api.call("DeleteAlarms", protocol, AlarmNames=[alarm])


CLOUDWATCH_NOT_PROVOKED = {
    "InternalServiceError": "the service's own failure: no request provokes it",
    "LimitExceeded": "5,000 alarms",
    "MissingParameter": "AWS answers by its model: ValidationException",
    "DeleteAlarms ResourceNotFound": "what AWS answers for an unknown alarm is not known; here it deletes nothing",
    "ResourceConflict": "an alarm that a composite alarm needs: composite alarms are only kept",
}


def autoscaling(api: Checks) -> None:
    """On a function's provisioned concurrency, which a scalable target does not need to exist for."""
    target = {
        "ServiceNamespace": "lambda",
        "ResourceId": "function:conformance-scaled:live",
        "ScalableDimension": "lambda:function:ProvisionedConcurrency",
    }
    api.names = {**target, "PolicyName": "policy", "ScheduledActionName": "action"}
    api.call("RegisterScalableTarget", MinCapacity=1, MaxCapacity=2)
    api.call("DescribeScalableTargets")
    tracked = {
        "TargetValue": 0.7,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"},
    }
    policy = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracked}
    api.call("PutScalingPolicy", **policy)
    api.call("DescribeScalingPolicies")
    api.call("PutScheduledAction", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 1})
    api.call("DescribeScheduledActions")
    api.call("DescribeScalingActivities")
    for operation in ("DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScalingActivities"):
        api.refused(operation, "InvalidNextTokenException", NextToken="none")
    api.refused("DescribeScheduledActions", "InvalidNextTokenException", NextToken="none")
    other = {"ResourceId": "function:conformance-none:live"}
    api.refused("PutScalingPolicy", "ObjectNotFoundException", **policy, **other)
    api.refused("PutScheduledAction", "ObjectNotFoundException", Schedule="rate(1 day)", **other)
    for operation in ("DeleteScalingPolicy", "DeleteScheduledAction", "DeregisterScalableTarget"):
        api.refused(operation, "ObjectNotFoundException", **other)
    for operation in ("DeleteScalingPolicy", "DeleteScheduledAction", "DeregisterScalableTarget"):
        api.call(operation)


AUTOSCALING_NOT_PROVOKED = {
    "InternalServiceException": "the service's own failure: no request provokes it",
    "ConcurrentUpdateException": "two changes at the same moment: the local AWS makes one after the other",
    "LimitExceededException": "500 scalable targets of a service, 50 policies or 200 actions of a target",
    "FailedResourceAccessException": "alarms that CloudWatch refuses to the service",
}
