"""What is read from AWS after a load test, and the requests that it sends."""

import time
from datetime import UTC, datetime

import pytest

from deploy.console import Failure
from deploy.load import requests
from deploy.load.observe import Observer

GROUP = "/aws/lambda/f"


@pytest.fixture
def deployment(account):
    logs = account.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    yield account.deployed(
        endpoint_kind="in-function", function_name="f", function_alias="live", function_log_group=GROUP
    )
    logs.delete_log_group(logGroupName=GROUP)


def test_the_starts_that_requests_waited_for_are_counted_and_those_ahead_of_them_are_not(account, deployment):
    observer = Observer(deployment)
    now = int(time.time() * 1000) + 1
    messages = [
        "INIT_REPORT Init Duration: 5.00 ms\tPhase: init",
        "REPORT RequestId: a\tDuration: 1.00 ms\tInit Duration: 5.00 ms",
        "REPORT RequestId: b\tDuration: 1.00 ms",
    ]
    events = [{"timestamp": now + place, "message": message} for place, message in enumerate(messages)]
    account.client("logs").put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)
    observed = observer.finish()
    assert observed.total("function_starts") == 1
    assert "instances" not in observed.series  # the function has the model itself


def test_metrics_are_those_of_the_alias_since_the_test_began(account, deployment):
    dimensions = [{"Name": "FunctionName", "Value": "f"}, {"Name": "Resource", "Value": "f:live"}]
    observer = Observer(deployment)
    account.client("cloudwatch").put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {"MetricName": "Throttles", "Dimensions": dimensions, "Value": 3, "Timestamp": datetime.now(UTC)},
            {"MetricName": "Throttles", "Dimensions": dimensions[:1], "Value": 9, "Timestamp": datetime.now(UTC)},
        ],
    )
    observed = observer.finish()
    assert observed.total("throttles") == 3
    assert observed.mean("spillover") is None


def test_requests_are_signed_for_the_function_and_name_its_host(deployment, monkeypatch, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"picture")
    asked = requests.questions(deployment, "url", [picture])
    assert (asked.target.host, asked.target.port, asked.target.tls) == ("127.0.0.1", 4566, False)
    [sent] = asked.sign()
    head, _, body = sent.partition(b"\r\n\r\n")
    assert body == b"picture"
    assert b"Host: abc.lambda-url.us-east-1.localhost:4566\r\n" in head
    assert b"/us-east-1/lambda/aws4_request" in head
    assert b"Content-Type: image/png" in head


def test_a_folder_without_photographs_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(Failure, match="has no photographs"):
        requests.images(str(tmp_path))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.JPG").write_bytes(b"x")
    assert [path.name for path in requests.images(str(tmp_path))] == ["a.JPG"]
