"""Target tracking at work: real traffic, real environments and instances, on a clock that runs 120 times as fast."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from botocore.exceptions import ClientError

from tests.unit.localaws.conftest import Server
from tests.unit.localaws.lambda_helpers import Function
from tests.unit.localaws.metric_helpers import statistic
from tests.unit.localaws.sagemaker_helpers import MODEL, SageMaker

DIMENSION = {"lambda": "lambda:function:ProvisionedConcurrency", "sagemaker": "sagemaker:variant:DesiredInstanceCount"}


@pytest.fixture(scope="module")
def fast(tmp_path_factory) -> Iterator[Server]:
    """A local AWS whose minutes last half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALAWS_TIME_SCALE", "120")
        server = Server(tmp_path_factory.mktemp("fast")).start()
    yield server
    server.close()


@contextmanager
def traffic(*requests: Callable[[], object], pause: float = 0) -> Iterator[None]:
    """Send each request again and again, side by side, until the block ends; `pause` leaves others some processor."""
    over = threading.Event()

    def send(request: Callable[[], object]) -> None:
        while not over.wait(pause):
            with suppress(ClientError):
                request()

    threads = [threading.Thread(target=send, args=[request]) for request in requests]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


class Target:
    """A scalable target and its policy."""

    def __init__(self, server: Server, namespace: str, resource: str, metric: str, value: float, **limits: int):
        self.client = server.client("application-autoscaling")
        self.cloudwatch = server.client("cloudwatch")
        self.names = {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": DIMENSION[namespace]}
        self.client.register_scalable_target(**self.names, **limits)
        tracking = {"TargetValue": value, "PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
        tracking |= {"ScaleInCooldown": 60, "ScaleOutCooldown": 60}
        self.policy = self.client.put_scaling_policy(
            PolicyName="track",
            **self.names,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=tracking,
        )

    def alarms(self) -> dict[str, dict]:
        """The policy's alarms, by AlarmHigh and AlarmLow."""
        names = [each["AlarmName"] for each in self.policy["Alarms"]]
        found = self.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        return {kind: each for each in found for kind in ("AlarmHigh", "AlarmLow") if kind in each["AlarmName"]}

    def activities(self) -> list[dict]:
        names = {name: self.names[name] for name in ("ServiceNamespace", "ResourceId")}
        return self.client.describe_scaling_activities(**names)["ScalingActivities"]

    def caused(self, alarm: str) -> list[dict]:
        """The activities that an alarm had a part in, the latest first."""
        return [each for each in self.activities() if alarm in each["Cause"]]


def test_provisioned_concurrency_follows_its_utilisation(fast, wait_until):
    function = Function(fast, "tracked").live()
    function.provision(1)
    function.ready(wait_until)
    target = Target(
        fast,
        "lambda",
        "function:tracked:live",
        "LambdaProvisionedConcurrencyUtilization",
        0.7,
        MinCapacity=1,
        MaxCapacity=3,
    )
    alarms = target.alarms()
    assert alarms["AlarmHigh"]["AlarmName"].startswith("TargetTracking-function:tracked:live-AlarmHigh-")
    periods = {kind: (each["EvaluationPeriods"], each["Period"], each["Threshold"]) for kind, each in alarms.items()}
    assert periods == {"AlarmHigh": (3, 60, 0.7), "AlarmLow": (15, 60, pytest.approx(0.63))}

    def requested() -> int:
        return function.provisioned()["RequestedProvisionedConcurrentExecutions"]

    def request() -> dict:
        return function.invoke(Qualifier="live")

    with traffic(request, request, request):  # three at a time use all there is, until there are three
        wait_until(lambda: requested() == 3, "the alarm High has it grow")
        wait_until(lambda: function.provisioned()["Status"] == "READY", "and environments are started for it")
    with traffic(request):  # one at a time uses a third of three, and half of two
        wait_until(lambda: target.caused("AlarmLow"), "the alarm Low has it shrink")
    # Its first step: a second follows where the traffic ends before two environments have been measured.
    assert target.caused("AlarmLow")[-1]["Description"] == "Setting desired concurrency to 2."
    wait_until(
        lambda: target.activities()[0]["Description"] == f"Setting desired concurrency to {requested()}.",
        "what the last step says is what is requested",
    )
    assert "AlarmHigh" in target.activities()[-1]["Cause"]
    assert target.activities()[-1]["Description"] == "Setting desired concurrency to 2."
    wait_until(lambda: "InProgress" not in {each["StatusCode"] for each in target.activities()}, "and all have ended")
    assert target.activities()[-1]["StatusMessage"] == (
        "Successfully set desired concurrency to 2. Change successfully fulfilled by lambda."
    )
    target.client.deregister_scalable_target(**target.names)
    assert target.alarms() == {}, "the policy has gone with its target, and its alarms with it"


def test_the_limits_of_a_target_hold_at_once(fast, wait_until):
    function = Function(fast, "limited").live()
    function.provision(1)
    client = fast.client("application-autoscaling")
    names = {
        "ServiceNamespace": "lambda",
        "ResourceId": "function:limited:live",
        "ScalableDimension": DIMENSION["lambda"],
    }
    client.register_scalable_target(**names, MinCapacity=2, MaxCapacity=4)
    assert function.ready(wait_until)["AvailableProvisionedConcurrentExecutions"] == 2
    client.register_scalable_target(**names, MinCapacity=1, MaxCapacity=1)
    assert function.provisioned()["RequestedProvisionedConcurrentExecutions"] == 1
    causes = [each["Cause"] for each in client.describe_scaling_activities(**names)["ScalingActivities"]]
    assert causes == ["maximum capacity was set to 1", "minimum capacity was set to 2"]


def test_an_endpoint_s_instances_follow_its_invocations(fast, wait_until):
    sagemaker = SageMaker(fast, wait_until)
    name = sagemaker.endpoint(MODEL.format(answer="x"))
    dimensions = {"EndpointName": name, "VariantName": "main"}
    for _ in range(3):
        sagemaker.ask(name)
    assert statistic(fast, "AWS/SageMaker", "Invocations", "Sum", dimensions) == 3
    assert statistic(fast, "AWS/SageMaker", "InvocationsPerInstance", "Sum", dimensions) == 3
    assert statistic(fast, "AWS/SageMaker", "Invocation5XXErrors", "Sum", dimensions) == 0
    assert statistic(fast, "AWS/SageMaker", "ModelLatency", "Maximum", dimensions) > 100, "microseconds"
    # A target that a single invocation in each minute of this clock exceeds.
    target = Target(
        fast,
        "sagemaker",
        f"endpoint/{name}/variant/main",
        "SageMakerVariantInvocationsPerInstance",
        0.1,
        MinCapacity=1,
        MaxCapacity=2,
    )

    def count() -> int:
        (variant,) = sagemaker.api.describe_endpoint(EndpointName=name)["ProductionVariants"]
        return variant["CurrentInstanceCount"]

    def request() -> dict:
        return sagemaker.ask(name)

    with traffic(request, request, request, pause=0.05):  # a minute without a request would count as zero
        wait_until(lambda: count() == 2, "an instance is added")
        served: set[int] = set()
        wait_until(lambda: served.add(request()["process"]) or len(served) > 1, "and serves")
    wait_until(
        lambda: count() == 1 and target.activities()[0]["StatusCode"] == "Successful",
        "fifteen minutes without traffic count as zero: it scales in to the minimum",
    )
    # On a slow machine there may be more in between, because there were so many minutes without a request.
    told = [(each["Description"], each["Cause"], each["StatusMessage"]) for each in target.activities()]
    assert [told[0], told[-1]] == [
        (
            f"Setting desired instance count to {number}.",
            f"monitor alarm {target.alarms()[kind]['AlarmName']} in state ALARM triggered policy track",
            f"Successfully set desired instance count to {number}. Change successfully fulfilled by sagemaker.",
        )
        for number, kind in ((1, "AlarmLow"), (2, "AlarmHigh"))
    ]
    assert all(each["EndTime"] > each["StartTime"] for each in target.activities())


def test_steps_and_scheduled_actions_run(fast, wait_until):
    function = Function(fast, "stepped").live()
    function.provision(1)
    function.ready(wait_until)
    client, cloudwatch = fast.client("application-autoscaling"), fast.client("cloudwatch")
    names = {
        "ServiceNamespace": "lambda",
        "ResourceId": "function:stepped:live",
        "ScalableDimension": DIMENSION["lambda"],
    }
    client.register_scalable_target(**names, MinCapacity=1, MaxCapacity=3)
    steps = {"AdjustmentType": "ChangeInCapacity", "Cooldown": 0}
    steps["StepAdjustments"] = [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 2}]
    policy = client.put_scaling_policy(
        PolicyName="steps", **names, PolicyType="StepScaling", StepScalingPolicyConfiguration=steps
    )
    alarm = {"Namespace": "Own", "MetricName": "Queue", "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 1}
    alarm |= {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 5.0, "AlarmActions": [policy["PolicyARN"]]}
    cloudwatch.put_metric_alarm(AlarmName="queue", **alarm)

    def requested() -> int:
        return function.provisioned()["RequestedProvisionedConcurrentExecutions"]

    def put() -> None:
        cloudwatch.put_metric_data(Namespace="Own", MetricData=[{"MetricName": "Queue", "Value": 9.0}])

    def told(**more: bool) -> list[dict]:
        return client.describe_scaling_activities(**names, **more)["ScalingActivities"]

    with traffic(put, pause=0.02):
        wait_until(lambda: requested() == 3, "the step adds two")
        wait_until(lambda: "NotScaledReasons" in told(IncludeNotScaledActivities=True)[0], "and then nothing more")
    assert told(IncludeNotScaledActivities=True)[0]["NotScaledReasons"] == [
        {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 3}
    ]
    assert len(told()) == 1
    (described,) = client.describe_scaling_policies(**names, PolicyNames=["steps"])["ScalingPolicies"]
    assert [each["AlarmName"] for each in described["Alarms"]] == ["queue"]
    limit = {"ScheduledActionName": "night", "ScalableTargetAction": {"MaxCapacity": 2}}
    client.put_scheduled_action(**names, **limit, Schedule="rate(1 minute)")
    wait_until(lambda: requested() == 2, "the scheduled action lowers the maximum")
    client.delete_scheduled_action(**names, ScheduledActionName="night")
    causes = [each["Cause"] for each in told()]
    assert {"maximum capacity was set to 2", "scheduled action name night was triggered"} <= set(causes)
    client.delete_scaling_policy(PolicyName="steps", **names)
    (kept,) = cloudwatch.describe_alarms(AlarmNames=["queue"])["MetricAlarms"]
    assert kept["AlarmActions"] == [], "an alarm of the caller's stays, without the policy"


def test_a_policy_without_a_target_or_without_numbers_is_refused(fast):
    client = fast.client("application-autoscaling")
    names = {
        "ServiceNamespace": "lambda",
        "ResourceId": "function:nobody:live",
        "ScalableDimension": DIMENSION["lambda"],
    }

    def put(policy: str, **configuration: dict) -> str:
        with pytest.raises(ClientError) as caught:
            client.put_scaling_policy(PolicyName="p", **names, PolicyType=policy, **configuration)
        return caught.value.response["Error"]["Code"] + caught.value.response["Error"]["Message"]

    def tracking(kind: str) -> dict:
        return {
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 1.0,
                "PredefinedMetricSpecification": {"PredefinedMetricType": kind},
            }
        }

    known = "LambdaProvisionedConcurrencyUtilization"
    assert put("TargetTrackingScaling", **tracking(known)).startswith("ObjectNotFoundException")
    client.register_scalable_target(**names, MinCapacity=1, MaxCapacity=2)
    assert "no numbers for ECSServiceAverageCPU" in put(
        "TargetTrackingScaling", **tracking("ECSServiceAverageCPUUtilization")
    )
    assert "needs an AdjustmentType" in put("StepScaling", StepScalingPolicyConfiguration={})
