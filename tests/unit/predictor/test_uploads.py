"""Uploads of photographs that are larger than a request may be: the address, its limits, and the answer afterwards."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from classifier.contract import MAX_IMAGE_BYTES, MAX_STORED_BYTES
from predictor import signature, uploads
from predictor.endpoint import Endpoint
from predictor.service import Predictor
from predictor.uploads import Uploads
from predictor.urls import Policy
from predictor_support import ANSWER, JPEG, Context, http_event

PLACE = "s3://photographs/uploads/"


@pytest.fixture
def uploading(fake_endpoint) -> Predictor:
    return Predictor(Endpoint("pawprint"), Policy(), "INFO", Uploads(PLACE))


def ask(predictor: Predictor, path: str, body: object, method: str = "POST") -> tuple[int, dict]:
    event = http_event(method, path=path, headers={"content-type": "application/json"}, body=json.dumps(body))
    response = predictor.answer(event, Context())
    return response["statusCode"], json.loads(response["body"])


def test_an_address_takes_one_object_of_the_stated_size_for_some_minutes(uploading):
    status, answer = ask(uploading, "/upload-url", {"bytes": 7_340_032})
    asked = parse_qs(urlsplit(answer["upload"]["url"]).query)
    assert (status, answer["upload"]["method"], answer["upload"]["headers"]) == (
        200,
        "PUT",
        {"Content-Length": "7340032"},
    )
    assert asked["X-Amz-SignedHeaders"] == ["content-length;host"]
    assert asked["X-Amz-Expires"] == [str(answer["expires_in"])]
    assert urlsplit(answer["upload"]["url"]).path == f"/{answer['image']['url'].removeprefix('s3://')}"
    assert answer["image"]["url"].startswith(PLACE)
    assert ask(uploading, "/upload-url", {"bytes": 1})[1]["image"] != answer["image"], "names are random"


def test_the_signature_of_an_address_is_that_of_botocore(monkeypatch):
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: now.replace(tzinfo=None))
    request = AWSRequest("PUT", "https://s3.eu-west-1.amazonaws.com/photographs/uploads/a", {"Content-Length": "12"})
    auth.S3SigV4QueryAuth(BotoCredentials("key", "secret", "a/token=="), "s3", "eu-west-1", expires=300).add_auth(
        request
    )
    theirs = parse_qs(urlsplit(request.url).query)
    headers = {"Host": "s3.eu-west-1.amazonaws.com", "Content-Length": "12"}
    credentials = signature.Credentials("key", "secret", "a/token==")
    path = "/photographs/uploads/a"
    mine = parse_qs(signature.presigned("PUT", path, headers, credentials, "eu-west-1", "s3", now, 300))
    if theirs["X-Amz-SignedHeaders"] == ["host"]:  # botocore leaves out the length, so it is compared without it
        headers.pop("Content-Length")
        mine = parse_qs(signature.presigned("PUT", path, headers, credentials, "eu-west-1", "s3", now, 300))
    assert mine == theirs


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"bytes": MAX_STORED_BYTES + 1}, "image_too_large"),
        *(({"bytes": wrong}, "invalid_request") for wrong in (0, True, "5", None, 1.5)),
        ({}, "invalid_request"),
        ([], "invalid_request"),
    ],
)
def test_a_size_that_is_not_one_has_no_address(uploading, body, code):
    assert ask(uploading, "/upload-url", body)[1]["error"]["code"] == code


def test_without_the_setting_there_is_no_such_path(predictor):
    assert ask(predictor, "/upload-url", {"bytes": 5})[0] == 404


def test_an_upload_may_be_larger_than_a_request(uploading, predictor, fake_endpoint):
    photo = JPEG.ljust(MAX_IMAGE_BYTES + 1, b"\0")
    answer = json.dumps(ANSWER).encode()
    stored, said = ({"content-type": "binary/octet-stream"}, photo), ({}, answer)
    fake_endpoint.reply = lambda received: (200, *(stored if "uploads" in received.path else said))
    image = ask(uploading, "/upload-url", {"bytes": len(photo)})[1]["image"]
    assert ask(uploading, "/", image)[0] == 200
    assert fake_endpoint.received[-1].body == photo
    assert ask(predictor, "/", image)[1]["error"]["code"] == "image_too_large"


@pytest.mark.parametrize("place", ["photographs/uploads/", "s3://photographs/uploads"])
def test_a_place_that_is_not_one_fails_the_start(place):
    with pytest.raises(ValueError, match="UPLOADS"):
        uploads.Uploads(place)
