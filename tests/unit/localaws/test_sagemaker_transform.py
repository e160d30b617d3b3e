"""Transform jobs as a client sees them: what reaches the container, what reaches S3 and the log, how each kind ends."""

import json

import pytest
from botocore.exceptions import ClientError
from moto.core.exceptions import ServiceException

from localaws.services.sagemaker.transform import api
from localaws.services.sagemaker.transform.payloads import TooLarge, TransformPlan
from tests.unit.localaws.sagemaker_helpers import SageMaker

INPUT = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in/"}}}
LOGS = "/aws/sagemaker/TransformJobs"
# Answers with what it was sent. It refuses `bad`, fails on `broken` twice and then answers, and always on `worse`.
MODEL = """
import os

failures = {}

class Refused(Exception):
    status_code = 422

def model_fn(folder):
    return {name: value for name, value in os.environ.items() if name.startswith("SAGEMAKER_")}

def transform_fn(model, body, content_type, accept):
    text = body.decode()
    failures[text] = failures.get(text, 0) + 1
    if text == "worse" or (text == "broken" and failures[text] < 3):
        raise ValueError("the model failed")
    if text == "settings":
        wanted = ("BATCH", "MAX_PAYLOAD_IN_MB", "BATCH_STRATEGY", "MAX_CONCURRENT_TRANSFORMS")
        return " ".join(model["SAGEMAKER_" + name] for name in wanted), accept
    return f"<{text}>{content_type}", accept
"""


@pytest.fixture
def sagemaker(localaws, wait_until) -> SageMaker:
    return SageMaker(localaws, wait_until)


def policy(statement: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_job_answers_each_object_below_the_prefix(sagemaker):
    name = sagemaker.transform(
        MODEL,
        {"a.txt": "one", "deep/b.txt": "broken", "c.txt": "settings"},
        MaxConcurrentTransforms=2,
        MaxPayloadInMB=5,
        Tags=[{"Key": "project", "Value": "test"}],
    )
    job = sagemaker.transformed(name)
    assert (job["TransformJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert sagemaker.outputs(name) == {
        "a.txt.out": "<one>text/plain",
        "deep/b.txt.out": "<broken>text/plain",
        "c.txt.out": "true 5 MULTI_RECORD 2",
    }
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    (first,) = sagemaker.log(LOGS, f"{name}/i-")[-1:]
    assert first.endswith(":[sagemaker logs]: MaxConcurrentTransforms=2, MaxPayloadInMB=5, BatchStrategy=MULTI_RECORD")
    listed = sagemaker.api.list_transform_jobs(NameContains=name)["TransformJobSummaries"]
    assert [(each["TransformJobName"], each["TransformJobStatus"]) for each in listed] == [(name, "Completed")]
    assert sagemaker.api.list_tags(ResourceArn=job["TransformJobArn"])["Tags"] == [{"Key": "project", "Value": "test"}]
    with pytest.raises(ClientError, match="The request was rejected because the transform job is in status Completed"):
        sagemaker.api.stop_transform_job(TransformJobName=name)


def test_an_object_that_fails_fails_the_job_and_the_others_have_their_outputs(sagemaker):
    name = sagemaker.transform(MODEL, {"a.txt": "one", "b.txt": "worse"})
    job = sagemaker.transformed(name)
    reason = "AlgorithmError: See job logs for more information"
    assert (job["TransformJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert list(sagemaker.outputs(name)) == ["a.txt.out"]
    place = f"{sagemaker.bucket}/in/{name}/b.txt"
    lines = [line.partition(":[sagemaker logs]: ")[2] for line in sagemaker.log(LOGS, f"{name}/i-")]
    assert f"{place}: Bad HTTP status received from algorithm: 500" in lines
    assert f"{place}: Message:" in lines


def test_a_role_without_permission_to_write_fails_the_job(sagemaker, localaws):
    iam, service = localaws.client("iam"), {"Service": "sagemaker.amazonaws.com"}
    trust = {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}
    reads = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "logs:*"], "Resource": "*"}
    role = iam.create_role(RoleName="reads-only", AssumeRolePolicyDocument=policy(trust))
    iam.put_role_policy(RoleName="reads-only", PolicyName="reads", PolicyDocument=policy(reads))
    name = sagemaker.transform(MODEL, {"a.txt": "one"}, role=role["Role"]["Arn"])
    job = sagemaker.transformed(name)
    assert (job["TransformJobStatus"], sagemaker.outputs(name)) == ("Failed", {})
    assert any("s3:PutObject" in line for line in sagemaker.log(LOGS, f"{name}/i-"))


def test_a_job_is_stopped(sagemaker):
    name = sagemaker.transform("import time\ndef model_fn(folder):\n    time.sleep(1000)\n", {"a.txt": "one"})
    sagemaker.api.stop_transform_job(TransformJobName=name)
    assert sagemaker.transformed(name)["TransformJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"MaxPayloadInMB": 101}, "cannot be greater than 100"),
        ({"MaxPayloadInMB": 30, "MaxConcurrentTransforms": 4}, "cannot exceed 100 MB"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "does not filter or join"),
        ({"TransformInput": {**INPUT, "SplitType": "TFRecord"}}, "does not split TFRecord"),
        ({"TransformInput": {**INPUT, "CompressionType": "Gzip"}}, "does not decompress"),
        ({"MaxPayloadInMB": 0}, "does not send chunked requests"),
    ],
)
def test_what_is_not_valid_or_not_run_is_refused_in_words(given, told):
    with pytest.raises(ServiceException, match=told):
        api.check({"TransformInput": INPUT, **given})


def test_a_job_that_lacks_what_it_needs_is_refused_in_the_words_of_aws(sagemaker):
    with pytest.raises(ClientError, match='Could not find model "arn:aws:sagemaker:'):
        sagemaker.transform(MODEL, {"a.txt": "one"}, ModelName="none")
    with pytest.raises(ClientError, match=r'No S3 objects found under S3 URL ".*" given in input data source. Please'):
        sagemaker.transform(MODEL, {})
    many = {"InstanceType": "ml.m5.large", "InstanceCount": 99}
    with pytest.raises(ClientError, match=r"'ml.m5.large for transform job usage' is"):
        sagemaker.transform(MODEL, {"a.txt": "one"}, TransformResources=many)


def test_lines_are_packed_up_to_the_payload():
    lines = b"a" * 600_000 + b"\n" + b"b" * 400_000 + b"\n" + b"c" * 700_000 + b"\n"
    multi, single = (
        TransformPlan(1, 1, "MultiRecord", "Line", "Line"),
        TransformPlan(1, 1, "SingleRecord", "Line", "None"),
    )
    assert [len(each) for each in multi.requests(lines)] == [1_000_001, 700_000]
    assert [len(each) for each in single.requests(lines)] == [600_000, 400_000, 700_000]
    assert (multi.together([b"x", b"y"]), single.together([b"x", b"y"])) == (b"x\ny\n", b"xy")
    assert list(TransformPlan(1, 1, "MultiRecord", "None", "None").requests(b"a\nb\n")) == [b"a\nb\n"]
    with pytest.raises(TooLarge):
        list(multi.requests(b"d" * 1_100_000))
