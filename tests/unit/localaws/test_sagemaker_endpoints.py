"""Endpoints as a client sees them: created, asked, updated under load, broken, scaled, deleted."""

import json
import os
import re
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.unit.localaws.sagemaker_helpers import MODEL, TAKES_TOO_MUCH, SageMaker, unique

BROKEN = "def model_fn(folder):\n    raise RuntimeError('the graph is not in the archive')\n"
FAILING = """
class Refusal(Exception):
    status, code, message = 415, "unsupported_media_type", "send an image"

def model_fn(folder):
    return None

def input_fn(body, content_type):
    if content_type == "text/plain":
        raise Refusal()
    return body

def predict_fn(body, model):
    raise KeyError("weights")

def output_fn(prediction, accept):
    return prediction, accept
"""


@pytest.fixture
def sagemaker(localaws, wait_until) -> SageMaker:
    return SageMaker(localaws, wait_until)


def processes_of(server, endpoint: str) -> list[int]:
    entries = json.loads((server.home / "processes.json").read_text())
    return [entry["pid"] for entry in entries if entry["owner"].startswith(f"endpoint {endpoint}/")]


def waiting_for(gate: Path) -> str:
    """Code that waits until the file is there: the test says how long a model takes to load."""
    return f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"


def test_an_endpoint_answers_with_what_its_model_computes(sagemaker):
    code = (
        MODEL.format(answer="one")
        .replace("return body\n", "return [body, content_type, dict(context.get_all_request_header(0))]\n")
        .replace('"bytes": len(body)', '"type": body[1], "headers": body[2], "body": body[0].decode()')
    )
    name = sagemaker.endpoint(code)
    runtime = sagemaker.server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(
        EndpointName=name,
        Body=b"hello",
        ContentType="image/jpeg",
        Accept="application/json",
        CustomAttributes="top_k=3",
    )
    assert answer["InvokedProductionVariant"] == "main"
    assert answer["ContentType"] == "application/json"
    told = json.loads(answer["Body"].read())
    assert (told["answer"], told["body"], told["type"]) == ("one", "hello", "image/jpeg")
    assert told["headers"]["X-Amzn-Sagemaker-Custom-Attributes"] == "top_k=3"
    assert told["headers"]["Accept"] == "application/json"


def test_an_endpoint_is_creating_until_its_container_is_healthy(sagemaker, tmp_path):
    gate = tmp_path / "open"
    waiting = waiting_for(gate) + MODEL.format(answer="x")
    name = unique("endpoint")
    sagemaker.api.create_endpoint(EndpointName=name, EndpointConfigName=sagemaker.config(waiting))
    assert sagemaker.api.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
    with pytest.raises(ClientError, match="not found"):
        sagemaker.ask(name)
    sagemaker.until(lambda: processes_of(sagemaker.server, name), "the container starts")
    assert sagemaker.api.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
    gate.touch()
    described = sagemaker.settled(name)
    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1


def test_an_update_loses_no_request_and_ends_with_the_new_model_alone(sagemaker, tmp_path):
    gate = tmp_path / "open"
    name = sagemaker.endpoint(MODEL.format(answer="old"), count=2)
    target = sagemaker.config(waiting_for(gate) + MODEL.format(answer="new"), count=2)
    seen, failures, over = [], [], threading.Event()

    def client() -> None:
        while not over.wait(0.02):
            try:
                seen.append(sagemaker.ask(name)["answer"])
            except Exception as error:
                failures.append(error)

    asking = threading.Thread(target=client)
    asking.start()
    try:
        sagemaker.until(lambda: len(seen) >= 5, "the client asks")
        sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=target)
        during = sagemaker.api.describe_endpoint(EndpointName=name)
        assert during["EndpointStatus"] == "Updating"
        assert during["PendingDeploymentSummary"]["EndpointConfigName"] == target
        gate.touch()
        described = sagemaker.settled(name)
        count = len(seen)
        sagemaker.until(lambda: len(seen) >= count + 5, "the client goes on asking")
    finally:
        over.set()
        asking.join()
    assert failures == []
    assert described["EndpointConfigName"] == target
    assert set(seen[count + 1 :]) == {"new"}
    assert seen == sorted(seen, key=["old", "new"].index), "no request was answered by the old model"


def test_an_update_lets_the_old_fleet_finish_what_it_is_answering(sagemaker, tmp_path):
    gate, begun = tmp_path / "open", tmp_path / "begun"
    slow = MODEL.format(answer="old").replace(
        "def predict_fn(body, model):\n",
        "def predict_fn(body, model):\n    import pathlib, time\n"
        f"    if body == b'slow': pathlib.Path({str(begun)!r}).touch()\n"
        f"    while body == b'slow' and not os.path.exists({str(gate)!r}): time.sleep(0.02)\n",
    )
    name = sagemaker.endpoint(slow)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(sagemaker.ask(name, b"slow")["answer"]))
    asking.start()
    sagemaker.until(begun.exists, "the slow request is being answered")
    sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=sagemaker.config(MODEL.format(answer="new")))
    sagemaker.until(lambda: sagemaker.ask(name)["answer"] == "new", "the new model answers")
    assert sagemaker.api.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating"
    gate.touch()
    asking.join(30)
    assert answers == ["old"]
    assert sagemaker.settled(name)["EndpointStatus"] == "InService"
    assert len(processes_of(sagemaker.server, name)) == 1


def test_a_model_that_cannot_load_fails_the_endpoint_with_its_own_words(sagemaker):
    name = unique("endpoint")
    sagemaker.api.create_endpoint(EndpointName=name, EndpointConfigName=sagemaker.config(BROKEN))
    described = sagemaker.settled(name)
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert "RuntimeError: the graph is not in the archive" in described["FailureReason"]
    lines = sagemaker.log(f"/aws/sagemaker/Endpoints/{name}", "main/")
    assert "RuntimeError: the graph is not in the archive" in lines
    assert processes_of(sagemaker.server, name) == []


def test_an_update_that_fails_rolls_back_and_the_old_model_never_stops_answering(sagemaker):
    name = sagemaker.endpoint(MODEL.format(answer="old"))
    before = sagemaker.api.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=sagemaker.config(BROKEN))
    assert sagemaker.ask(name)["answer"] == "old"
    described = sagemaker.settled(name)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == before
    assert "RuntimeError: the graph is not in the archive" in described["FailureReason"]
    assert sagemaker.ask(name)["answer"] == "old"


def test_an_alarm_during_the_wait_rolls_the_update_back(sagemaker):
    name = sagemaker.endpoint(MODEL.format(answer="old"))
    alarm = unique("alarm")
    cloudwatch = sagemaker.server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Threshold=1,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
    )
    policy = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 600,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
    }
    target = sagemaker.config(MODEL.format(answer="new"))
    sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=target, DeploymentConfig=policy)
    sagemaker.until(lambda: sagemaker.ask(name)["answer"] == "new", "the new model answers while the old one waits")
    described = sagemaker.rolled_back(name, alarm)
    assert alarm in described["FailureReason"]
    assert sagemaker.ask(name)["answer"] == "old"


def test_a_canary_has_its_share_of_the_requests_and_an_alarm_takes_it_back(sagemaker):
    cloudwatch, alarm = sagemaker.server.client("cloudwatch"), unique("alarm")
    name = sagemaker.endpoint(MODEL.format(answer="old"))
    target = sagemaker.config(MODEL.format(answer="new"))
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 3600}
    policy = {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
    }
    sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=target, DeploymentConfig=policy)

    def pending() -> dict:
        (variant,) = sagemaker.api.describe_endpoint(EndpointName=name)["PendingDeploymentSummary"][
            "ProductionVariants"
        ]
        return variant

    sagemaker.until(lambda: pending()["VariantStatus"][0]["Status"] == "Baking", "the canary is watched")
    assert (pending()["CurrentInstanceCount"], pending()["DesiredInstanceCount"]) == (1, 1)
    answers = [sagemaker.ask(name)["answer"] for _ in range(30)]
    assert 2 < answers.count("new") < 28, "about half of the requests go to the canary"  # but for one run in a million

    def invocations(config: str) -> float:
        dimensions = {"EndpointName": name, "VariantName": "main", "EndpointConfigName": config}
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=datetime.now(UTC) - timedelta(hours=1),
            EndTime=datetime.now(UTC) + timedelta(hours=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(each["Sum"] for each in points)

    assert invocations(target) == answers.count("new"), "an alarm can watch the new fleet alone"
    described = sagemaker.rolled_back(name, alarm)
    assert described["EndpointConfigName"] != target
    assert alarm in described["FailureReason"]
    assert described["LastDeploymentConfig"] == policy
    assert "PendingDeploymentSummary" not in described
    assert {sagemaker.ask(name)["answer"] for _ in range(10)} == {"old"}


def test_a_rolling_update_replaces_batches_and_a_later_update_can_keep_its_policy(sagemaker):
    name = sagemaker.endpoint(MODEL.format(answer="old"), count=2)
    batch = {"Type": "INSTANCE_COUNT", "Value": 1}
    policy = {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 0}}
    target = sagemaker.config(MODEL.format(answer="new"), count=2)
    sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=target, DeploymentConfig=policy)
    described = sagemaker.settled(name)
    assert (described["EndpointConfigName"], described.get("FailureReason")) == (target, None)
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    answers = [sagemaker.ask(name) for _ in range(4)]
    assert {each["answer"] for each in answers} == {"new"}
    assert len({each["process"] for each in answers}) == 2
    assert len(processes_of(sagemaker.server, name)) == 2, "the old instances have ended"

    one = sagemaker.config(MODEL.format(answer="one"))
    with pytest.raises(ClientError, match="MaximumBatchSize is 100% of the variant's total instance count"):
        sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=one, RetainDeploymentConfig=True)


def test_a_killed_instance_is_replaced_and_the_count_is_true_meanwhile(sagemaker, tmp_path):
    gate = tmp_path / "open"
    gate.touch()
    name = sagemaker.endpoint(waiting_for(gate) + MODEL.format(answer="x"), count=2)
    processes = {sagemaker.ask(name)["process"] for _ in range(4)}
    assert len(processes) == 2, "both instances take turns"
    gate.unlink()  # so that the next instance does not come before the count has been seen
    victim = processes.pop()
    os.kill(victim, signal.SIGKILL)

    def count() -> int:
        variant = sagemaker.api.describe_endpoint(EndpointName=name)["ProductionVariants"][0]
        assert variant["DesiredInstanceCount"] == 2
        return variant["CurrentInstanceCount"]

    sagemaker.until(lambda: count() == 1, "the dead instance no longer counts")
    gate.touch()
    sagemaker.until(lambda: count() == 2, "another one has taken its place")
    assert victim not in {sagemaker.ask(name)["process"] for _ in range(4)}


def test_the_count_can_be_changed_and_is_a_count_of_processes(sagemaker):
    name = sagemaker.endpoint(MODEL.format(answer="x"))
    for count in (3, 1):
        sagemaker.api.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": count}]
        )
        variant = sagemaker.settled(name)["ProductionVariants"][0]
        assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (count, 1.0)
        assert len(processes_of(sagemaker.server, name)) == count
    target = sagemaker.config(MODEL.format(answer="y"), count=2)
    sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=target, RetainAllVariantProperties=True)
    assert sagemaker.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 1, (
        "the live count was carried over"
    )


def test_a_deleted_endpoint_is_gone_with_its_processes(sagemaker):
    name = sagemaker.endpoint(MODEL.format(answer="x"))
    (process,) = processes_of(sagemaker.server, name)
    sagemaker.api.delete_endpoint(EndpointName=name)

    def gone() -> bool:
        try:
            return sagemaker.api.describe_endpoint(EndpointName=name)["EndpointStatus"] != "Deleting"
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ValidationException"
            assert "Could not find endpoint" in error.response["Error"]["Message"]
            return True

    sagemaker.until(gone, "the endpoint is deleted")
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.parametrize(
    ("content_type", "status", "said"),
    [("text/plain", 415, '"code": "unsupported_media_type"'), ("image/png", 500, "weights")],
)
def test_a_models_error_comes_wrapped_as_sagemaker_wraps_it(sagemaker, content_type, status, said):
    name = sagemaker.endpoint(FAILING)
    with pytest.raises(ClientError) as caught:
        sagemaker.ask(name, ContentType=content_type)
    error = caught.value.response
    assert error["Error"]["Code"] == "ModelError"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error["OriginalStatusCode"] == status
    assert said in error["OriginalMessage"]
    assert name in error["LogStreamArn"]
    if status == 415:
        assert json.loads(error["OriginalMessage"])["error"]["message"] == "send an image"


def test_an_isolated_model_reaches_nothing(sagemaker):
    calling = "import os, urllib.request\nurllib.request.urlopen(os.environ.get('AWS_ENDPOINT_URL', {url!r}))\n"
    code = calling.format(url=sagemaker.server.url + "/_localaws/health") + MODEL.format(answer="reached")
    name = unique("endpoint")
    sagemaker.api.create_endpoint(EndpointName=name, EndpointConfigName=sagemaker.config(code, isolated=True))
    described = sagemaker.settled(name)
    assert described["EndpointStatus"] == "Failed"
    # Refused by the namespace, or by the check where none could be had.
    assert re.search(r"Connection refused|Network isolation is on", described["FailureReason"])
    open_name = sagemaker.endpoint(code, isolated=False)
    assert sagemaker.ask(open_name)["answer"] == "reached"


def test_what_is_not_there_is_named(sagemaker):
    runtime = sagemaker.server.client("sagemaker-runtime")
    with pytest.raises(ClientError, match="Endpoint nobody of account 123456789012 not found"):
        runtime.invoke_endpoint(EndpointName="nobody", Body=b"")
    with pytest.raises(ClientError, match="Could not find model data at s3://"):
        sagemaker.api.create_model(
            ModelName=unique("m"),
            ExecutionRoleArn="arn:aws:iam::123456789012:role/r",
            PrimaryContainer={"Image": "i", "ModelDataUrl": f"s3://{sagemaker.bucket}/nothing.tar.gz"},
        )
    name = sagemaker.config(MODEL.format(answer="x"))
    sagemaker.server.client("s3").delete_object(Bucket=sagemaker.bucket, Key=f"models/{name}.tar.gz")
    endpoint = unique("endpoint")
    sagemaker.api.create_endpoint(EndpointName=endpoint, EndpointConfigName=name)
    assert "Failed to download model data" in sagemaker.settled(endpoint)["FailureReason"]


def test_a_change_waits_for_the_one_before_it(sagemaker, tmp_path):
    gate = tmp_path / "open"
    waiting = waiting_for(gate) + MODEL.format(answer="x")
    name = sagemaker.endpoint(MODEL.format(answer="old"))
    target = sagemaker.config(waiting)
    sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=target)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=target)
    with pytest.raises(ClientError, match="is being created or updated with it"):
        sagemaker.api.delete_endpoint_config(EndpointConfigName=target)
    gate.touch()
    assert sagemaker.settled(name)["EndpointConfigName"] == target
    sagemaker.api.delete_endpoint_config(EndpointConfigName=target)
    sagemaker.api.delete_model(ModelName=target)
    assert sagemaker.ask(name)["answer"] == "x", "an endpoint keeps serving what it was deployed with"


def test_a_model_that_does_not_fit_its_instance_is_killed_with_the_reason(sagemaker):
    code = "def model_fn(folder):" + TAKES_TOO_MUCH.replace("\n", "\n    ")
    name = unique("endpoint")
    config = sagemaker.config(code, InstanceType="ml.c8g.medium")
    sagemaker.api.create_endpoint(EndpointName=name, EndpointConfigName=config)
    described = sagemaker.settled(name)
    assert described["EndpointStatus"] == "Failed"
    assert "an ml.c8g.medium has 2.0 GiB. It is killed." in described["FailureReason"]
