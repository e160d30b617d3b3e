"""The parts that every service's answers are made of: pages, identifiers, protocols, names of functions, digests."""

import base64
import hashlib
import io
import json
import zlib
from typing import Any

import pytest
from moto.awslambda.exceptions import LambdaClientError
from moto.s3.exceptions import S3ClientError

from localaws import cbor, errors, headers, refusals
from localaws.paging import InvalidToken, page
from localaws.requests import from_cbor
from localaws.services.lambda_ import names
from localaws.services.s3 import arguments, digests
from localaws.services.s3.settings import BucketSettings, NoSuchConfiguration
from localaws.services.ssm.invocation import ERROR_TRUNCATED, TRUNCATED, plugin_output

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"


def environ(method: str, path: str, body: bytes = b"", **more: str) -> dict[str, Any]:
    """What WSGI says of a request."""
    described = {"REQUEST_METHOD": method, "PATH_INFO": path, "RAW_URI": path, "QUERY_STRING": "", **more}
    named = {
        "HTTP_HOST": "127.0.0.1:4566",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "4566",
        "wsgi.url_scheme": "http",
    }
    return {**described, **named, "wsgi.input": io.BytesIO(body)}


def test_pages_join_up_and_take_no_other_token():
    items, found, token = list(range(7)), [], None
    while True:
        shown, token = page(items, token, 3)
        found += shown
        if token is None:
            break
    assert found == items
    for wrong in ("x", "3", "", base64.b64encode(b"localaws:-1").decode()):
        with pytest.raises(InvalidToken):
            page(items, wrong, 3)


@pytest.mark.parametrize(
    ("service", "given", "added"),
    [
        ("lambda", [], {"x-amzn-requestid", "date"}),
        ("iam", [("x-amzn-requestid", "id"), ("Date", "now"), ("status", "404")], {"x-amzn-requestid", "date"}),
        ("s3", [("x-amzn-requestid", "id")], {"x-amz-request-id", "x-amz-id-2", "date"}),
        (None, [], {"date"}),
    ],
)
def test_every_answer_has_a_date_and_an_identifier(service, given, added):
    started: list[Any] = []
    headers.completed(service, lambda *said: started.extend(said))("200 OK", given)
    names_sent = [name.lower() for name, _ in started[1]]
    assert sorted(names_sent) == sorted(added), "each once"
    assert {"id", "now"}.intersection(value for _, value in given) <= {value for _, value in started[1]}


@pytest.mark.parametrize(
    ("service", "code", "members"),
    [
        ("lambda", "ResourceNotFoundException", {"Type": "User", "Message": "m"}),
        ("lambda", "InvalidParameterValueException", {"Type": "User", "message": "m"}),
        ("lambda", "ValidationException", {"message": "m"}),
        ("ssm", "InvalidNextToken", {"__type": "InvalidNextToken", "message": "m", "Message": "m"}),
    ],
)
def test_an_error_in_json_has_the_members_of_its_model(service, code, members):
    assert json.loads(errors.answer(service, code, "m")[2]) == members


@pytest.mark.parametrize(
    ("method", "path", "operation", "message"),
    [
        ("DELETE", f"/2017-03-31/tags/{ARN}", "UntagResource", "Value null at 'tagKeys'"),
        (
            "PUT",
            "/2019-09-30/functions/f/provisioned-concurrency",
            "PutProvisionedConcurrencyConfig",
            "Value null at 'qualifier'",
        ),
        (
            "DELETE",
            "/2019-09-30/functions/f/provisioned-concurrency",
            "DeleteProvisionedConcurrencyConfig",
            "qualifier",
        ),
    ],
)
def test_a_missing_parameter_of_the_query_breaks_the_model(method, path, operation, message):
    assert errors.operation_of("lambda", environ(method, path)) == operation
    status, sent, body = refusals.refusal("lambda", environ(method, path))
    assert (status, sent["X-Amzn-Errortype"]) == (400, "ValidationException")
    assert message in json.loads(body)["message"]


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("DELETE", "/b", "", "DeleteBucket"),
        ("DELETE", "/b", "analytics", "DeleteBucketAnalyticsConfiguration"),
        ("GET", "/b", "analytics", "ListBucketAnalyticsConfigurations"),
        ("GET", "/b", "analytics&id=a", "GetBucketAnalyticsConfiguration"),
        ("GET", "/b", "list-type=2", "ListObjectsV2"),
        ("GET", "/b", "prefix=a", "ListObjects"),
        ("PUT", "/b/k", "", "PutObject"),
        ("PUT", "/b/k", "uploadId=u", "UploadPart"),
        ("PUT", "/b/k", "uploadId=u&partNumber=1", "UploadPart"),
        ("POST", "/b", "delete", "DeleteObjects"),
    ],
)
def test_a_query_names_an_operation_of_s3_even_if_a_part_is_missing(method, path, query, operation):
    assert errors.operation_of("s3", environ(method, path, QUERY_STRING=query)) == operation


def test_a_copy_is_told_by_its_header():
    for name, operation in (("HTTP_X_AMZ_COPY_SOURCE", "CopyObject"), ("HTTP_X_OTHER", "PutObject")):
        assert errors.operation_of("s3", environ("PUT", "/b/k", **{name: "b/other"})) == operation
    status, _, body = refusals.refusal("s3", environ("DELETE", "/b", QUERY_STRING="analytics"))
    assert status == 400
    assert b"<Code>InvalidRequest</Code>" in body
    assert b"parameter for this request: 'id'" in body


def test_a_rest_operation_is_found_whatever_the_type_of_its_payload():
    for kind in ("application/x-www-form-urlencoded", "application/x-amz-json-1.0", "text/plain"):
        sent = environ("POST", "/2015-03-31/functions/f/invocations", CONTENT_TYPE=kind)
        assert errors.operation_of("lambda", sent) == "Invoke"


def test_a_request_in_cbor_is_answered_in_cbor():
    def ask(service, asked, start_response):
        assert asked["HTTP_X_AMZ_TARGET"] == "GraniteServiceVersion20100801.GetMetricStatistics"
        assert json.loads(asked["wsgi.input"].read()) == {"MetricName": "m", "StartTime": 1700000000.0}
        start_response("200 OK", [("x-amzn-requestid", "id"), ("Content-Type", "application/x-amz-json-1.0")])
        return [b'{"Label": "m", "Datapoints": [{"Timestamp": 1700000000.5, "Sum": 2.0}]}']

    # {"MetricName": "m", "StartTime": 1(1700000000)}
    body = b"\xa2\x6aMetricName\x61m\x69StartTime\xc1\x1a" + (1_700_000_000).to_bytes(4, "big")
    path = "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics"
    started: list[Any] = []
    (answer,) = cbor.translated("cloudwatch", environ("POST", path, body), lambda *said: started.extend(said), ask)
    assert dict(started[1])["Content-Type"] == "application/cbor"
    said = from_cbor(answer)
    assert (said["Label"], said["Datapoints"][0]["Sum"]) == ("m", 2.0)
    assert said["Datapoints"][0]["Timestamp"].timestamp() == 1_700_000_000.5


@pytest.mark.parametrize(
    ("given", "qualifier", "found"),
    [
        ("f", None, ("f", None)),
        ("f:1", None, ("f", "1")),
        ("f", "live", ("f", "live")),
        ("f:$LATEST", "$LATEST", ("f", "$LATEST")),
        ("function:f", None, ("f", None)),
        ("123456789012:function:f:live", None, ("f", "live")),
        (ARN, "1", ("f", "1")),
        (f"{ARN}:live", "live", ("f", "live")),
    ],
)
def test_a_function_is_named_in_many_ways(given, qualifier, found):
    assert names.split(given, qualifier, "us-east-1", "123456789012") == found


@pytest.mark.parametrize(
    ("given", "qualifier", "code"),
    [
        ("f:1", "2", "InvalidParameterValueException"),
        (ARN.replace("us-east-1", "eu-west-1"), None, "ResourceNotFoundException"),
        (ARN.replace("123456789012", "111111111111"), None, "AccessDeniedException"),
    ],
)
def test_a_function_of_somewhere_else_is_refused(given, qualifier, code):
    with pytest.raises(LambdaClientError) as caught:
        names.split(given, qualifier, "us-east-1", "123456789012")
    assert caught.value.error_type == code


def encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


DIGESTS = {
    "Content-MD5": hashlib.md5(b"x", usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": hashlib.sha256(b"x").digest(),
    "x-amz-checksum-sha1": hashlib.sha1(b"x", usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": zlib.crc32(b"x").to_bytes(4, "big"),
}


@pytest.mark.parametrize("name", DIGESTS)
def test_a_body_with_another_digest_is_refused(name):
    digests.check({name: encoded(DIGESTS[name])}, b"x")
    with pytest.raises(digests.BadDigest):
        digests.check({name: encoded(DIGESTS[name])}, b"y")


def test_a_digest_in_a_trailer_and_one_that_was_signed_are_compared():
    trailer = b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:" + encoded(DIGESTS["x-amz-checksum-crc32"]).encode() + b"\r\n\r\n"
    digests.check({}, b"x", trailer)
    with pytest.raises(digests.BadDigest):
        digests.check({}, b"y", trailer)
    signed = {"x-amz-content-sha256": hashlib.sha256(b"x").hexdigest()}
    digests.check(signed, b"x")
    digests.check({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, b"y")
    with pytest.raises(digests.PayloadMismatch):
        digests.check(signed, b"y")
    with pytest.raises(digests.InvalidDigest):
        digests.check({"Content-MD5": "short"}, b"x")


def test_a_bucket_s_settings_are_given_back_as_they_came():
    settings = BucketSettings()
    document = (
        b'<MetricsConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Id>a</Id></MetricsConfiguration>'
    )
    assert b"BucketOwner" in settings.answer("GET", "requestPayment", None, b"")[1]
    settings.answer("PUT", "metrics", "a", document)
    assert settings.answer("GET", "metrics", "a", b"") == (200, document)
    assert settings.answer("GET", "metrics", None, b"")[1].count(b"<Id>a</Id>") == 1
    assert settings.answer("DELETE", "metrics", "a", b"") == (204, b"")
    for method in ("GET", "DELETE"):
        with pytest.raises(NoSuchConfiguration):
            settings.answer(method, "metrics", "a", b"")


def test_a_plugin_s_output_is_cut_as_the_agent_cuts_it():
    assert plugin_output("out", "") == "out"
    assert plugin_output("out", "err") == "out\n----------ERROR-------\nerr"
    for output, error in (("o" * 3000, ""), ("o" * 3000, "err"), ("out", "e" * 3000), ("o" * 3000, "e" * 3000)):
        text = plugin_output(output, error)
        assert 2498 <= len(text) <= 2500
        assert (TRUNCATED in text) == (len(output) > 100)
        assert text.endswith(ERROR_TRUNCATED) == (len(error) > 100)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("a-bucket.of.1", True),
        ("b" * 63, True),
        *((name, False) for name in ("ab", "b" * 64, "Upper", "under_score", "-begins", "ends-", "two..dots")),
        *((name, False) for name in ("192.168.5.4", "xn--a", "sthree-a", "amzn-s3-demo-a", "a-s3alias", "a--ol-s3")),
    ],
)
def test_a_bucket_is_named_by_the_rules(name, allowed):
    assert arguments.is_bucket_name(name) == allowed


@pytest.mark.parametrize(
    ("method", "key", "query", "code"),
    [
        ("PUT", "é" * 513, {}, "KeyTooLongError"),
        ("GET", "a", {"versionId": "mine"}, "InvalidArgument"),
        ("PUT", "a", {"partNumber": "0", "uploadId": "x"}, "InvalidArgument"),
        ("PUT", "a", {"partNumber": "10001", "uploadId": "x"}, "InvalidArgument"),
        ("GET", "", {"max-keys": "-1"}, "InvalidArgument"),
        ("GET", "", {"max-keys": "ten"}, "InvalidArgument"),
        ("GET", "a", {"max-parts": "2147483648"}, "InvalidArgument"),
    ],
)
def test_arguments_that_s3_refuses_are_refused(method, key, query, code):
    with pytest.raises(S3ClientError) as refused:
        arguments.check(method, key, query)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "version", ["null", "6f1c9a52-5a0b-4d5e-9c53-0f5d2b7a1e11", "L4kqtJlcpXroDTDmpUMLUo3HrTgYfjWb"]
)
def test_arguments_that_s3_takes_are_taken(version):
    arguments.check("GET", "k" * 1024, {"versionId": version, "partNumber": "10001", "max-keys": "0"})
