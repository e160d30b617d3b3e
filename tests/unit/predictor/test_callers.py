"""The API key of a public address, and the limit of each caller."""

import hashlib
import json

import pytest
from classifier.contract import ApiError
from predictor import callers
from predictor.endpoint import Endpoint
from predictor.service import Predictor
from predictor.urls import Policy
from predictor_support import JPEG, Context, http_event, image_event

KEY = "a-long-random-key"
HASH = hashlib.sha256(KEY.encode()).hexdigest()


@pytest.fixture
def guarded(fake_endpoint) -> Predictor:
    return Predictor(Endpoint("pawprint"), Policy(), "INFO", key=callers.KeyCheck(HASH))


def ask(predictor: Predictor, key: str | None = None) -> tuple[int, dict]:
    event = image_event(JPEG)
    event["headers"] |= {} if key is None else {"X-Api-Key": key}
    response = predictor.answer(event, Context())
    return response["statusCode"], json.loads(response["body"])


def test_only_the_key_is_answered_and_others_do_not_reach_the_endpoint(guarded, fake_endpoint, capsys):
    for wrong in (None, "", "wrong", HASH, KEY + "x", "\u00e9"):
        status, answer = ask(guarded, wrong)
        assert (status, answer["error"]["code"]) == (401, "unauthorized")
    assert not fake_endpoint.received
    assert ask(guarded, KEY)[0] == 200
    assert KEY not in capsys.readouterr().out, "the log does not have the key"


def test_the_page_needs_no_key(guarded):
    assert guarded.answer(http_event("GET"), Context())["statusCode"] == 200


def test_a_caller_has_its_requests_a_minute_and_another_caller_its_own():
    now = [0.0]
    limit = callers.CallerLimit(2, lambda: now[0])
    for _ in range(2):
        limit.require("one")
    with pytest.raises(ApiError) as refused:
        limit.require("one")
    assert (refused.value.status, refused.value.retry_after) == (429, 30)
    limit.require("another")
    now[0] = 30
    limit.require("one")
    with pytest.raises(ApiError):
        limit.require("one")


def test_the_limit_remembers_a_bounded_number_of_callers(monkeypatch):
    monkeypatch.setattr(callers, "MOST_CALLERS", 2)
    limit = callers.CallerLimit(1, lambda: 0.0)
    for caller in ("one", "two", "three"):
        limit.require(caller)
    limit.require("one")  # forgotten
    with pytest.raises(ApiError):
        limit.require("three")


def test_a_caller_over_the_limit_is_told_when_to_come_back(fake_endpoint):
    limited = Predictor(Endpoint("pawprint"), Policy(), "INFO", limit=callers.CallerLimit(1, lambda: 0.0))
    assert ask(limited)[0] == 200
    response = limited.answer(image_event(JPEG), Context())
    assert (response["statusCode"], response["headers"]["retry-after"]) == (429, "60")
