"""Scalable targets, policies and scheduled actions: checked and kept, with their tags."""

import pytest
from botocore.exceptions import ClientError

SAGEMAKER = ("sagemaker", "endpoint/e/variant/AllTraffic", "sagemaker:variant:DesiredInstanceCount")
LAMBDA = ("lambda", "function:f:live", "lambda:function:ProvisionedConcurrency")


def names(namespace: str, resource: str, dimension: str) -> dict[str, str]:
    return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}


@pytest.mark.parametrize(
    ("what", "metric", "role"),
    [
        (
            SAGEMAKER,
            "SageMakerVariantInvocationsPerInstance",
            "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        ),
        (
            LAMBDA,
            "LambdaProvisionedConcurrencyUtilization",
            "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
        ),
    ],
)
def test_a_target_and_its_policy_are_kept(localaws, what, metric, role):
    client = localaws.client("application-autoscaling")
    client.register_scalable_target(**names(*what), MinCapacity=1, MaxCapacity=4)
    (target,) = client.describe_scalable_targets(ServiceNamespace=what[0], ResourceIds=[what[1]])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert target["RoleARN"].endswith(role)
    tracking = {"TargetValue": 50.0, "PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
    settings = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking}
    client.put_scaling_policy(PolicyName="p", **names(*what), **settings)
    (policy,) = client.describe_scaling_policies(ServiceNamespace=what[0], ResourceId=what[1])["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"] == tracking
    client.delete_scaling_policy(PolicyName="p", **names(*what))
    client.deregister_scalable_target(**names(*what))
    assert not client.describe_scalable_targets(ServiceNamespace=what[0])["ScalableTargets"]


def test_a_target_s_tags_are_kept_changed_and_gone_with_it(localaws):
    client = localaws.client("application-autoscaling")
    arn = client.register_scalable_target(**names(*SAGEMAKER), MinCapacity=1, MaxCapacity=2, Tags={"a": "1", "b": "2"})
    arn = arn["ScalableTargetARN"]
    client.tag_resource(ResourceARN=arn, Tags={"c": "3"})
    client.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2", "c": "3"}
    client.register_scalable_target(**names(*SAGEMAKER), MaxCapacity=3)
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2", "c": "3"}
    client.deregister_scalable_target(**names(*SAGEMAKER))
    with pytest.raises(ClientError) as caught:
        client.list_tags_for_resource(ResourceARN=arn)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_policies_and_scheduled_actions_are_checked_before_anything_changes(localaws):
    client, cloudwatch = localaws.client("application-autoscaling"), localaws.client("cloudwatch")
    what = names("sagemaker", "endpoint/checked/variant/main", SAGEMAKER[2])
    action = {"ScheduledActionName": "night", "Schedule": "cron(0 20 * * ? *)", "Timezone": "Europe/Berlin"}

    def refused(operation: str, **request: object) -> str:
        with pytest.raises(ClientError) as caught:
            getattr(client, operation)(**what, **request)
        return "{Code}: {Message}".format(**caught.value.response["Error"])

    def tracking(**more: object) -> dict:
        metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        configuration = {"TargetValue": 50.0, "PredefinedMetricSpecification": metric, **more}
        return {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": configuration}

    def alarms() -> list[str]:
        (policy,) = client.describe_scaling_policies(**what)["ScalingPolicies"]
        return [each["AlarmName"] for each in policy["Alarms"]]

    limit = {"ScalableTargetAction": {"MinCapacity": 2}}
    assert refused("put_scheduled_action", **action, **limit).startswith("ObjectNotFoundException")
    client.register_scalable_target(**what, MinCapacity=1, MaxCapacity=4)
    client.register_scalable_target(**what, SuspendedState={"DynamicScalingInSuspended": True})
    (target,) = client.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[what["ResourceId"]])[
        "ScalableTargets"
    ]
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    client.put_scaling_policy(PolicyName="p", **what, **tracking())
    before = alarms()
    assert "Only one TargetTrackingScaling policy" in refused("put_scaling_policy", PolicyName="q", **tracking())
    assert "no numbers for ECS" in refused(
        "put_scaling_policy",
        PolicyName="p",
        **tracking(PredefinedMetricSpecification={"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}),
    )
    assert alarms() == before, "the policy that was there has stayed"
    client.put_scaling_policy(PolicyName="p", **what, **tracking(DisableScaleIn=True))
    assert alarms() == [each for each in before if "AlarmHigh" in each]
    gone = [each for each in before if "AlarmLow" in each]
    assert cloudwatch.describe_alarms(AlarmNames=gone)["MetricAlarms"] == []
    stat = {"Metric": {"Namespace": "Own", "MetricName": "Queue"}, "Stat": "Sum"}
    math = [{"Id": "m", "MetricStat": stat, "ReturnData": False}, {"Id": "e", "Expression": "FILL(m, 0) / 2"}]
    custom = {"TargetValue": 3.0, "CustomizedMetricSpecification": {"Metrics": math}}
    put = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": custom}
    client.put_scaling_policy(PolicyName="math", **what, **put)
    (low,) = cloudwatch.describe_alarms(AlarmNamePrefix=f"TargetTracking-{what['ResourceId']}-AlarmLow")["MetricAlarms"]
    assert [(each["Id"], each.get("Expression")) for each in low["Metrics"]] == [("m", None), ("e", "FILL(m, 0) / 2")]
    assert "six fields" in refused("put_scheduled_action", **{**action, "Schedule": "cron(0 20 * * *)"}, **limit)
    client.put_scheduled_action(**what, **action, **limit)
    (kept,) = client.describe_scheduled_actions(**what)["ScheduledActions"]
    assert {name: kept[name] for name in action} == action
    assert kept["ScheduledActionARN"].endswith(f":resource/sagemaker/{what['ResourceId']}:scheduledActionName/night")
    client.deregister_scalable_target(**what)
    assert client.describe_scheduled_actions(**what)["ScheduledActions"] == []
    assert cloudwatch.describe_alarms(AlarmNames=before)["MetricAlarms"] == []
