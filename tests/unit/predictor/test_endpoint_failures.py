"""The answers to the caller for each kind of failure that SageMaker reports."""

import json
import threading

import pytest
from classifier.contract import ApiError
from predictor_support import ANSWER, JPEG, Context, image_event


def ask(predictor, context=None) -> tuple[int, str]:
    response = predictor.answer(image_event(JPEG), context or Context())
    return response["statusCode"], json.loads(response["body"]).get("error", {}).get("code", "")


@pytest.mark.parametrize(
    ("status", "code"),
    [(422, "undecodable_image"), (422, "too_many_pixels"), (400, "invalid_top_k"), (415, "unsupported_media_type")],
)
def test_a_mistake_that_the_model_reports_is_forwarded_unchanged(predictor, fake_endpoint, status, code):
    said = json.dumps({"error": {"code": code, "message": "The model's own words."}})
    fake_endpoint.fails(424, "ModelError", OriginalStatusCode=status, OriginalMessage=said)
    response = predictor.answer(image_event(JPEG), Context())
    assert response["statusCode"] == status
    assert json.loads(response["body"])["error"] == {
        "code": code,
        "message": "The model's own words.",
        "request_id": "4d7f-request",
    }


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "Traceback (most recent call last): ..."),
        (400, "not JSON"),
        (400, '{"error": "a string"}'),
        (400, '{"error": {"code": "no_such_code", "message": "x"}}'),
        (422, '{"error": {"code": "invalid_request", "message": "a code of another status"}}'),
        (502, '{"error": {"code": "model_failed", "message": "x"}}'),
        (404, ""),
        (503, ""),
        (503, "Service Unavailable"),  # Ray Serve has no replica
        (503, "Request dropped due to backpressure"),
        (503, '{"error": "Service unavailable"}'),  # AWS's adapter does not reach Ray
        (503, '{"code": 503, "type": "ServiceUnavailableException", "message": "Service unavailable"}'),
        (503, '{"error": {"code": "throttled", "message": "the contract\'s code for another status"}}'),
        (500, '{"error": {"code": "overloaded", "message": "a status of another code"}}'),
    ],
)
def test_any_other_failure_of_the_model_is_502_without_its_message(predictor, fake_endpoint, status, said):
    fake_endpoint.fails(424, "ModelError", OriginalStatusCode=status, OriginalMessage=said)
    response = predictor.answer(image_event(JPEG), Context())
    assert response["statusCode"] == 502
    error = json.loads(response["body"])["error"]
    assert (error["code"], error["message"]) == ("model_failed", "The model failed on this request.")
    assert "retry-after" not in response["headers"]


def test_an_endpoint_whose_line_is_full_is_429_with_retry_after(predictor, fake_endpoint):
    said = json.dumps(ApiError("overloaded", "The line is full.").to_dict())
    fake_endpoint.fails(424, "ModelError", OriginalStatusCode=503, OriginalMessage=said)
    response = predictor.answer(image_event(JPEG), Context())
    assert response["statusCode"] == 429
    assert int(response["headers"]["retry-after"]) > 0
    assert json.loads(response["body"])["error"]["code"] == "throttled"


def test_a_model_that_never_answered_is_504(predictor, fake_endpoint):
    fake_endpoint.fails(424, "ModelError", OriginalStatusCode=0, OriginalMessage="Your invocation timed out ...")
    assert ask(predictor) == (504, "endpoint_timeout")


def test_a_model_that_ended_in_the_middle_of_a_request_is_502(predictor, fake_endpoint):
    fake_endpoint.fails(424, "ModelError", OriginalStatusCode=0, OriginalMessage="The container closed the connection.")
    assert ask(predictor) == (502, "model_failed")


@pytest.mark.parametrize(
    ("status", "error", "fields", "attempts"),
    [
        (424, "ModelError", {"OriginalStatusCode": 0, "OriginalMessage": "The container closed the connection."}, 2),
        (500, "InternalFailure", {}, 2),
        (424, "ModelError", {"OriginalStatusCode": 0, "OriginalMessage": "Your invocation timed out ..."}, 1),
        (424, "ModelError", {"OriginalStatusCode": 500, "OriginalMessage": "Traceback ..."}, 1),
        (400, "ThrottlingException", {}, 1),
        (503, "ServiceUnavailable", {}, 1),
    ],
)
def test_only_a_lost_instance_is_asked_again_and_once(predictor, fake_endpoint, status, error, fields, attempts):
    fake_endpoint.fails(status, error, **fields)
    failed = ask(predictor)
    assert failed[0] >= 429
    assert len(fake_endpoint.received) == attempts


def test_the_second_instance_answers_for_one_that_was_lost(predictor, fake_endpoint):
    works, replies = fake_endpoint.reply, []
    fake_endpoint.fails(424, "ModelError", OriginalStatusCode=0, OriginalMessage="The container closed the connection.")
    lost = fake_endpoint.reply

    def reply(received):
        replies.append(received)
        return lost(received) if len(replies) == 1 else works(received)

    fake_endpoint.reply = reply
    assert ask(predictor) == (200, "")
    assert replies[0].body == replies[1].body == JPEG


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, "ThrottlingException"), (429, "ModelNotReadyException"), (429, "SomethingNew")],
)
def test_a_busy_endpoint_is_429_with_retry_after(predictor, fake_endpoint, status, error):
    fake_endpoint.fails(status, error)
    response = predictor.answer(image_event(JPEG), Context())
    assert response["statusCode"] == 429
    assert int(response["headers"]["retry-after"]) > 0
    assert json.loads(response["body"])["error"]["code"] == "throttled"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "ValidationError"),
        (403, "AccessDeniedException"),
        (403, "ExpiredTokenException"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
        (530, "InternalDependencyException"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_502(predictor, fake_endpoint, status, error):
    fake_endpoint.fails(status, error)
    assert ask(predictor) == (502, "endpoint_unavailable")


def test_a_missing_endpoint_is_reported_without_the_account(predictor, fake_endpoint):
    fake_endpoint.fails(400, "ValidationError", message="Endpoint pawprint of account 123456789012 not found.")
    body = predictor.answer(image_event(JPEG), Context())["body"]
    assert "The model is asleep, or is being started. Try again later." in body
    assert "123456789012" not in body


def test_a_failed_request_is_not_retried(predictor, fake_endpoint):
    fake_endpoint.fails(503, "ServiceUnavailable")
    ask(predictor)
    assert len(fake_endpoint.received) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"predictions": [], "model": {}}',
        b'{"predictions": [{"label": "a"}], "model": {}}',
        b'{"predictions": [{"label": 1, "probability": 1}], "model": {}}',
        b'{"predictions": [{"label": "a", "probability": NaN}], "model": {}}',
        b'{"predictions": [{"label": "a", "probability": 1.5}], "model": {}}',
        b'{"predictions": ["a"], "model": {}}',
        b'{"predictions": [{"label": "a", "probability": 1}]}',
    ],
)
def test_an_answer_that_is_not_a_prediction_is_502(predictor, fake_endpoint, body):
    fake_endpoint.reply = lambda _: (200, {}, body)
    assert ask(predictor) == (502, "model_failed")


def test_predictions_are_sorted_by_probability(predictor, fake_endpoint):
    backwards = {**ANSWER, "predictions": ANSWER["predictions"][::-1]}
    fake_endpoint.reply = lambda _: (200, {}, json.dumps(backwards).encode())
    body = json.loads(predictor.answer(image_event(JPEG), Context())["body"])
    assert body["predictions"] == ANSWER["predictions"]


def test_an_endpoint_slower_than_the_functions_time_limit_is_504_in_time(predictor, fake_endpoint):
    release = threading.Event()

    def never(_):
        release.wait()
        return 200, {}, b"{}"

    fake_endpoint.reply = never
    try:
        assert ask(predictor, Context(remaining_ms=2500)) == (504, "endpoint_timeout")
    finally:
        release.set()


def test_a_kept_connection_that_was_closed_is_replaced(predictor, fake_endpoint):
    assert ask(predictor) == (200, "")
    answered = []

    def dies_once(_):
        if not answered:
            answered.append("closed without an answer")
            raise ConnectionAbortedError
        return 200, {}, json.dumps(ANSWER).encode()

    fake_endpoint.reply = dies_once
    assert ask(predictor) == (200, "")
    assert answered


def test_no_connection_at_all_is_502(predictor, fake_endpoint):
    fake_endpoint.server.close()
    assert ask(predictor) == (502, "endpoint_unavailable")
