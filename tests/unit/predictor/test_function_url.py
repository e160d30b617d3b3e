"""The answers of the function URL, and every status of the contract."""

import base64
import json

import pytest
from classifier.contract import ERRORS, MAX_IMAGE_BYTES
from predictor_support import ANSWER, JPEG, PNG, WEBP, Context, http_event, image_event, json_event


def ask(predictor, event, context=None) -> tuple[int, dict]:
    response = predictor.answer(event, context or Context())
    assert response["headers"]["content-type"] == "application/json"
    assert response["isBase64Encoded"] is False
    return response["statusCode"], json.loads(response["body"])


def refused(predictor, event, context=None) -> tuple[int, str]:
    """The status and code of a failure, after a check of its shape."""
    status, answer = ask(predictor, event, context)
    assert set(answer) == {"error"}
    error = answer["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["request_id"] == "4d7f-request"
    assert ERRORS[error["code"]] == status
    assert error["message"].endswith(".")
    return status, error["code"]


def test_an_image_is_answered_with_predictions_model_and_request_id(predictor, fake_endpoint):
    status, answer = ask(predictor, image_event(JPEG))
    assert status == 200
    assert answer == {**ANSWER, "request_id": "4d7f-request"}
    [received] = fake_endpoint.received
    assert received.path == "/endpoints/pawprint/invocations"
    assert received.body == JPEG
    assert received.headers["content-type"] == "image/jpeg"
    assert received.headers["x-amzn-sagemaker-custom-attributes"] == "request_id=4d7f-request"


@pytest.mark.parametrize(
    ("data", "declared", "actual"),
    [
        (PNG, "image/png", "image/png"),
        (WEBP, "image/webp", "image/webp"),
        (PNG, "image/jpeg", "image/png"),
        (JPEG, "IMAGE/JPEG; q=1", "image/jpeg"),
        (JPEG, "application/x-image", "image/jpeg"),
        (JPEG, "application/octet-stream", "image/jpeg"),
    ],
)
def test_the_endpoint_gets_the_type_of_the_bytes(predictor, fake_endpoint, data, declared, actual):
    assert ask(predictor, image_event(data, declared))[0] == 200
    assert fake_endpoint.received[0].headers["content-type"] == actual


def test_header_names_are_accepted_in_any_case(predictor):
    body = json.dumps({"image": base64.b64encode(PNG).decode()})
    assert ask(predictor, http_event(headers={"Content-Type": "application/json"}, body=body))[0] == 200


def test_bytes_that_a_host_forwarded_as_text_arrive_unchanged(predictor, fake_endpoint):
    event = http_event(headers={"content-type": "image/jpeg"}, body=JPEG.decode("utf-8", "surrogateescape"))
    assert ask(predictor, event)[0] == 200
    assert fake_endpoint.received[0].body == JPEG


def test_json_is_accepted_as_text_and_as_base64(predictor, fake_endpoint):
    body = json.dumps({"image": base64.b64encode(PNG).decode()})
    headers = {"content-type": "application/json; charset=utf-8"}
    assert ask(predictor, http_event(headers=headers, body=body))[0] == 200
    assert ask(predictor, http_event(headers=headers, body=body.encode(), encoded=True))[0] == 200
    assert [received.body for received in fake_endpoint.received] == [PNG, PNG]


@pytest.mark.parametrize(
    "event",
    [
        image_event(JPEG, query={"top_k": "3"}),
        json_event({"image": base64.b64encode(JPEG).decode(), "top_k": 3}),
        json_event({"image": base64.b64encode(JPEG).decode()}, query={"top_k": "3"}),
    ],
)
def test_top_k_reaches_the_endpoint(predictor, fake_endpoint, event):
    assert ask(predictor, event)[0] == 200
    assert fake_endpoint.received[0].headers["x-amzn-sagemaker-custom-attributes"].endswith(",top_k=3")


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "many", "3,4", "", "9" * 30, "٣"])
def test_a_top_k_that_is_not_a_whole_number_is_400(predictor, value):
    assert refused(predictor, image_event(JPEG, query={"top_k": value})) == (400, "invalid_top_k")


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "x", [], 10**20])
def test_a_top_k_in_json_that_is_not_a_whole_number_is_400(predictor, value):
    event = json_event({"image": base64.b64encode(JPEG).decode(), "top_k": value})
    assert refused(predictor, event) == (400, "invalid_top_k")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"image": 7}',
        '{"url": {}}',
        '{"url": "https://a.example", "image": "aaaa"}',
        '{"image": "?"}',
        '{"image": ""}',
        '{"image": "data:image/png,iVBO"}',
        "[" * 100_000,
        "9" * 5000,
    ],
)
def test_json_that_is_not_a_request_is_400(predictor, body):
    assert refused(predictor, json_event(body)) == (400, "invalid_request")


def test_a_post_without_a_body_is_400(predictor):
    assert refused(predictor, http_event(headers={"content-type": "image/jpeg"})) == (400, "invalid_request")


@pytest.mark.parametrize("body", ["/9j/4", "!/9j/4AAA!", "é"])
def test_a_body_that_is_not_the_declared_base64_is_400(predictor, body):
    assert refused(predictor, {**image_event(JPEG), "body": body}) == (400, "invalid_request")


@pytest.mark.parametrize(
    "event",
    [
        image_event(JPEG + bytes(MAX_IMAGE_BYTES)),
        json_event({"image": base64.b64encode(JPEG + bytes(MAX_IMAGE_BYTES)).decode()}),
    ],
    ids=["body", "base64"],
)
def test_an_image_over_the_limit_is_413_and_does_not_reach_the_endpoint(predictor, fake_endpoint, event):
    assert refused(predictor, event) == (413, "image_too_large")
    assert fake_endpoint.received == []


def test_an_image_at_the_limit_is_accepted(predictor):
    assert ask(predictor, image_event(JPEG.ljust(MAX_IMAGE_BYTES, b"\0")))[0] == 200


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (b"GIF89a" + bytes(20), "image/gif"),
        (JPEG, "image/gif"),
        (JPEG, "text/plain"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    ],
)
def test_an_unsupported_declared_type_is_415_and_does_not_reach_the_endpoint(predictor, fake_endpoint, data, declared):
    assert refused(predictor, image_event(data, declared)) == (415, "unsupported_media_type")
    assert fake_endpoint.received == []


@pytest.mark.parametrize("declared", ["image/jpeg", "application/octet-stream", ""])
@pytest.mark.parametrize("data", [b"GIF89a" + bytes(20), b"plain text"])
def test_bytes_that_are_not_an_accepted_image_are_422_and_do_not_reach_the_endpoint(
    predictor, fake_endpoint, data, declared
):
    assert refused(predictor, image_event(data, declared)) == (422, "undecodable_image")
    assert fake_endpoint.received == []


def test_the_refusal_of_a_type_names_it_and_the_accepted_ones(predictor):
    _, answer = ask(predictor, image_event(JPEG, "image/tiff"))
    assert answer["error"]["message"].startswith("image/tiff is not accepted; send image/jpeg, image/png or image/webp")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", ""])
def test_other_methods_are_405_with_the_allowed_ones(predictor, method):
    event = http_event(method)
    assert refused(predictor, event) == (405, "method_not_allowed")
    assert predictor.answer(event, Context())["headers"]["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/", "/favicon.ico"])
def test_head_is_answered_like_get(predictor, path):
    assert predictor.answer(http_event("HEAD", path), Context()) == predictor.answer(http_event("GET", path), Context())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_other_paths_are_404(predictor, method):
    assert refused(predictor, http_event(method, "/predict")) == (404, "not_found")


def test_an_empty_path_is_the_root(predictor):
    assert predictor.answer(http_event("GET", ""), Context())["statusCode"] == 200


def test_a_browsers_request_for_an_icon_is_not_an_error(predictor):
    assert predictor.answer(http_event("GET", "/favicon.ico"), Context())["statusCode"] == 204


def test_a_bug_is_500_with_its_traceback_only_in_the_log(predictor, monkeypatch, capsys):
    def broken(*_, **options):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(predictor._model, "predict", broken)
    response = predictor.answer(image_event(JPEG), Context())
    assert response["statusCode"] == 500
    assert json.loads(response["body"])["error"]["code"] == "internal_error"
    assert "secret" not in response["body"]
    line = json.loads(capsys.readouterr().out)
    assert "ZeroDivisionError: secret detail" in line["traceback"]
    assert line["level"] == "ERROR"
