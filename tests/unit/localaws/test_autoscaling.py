"""Scalable targets and policies: kept, with their tags."""

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
