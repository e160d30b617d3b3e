"""Bodies that are made to break their reader: each is refused in the words of the service, and takes bounded memory."""

import gzip
import io
import tracemalloc

import pytest

from localaws import refusals, requests
from localaws.services.cloudwatch import dashboards
from localaws.services.iam.policies import PolicyDocument, PolicyError
from localaws.services.lambda_ import invoke
from localaws.services.lambda_.http_event import BadResult, read_result

NESTED = b'{"logGroupName": ' + b"[" * 200_000


def asked(body: bytes, **headers: str) -> dict:
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "HTTP_X_AMZ_TARGET": "Logs_20140328.CreateLogGroup",
        **named,
    }


def test_json_that_is_nested_without_end_is_refused():
    status, _, body = refusals.refusal("logs", asked(NESTED)) or (0, {}, b"")
    assert status == 400
    assert b"SerializationException" in body


def test_json_inside_of_a_member_that_is_nested_without_end_is_refused():
    nested = "[" * 200_000
    assert (invoke._refusal(nested.encode(), 6 << 20) or (0,))[0] == 400
    assert dashboards.faults(nested)[0]["message"] == "The dashboard body is not valid JSON"
    with pytest.raises(BadResult):
        read_result(nested.encode())
    with pytest.raises(PolicyError):
        PolicyDocument.parse(nested)


@pytest.mark.parametrize(
    "body",
    [
        b"\x9f" * 50_000,  # lists in lists
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",  # a map of 2^64 entries
        b"\x7b\xff\xff\xff\xff\xff\xff\xff\xffa",  # a text of 2^64 bytes
        b"\xa1\x80\x01",  # a key that is a list
        b"\xa1\x61a\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",  # a time without end
        b"\xa1\x61a",
        b"\xff",
    ],
)
def test_broken_cbor_is_refused(body):
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    environ = {**asked(body, smithy_protocol="rpc-v2-cbor"), "PATH_INFO": path}
    status, headers, _ = refusals.refusal("cloudwatch", environ) or (0, {}, b"")
    assert (status, headers["Content-Type"]) == (400, "application/cbor")


def test_a_body_that_unpacks_without_end_is_refused_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(requests, "MOST_UNPACKED", 1 << 20)
    bomb = gzip.compress(b"a" * (64 << 20), compresslevel=1)
    tracemalloc.start()
    status, _, body = refusals.refusal("logs", asked(bomb, content_encoding="gzip")) or (0, {}, b"")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (status, b"without its compression" in body) == (400, True)
    assert peak < 16 << 20
