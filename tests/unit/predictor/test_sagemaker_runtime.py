"""The function's own client: its signature against botocore's, its address and credentials, its connections."""

import json
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st
from predictor.sagemaker_runtime import RuntimeClient, ServiceError
from predictor.signature import Credentials, signed
from predictor_support import ANSWER, respond

ENVIRONMENT = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s/+cret"}
NOW = datetime(2026, 11, 22, 20, 0, 0, tzinfo=UTC)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


def by_botocore(path: str, headers: dict[str, str], body: bytes, token: str | None) -> dict[str, str]:
    request = AWSRequest("POST", f"https://{headers['Host']}{path}", dict(headers), body)
    signer = SigV4Auth(BotocoreCredentials("AKIDEXAMPLE", "s/+cret", token), "sagemaker", "eu-west-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None))
        signer.add_auth(request)
    return dict(request.headers)


@given(st.binary(max_size=100), VALUE, VALUE, st.sampled_from([None, "the/token=="]))
def test_the_signature_is_that_of_botocore(body, content_type, attributes, token):
    headers = {"Host": "runtime.sagemaker.eu-west-1.amazonaws.com", "Accept": "application/json"}
    headers |= {"Content-Type": content_type, "X-Amzn-SageMaker-Custom-Attributes": attributes}
    path = "/endpoints/pawprint-1/invocations"
    credentials = Credentials("AKIDEXAMPLE", "s/+cret", token)
    ours = signed("POST", path, headers, body, credentials, "eu-west-1", "sagemaker", NOW)
    assert ours == by_botocore(path, headers, body, token)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "runtime.sagemaker.eu-west-1.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1"}, "runtime.sagemaker.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL": "https://vpce.example:8443"}, "vpce.example:8443"),
        ({"AWS_ENDPOINT_URL": "https://a", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "https://b"}, "b"),
    ],
)
def test_the_address_is_that_of_the_region_or_the_configured_one(variables, address):
    client = RuntimeClient(ENVIRONMENT | variables)
    assert client._netloc == address
    assert client._tls is not None
    assert client._tls.check_hostname


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_missing_variable_is_named_at_the_start(name):
    with pytest.raises(ValueError, match=name):
        RuntimeClient(ENVIRONMENT | {name: ""})


@pytest.mark.parametrize("address", ["ftp://x", "nonsense", "http://"])
def test_a_wrong_address_is_named(address):
    with pytest.raises(ValueError, match="AWS_ENDPOINT_URL"):
        RuntimeClient(ENVIRONMENT | {"AWS_ENDPOINT_URL": address})


def test_a_connection_serves_many_requests_and_failures_do_not_end_it(serve):
    peers, statuses = set(), iter([200, 424, 200])

    def answer(handler) -> None:
        handler.rfile.read(int(handler.headers["content-length"]))
        peers.add(handler.client_address)
        status = next(statuses)
        headers = {} if status == 200 else {"x-amzn-errortype": "ModelError:http://internal.amazon.com/coral/"}
        said = ANSWER if status == 200 else {"OriginalStatusCode": 500, "OriginalMessage": "x", "Message": "y"}
        respond(handler, status, headers, json.dumps(said).encode())

    client = RuntimeClient(ENVIRONMENT | {"AWS_ENDPOINT_URL": serve(answer).url})
    client.invoke("e", b"1", {}, 10)
    with pytest.raises(ServiceError) as caught:
        client.invoke("e", b"2", {}, 10)
    assert (caught.value.code, caught.value.original_status, caught.value.message) == ("ModelError", 500, "y")
    client.invoke("e", b"3", {}, 10)
    assert len(peers) == 1


def test_an_endpoint_name_cannot_change_the_address(serve):
    paths = []

    def answer(handler) -> None:
        handler.rfile.read(int(handler.headers["content-length"]))
        paths.append(handler.path)
        respond(handler, 200, {}, b"{}")

    RuntimeClient(ENVIRONMENT | {"AWS_ENDPOINT_URL": serve(answer).url}).invoke("../a b", b"", {}, 10)
    assert paths == ["/endpoints/..%2Fa%20b/invocations"]
