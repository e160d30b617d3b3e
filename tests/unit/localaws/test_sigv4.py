"""The signature check, against botocore's signer as the oracle."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from localaws.services.iam.sigv4 import Caller, SignatureError, SignedRequest, verify

CALLER = Caller("AKIATEST", "a secret", "arn:aws:iam::123456789012:user/u", "AIDA")
SESSION = Caller("ASIATEST", "another", "arn:aws:sts::123456789012:assumed-role/r/s", "AROA:s", token="the token")
CALLERS = {caller.access_key: caller for caller in (CALLER, SESSION)}
HOST = "abc.lambda-url.us-east-1.localhost:4566"


def signed(
    method: str = "POST",
    path: str = "/",
    query: str = "",
    body: bytes = b"\xff\xd8 image",
    caller: Caller = CALLER,
    region: str = "us-east-1",
    service: str = "lambda",
    token: str | None = None,
    **headers: str,
) -> SignedRequest:
    """A request as botocore signs and an HTTP client sends it."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, url, {"Host": HOST, "Content-Type": "image/jpeg", **names}, body)
    SigV4Auth(Credentials(caller.access_key, caller.secret_key, token), service, region).add_auth(request)
    return SignedRequest(method, path, query, {name.lower(): value for name, value in request.headers.items()}, body)


def check(request: SignedRequest, **arguments) -> Caller | None:
    return verify(request, "us-east-1", "lambda", find=CALLERS.get, **arguments)


def changed(request: SignedRequest, **changes) -> SignedRequest:
    return SignedRequest(**{**vars(request), **changes})


def test_a_signed_request_names_its_caller():
    assert check(signed()) == CALLER


def test_a_request_without_a_signature_has_no_caller():
    assert check(changed(signed(), headers={"host": HOST})) is None


@pytest.mark.parametrize(
    ("path", "query"),
    [("/a%20b/c", ""), ("/x:y/%C3%A9", ""), ("/", "b=2&a=1"), ("/", "a=%20x&a=%2F&empty"), ("/~u/-._", "q=~")],
)
def test_paths_and_queries_are_signed_as_they_were_sent(path, query):
    assert check(signed(path=path, query=query)) == CALLER


SEGMENT = st.text(st.sampled_from("abcXYZ019-_.~%2:@+ é"), min_size=1, max_size=12)


@given(
    st.lists(SEGMENT.filter(lambda text: text.strip(".")), max_size=3), st.dictionaries(SEGMENT, SEGMENT, max_size=3)
)
def test_any_path_and_query_is_canonical_as_botocore_has_it(segments, parameters):
    from urllib.parse import quote

    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items())
    assert check(signed(path=path, query=query)) == CALLER


@pytest.mark.parametrize(
    "changes",
    [{"method": "PUT"}, {"path": "/other"}, {"query": "a=1"}, {"body": b"\xff\xd8 other image"}],
)
def test_a_request_changed_on_its_way_is_refused(changes):
    with pytest.raises(SignatureError, match="does not match"):
        check(changed(signed(), **changes))


def test_a_signed_header_changed_on_its_way_is_refused():
    request = signed()
    with pytest.raises(SignatureError, match="does not match"):
        check(changed(request, headers={**request.headers, "host": "elsewhere"}))


def test_a_declared_hash_must_be_the_body_s_own():
    request = signed(x_amz_content_sha256="UNSIGNED-PAYLOAD")
    with pytest.raises(SignatureError, match="does not match"):
        check(request)


def test_a_header_of_amazon_s_that_was_not_signed_is_refused():
    request = signed()
    with pytest.raises(SignatureError, match="x-amz-meta"):
        check(changed(request, headers={**request.headers, "x-amz-meta": "smuggled"}))


def test_a_wrong_secret_is_refused():
    wrong = Caller(CALLER.access_key, "wrong", "", "")
    with pytest.raises(SignatureError, match="does not match"):
        check(signed(caller=wrong))


def test_an_unknown_key_is_refused():
    with pytest.raises(SignatureError, match="security token"):
        check(signed(caller=Caller("AKIANOBODY", "x", "", "")))


def test_temporary_keys_need_their_token():
    assert check(signed(caller=SESSION, token="the token")) == SESSION
    with pytest.raises(SignatureError, match="security token"):
        check(signed(caller=SESSION, token="another"))
    with pytest.raises(SignatureError, match="security token"):
        check(signed(caller=SESSION))


@pytest.mark.parametrize(("scope", "word"), [({"region": "eu-west-1"}, "region"), ({"service": "s3"}, "service")])
def test_a_signature_for_elsewhere_is_refused(scope, word):
    with pytest.raises(SignatureError, match=word):
        check(signed(**scope))


@pytest.mark.parametrize(("minutes", "word"), [(6, "expired"), (-6, "not yet")])
def test_a_signature_holds_for_five_minutes(minutes, word):
    now = datetime.now(UTC)
    assert check(signed(), now=now + timedelta(minutes=4 if minutes > 0 else -4)) == CALLER
    with pytest.raises(SignatureError, match=word):
        check(signed(), now=now + timedelta(minutes=minutes))


@pytest.mark.parametrize("authorization", ["Bearer x", "AWS4-HMAC-SHA256 Credential=a", ""])
def test_what_is_no_signature_is_refused(authorization):
    request = signed()
    with pytest.raises(SignatureError, match="well-formed"):
        check(changed(request, headers={**request.headers, "authorization": authorization}))
