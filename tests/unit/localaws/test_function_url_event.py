"""Payload format 2.0, both ways."""

import base64
import json

import pytest

from localaws.services.lambda_.http_event import BadResult, UrlRequest, make_event, read_result

ADDED = [
    *("x-amzn-tls-cipher-suite", "x-amzn-tls-version", "x-amzn-trace-id"),
    *("x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"),
]


def event(method="POST", path="/", query="", headers=None, body=b"", caller=None) -> dict:
    request = UrlRequest(
        method, path, query, headers or {}, body, "HTTP/1.1", "127.0.0.1", "abc.lambda-url.x.localhost"
    )
    return make_event(request, "abc", "the-id", "123456789012", caller)


def test_a_request_is_described_as_aws_describes_it():
    given = event("GET", "/a%20b", "x=1&x=2&y=%C3%A9", {"user-agent": "curl", "host": "h"})
    assert given["version"] == "2.0"
    assert given["routeKey"] == given["requestContext"]["routeKey"] == "$default"
    assert given["rawPath"] == "/a%20b"
    assert given["rawQueryString"] == "x=1&x=2&y=%C3%A9"
    assert given["queryStringParameters"] == {"x": "1,2", "y": "é"}
    http = given["requestContext"]["http"]
    assert http == {
        "method": "GET",
        "path": "/a%20b",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "curl",
    }
    assert given["requestContext"]["domainPrefix"] == "abc"


def test_what_has_no_value_is_left_out():
    assert not {"body", "cookies", "queryStringParameters"} & event().keys()
    assert event()["isBase64Encoded"] is False


def test_cookies_come_as_a_list_and_not_as_a_header():
    given = event(headers={"cookie": "a=1; b=2", "accept": "*/*"})
    assert given["cookies"] == ["a=1", "b=2"]
    assert {name: value for name, value in given["headers"].items() if name not in ADDED} == {"accept": "*/*"}


def test_aws_adds_headers_and_takes_those_of_the_connection_away():
    given = event(headers={"x-forwarded-for": "1.2.3.4", "te": "trailers", "host": "h"})
    assert sorted(given["headers"]) == sorted(["host", *ADDED])
    assert given["headers"]["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded", ""])
def test_what_is_not_text_comes_as_base64(kind):
    given = event(headers={"content-type": kind}, body=b"\xff\xd8\x00")
    assert given["isBase64Encoded"] is True
    assert base64.b64decode(given["body"]) == b"\xff\xd8\x00"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json; charset=utf-8", "application/problem+json", "TEXT/HTML"]
)
def test_text_comes_as_text(kind):
    given = event(headers={"content-type": kind}, body='{"é": 1}'.encode())
    assert (given["body"], given["isBase64Encoded"]) == ('{"é": 1}', False)


def test_text_that_is_none_comes_as_base64():
    assert event(headers={"content-type": "text/plain"}, body=b"\xff")["isBase64Encoded"] is True


def test_only_a_checked_caller_is_named():
    assert event()["requestContext"]["accountId"] == "anonymous"
    assert "authorizer" not in event()["requestContext"]
    context = event(caller={"userArn": "arn"})["requestContext"]
    assert context["accountId"] == "123456789012"
    assert context["authorizer"] == {"iam": {"userArn": "arn"}}


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ("hello", b"hello"),
        ({"hello": "wörld"}, '{"hello":"wörld"}'.encode()),
        (["hello", 3, True], b'["hello",3,true]'),
        (3.1, b"3.1"),
        (None, b"null"),
    ],
)
def test_a_result_without_a_status_is_the_body_itself(value, body):
    answer = read_result(json.dumps(value).encode())
    assert (answer.status, answer.headers) == (200, [("Content-Type", "application/json")])
    assert answer.body == body


def test_a_result_with_a_status_is_taken_apart():
    result = {"statusCode": 201, "headers": {"X-A": 1, "Content-Length": "9"}, "cookies": ["a=1", "b=2"], "body": "é"}
    answer = read_result(json.dumps(result).encode())
    assert answer.status == 201
    assert answer.body == "é".encode()
    assert answer.headers == [
        ("X-A", "1"),
        ("Content-Type", "application/json"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]


def test_a_binary_answer_is_decoded():
    body = base64.b64encode(b"\x89PNG\x00").decode()
    result = {"statusCode": 200, "headers": {"content-type": "image/png"}, "body": body, "isBase64Encoded": True}
    answer = read_result(json.dumps(result).encode())
    assert answer.body == b"\x89PNG\x00"
    assert answer.headers == [("content-type", "image/png")]


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "ok"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": "b\r\nSet-Cookie: c=d"}},
        {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True},
    ],
)
def test_a_result_that_is_no_answer_is_refused(result):
    with pytest.raises(BadResult):
        read_result(json.dumps(result).encode())
