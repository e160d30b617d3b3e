"""Presigned addresses of S3, with botocore's signer as the oracle: they count for one request and for a while."""

import http.client
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localaws.services.iam import presigned
from localaws.services.iam.sigv4 import Caller

CALLER = Caller("AKIATEST", "a secret", "arn:aws:iam::123456789012:user/u", "AIDA")
HOST = "127.0.0.1:4566"


def address(
    method: str = "PUT",
    path: str = "/bucket/a%20key/%C3%A9",
    expires: int = 300,
    caller: Caller = CALLER,
    **headers: str,
) -> dict[str, str]:
    """The request by an address that botocore signs, as the server gets it. `headers` are signed."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, f"http://{HOST}{path}", {"Host": HOST, **sent})
    keys = Credentials(caller.access_key, caller.secret_key, caller.token)
    S3SigV4QueryAuth(keys, "s3", "us-east-1", expires).add_auth(request)
    parts = urlsplit(request.url)
    given = {"REQUEST_METHOD": method, "RAW_URI": f"{parts.path}?{parts.query}", "QUERY_STRING": parts.query}
    names = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}
    also = {names.get(name, f"HTTP_{name.upper().replace('-', '_')}"): value for name, value in sent.items()}
    return given | {"PATH_INFO": parts.path, "HTTP_HOST": HOST} | also


def said(environ: dict[str, str], now: datetime | None = None) -> str:
    refused = presigned.refusal(environ, CALLER, now)
    return "" if refused is None else f"{refused[0]} {refused[2].decode()}"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"method": "GET", "path": "/bucket/key?versionId=a%2Fb"},
        {"content_length": "7340032"},
        {"x_amz_acl": "private", "content_type": "image/jpeg"},
    ],
)
def test_an_address_that_holds_is_let_in(asked):
    assert said(address(**asked)) == ""


def test_a_request_that_is_signed_in_its_header_is_let_in():
    assert said({"QUERY_STRING": "list-type=2"}) == ""


@pytest.mark.parametrize(
    "change",
    [
        {"REQUEST_METHOD": "DELETE"},
        {"CONTENT_LENGTH": "7340033"},
        {"RAW_URI": "/bucket/another"},
        {"HTTP_HOST": "localhost:4566"},
        {"CONTENT_LENGTH": ""},
    ],
)
def test_an_address_counts_for_its_request_only(change):
    assert said({**address(content_length="7340032"), **change}).startswith("403 ")
    assert "SignatureDoesNotMatch" in said({**address(content_length="7340032"), **change})


def test_another_parameter_and_a_header_that_is_not_signed_are_refused():
    environ = address()
    assert "SignatureDoesNotMatch" in said({**environ, "QUERY_STRING": environ["QUERY_STRING"] + "&acl"})
    assert "headers present in the request which were not signed" in said({**environ, "HTTP_X_AMZ_ACL": "public-read"})


@pytest.mark.parametrize(
    ("expires", "later", "words"),
    [
        (300, 301, "403 .*Request has expired"),
        (300, -301, "403 .*not valid yet"),
        (604_801, 0, "400 .*AuthorizationQueryParametersError.*less than a week"),
        (-1, 0, "400 .*must be non-negative"),
        ("soon", 0, "400 .*should be a number"),
        ("9" * 400, 0, "400 .*should be a number"),
    ],
)
def test_an_address_counts_for_its_time(expires, later, words):
    now = datetime.now(UTC) + timedelta(seconds=later)
    assert re.match(words, said(address(expires=expires), now).replace("\n", " "))


@pytest.mark.parametrize(
    "query",
    ["X-Amz-Signature=a", "X-Amz-Signature=a&X-Amz-Algorithm=none&X-Amz-Credential=a/20261130/x/s3/aws4_request"],
)
def test_what_is_not_an_address_is_refused_in_words(query):
    assert said({**address(), "QUERY_STRING": query}).startswith("400 ")


@pytest.mark.parametrize(("expires", "refused"), [("1", True), ("99999999999", False), ("", True), ("x", True)])
def test_an_address_of_the_older_kind_has_its_time_too(expires, refused):
    query = f"AWSAccessKeyId=AKIATEST&Signature=a&Expires={expires}"
    assert bool(said({**address(), "QUERY_STRING": query})) is refused


def test_an_upload_of_another_size_is_refused_by_the_server(localaws):
    s3 = localaws.client("s3")
    s3.create_bucket(Bucket="presigned-uploads")
    path = "/presigned-uploads/new"
    host = f"127.0.0.1:{localaws.port}"
    request = AWSRequest("PUT", f"http://{host}{path}", {"Host": host, "Content-Length": "3"})
    S3SigV4QueryAuth(Credentials("test", "test"), "s3", "us-east-1", 300).add_auth(request)
    statuses = []
    for content in (b"four", b"abc"):
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("PUT", request.url.partition(host)[2], content)
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [403, 200]
    assert s3.get_object(Bucket="presigned-uploads", Key="new")["Body"].read() == b"abc"
