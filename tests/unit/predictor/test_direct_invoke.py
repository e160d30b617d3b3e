"""Direct invokes of the function, with `{"url": ...}` or `{"image": base64}` and answers without HTTP."""

import base64
import ipaddress

import pytest
from predictor.urls import Policy
from predictor_support import ANSWER, JPEG, Context, respond

LOOPBACK = Policy(allow_http=True, allow_networks=(ipaddress.ip_network("127.0.0.0/8"),))


def test_an_image_is_answered_with_predictions(predictor, fake_endpoint):
    answer = predictor.answer({"image": base64.b64encode(JPEG).decode(), "top_k": 2}, Context())
    assert answer == {**ANSWER, "request_id": "4d7f-request"}
    assert fake_endpoint.received[0].body == JPEG
    assert fake_endpoint.received[0].headers["x-amzn-sagemaker-custom-attributes"].endswith(",top_k=2")


def test_a_url_is_downloaded_and_answered_with_predictions(make_predictor, serve):
    server = serve(lambda handler: respond(handler, 200, {"content-type": "image/jpeg"}, JPEG))
    answer = make_predictor(LOOPBACK).answer({"url": f"{server.url}/dog.jpg"}, Context())
    assert answer["predictions"] == ANSWER["predictions"]


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        (None, 400, "invalid_request"),
        ({"url": "https://a.example/", "image": "aaaa"}, 400, "invalid_request"),
        ({"image": base64.b64encode(b"text").decode()}, 422, "undecodable_image"),
        ({"url": "http://8.8.8.8/"}, 422, "url_not_allowed"),
        ({"url": "https://169.254.169.254/latest/meta-data/"}, 422, "url_not_allowed"),
        ({"url": "https://no-such-host.invalid/"}, 422, "url_unreachable"),
    ],
)
def test_a_failure_is_returned_with_its_status_and_not_raised(predictor, event, status, code):
    answer = predictor.answer(event, Context())
    assert set(answer) == {"statusCode", "error"}
    assert answer["statusCode"] == status
    assert answer["error"]["code"] == code
    assert answer["error"]["request_id"] == "4d7f-request"
