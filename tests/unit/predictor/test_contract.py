"""The rules of the contract that the tests of both sides do not cover."""

import json

import pytest
from classifier.contract import (
    ERRORS,
    ApiError,
    explain_in_custom_attributes,
    from_custom_attributes,
    parse_explain,
    read_answer,
    read_error,
    read_json_request,
    to_custom_attributes,
    top_k_for,
)


@pytest.mark.parametrize(("requested", "classes", "answered"), [(None, 20, 5), (None, 2, 2), (1, 2, 1), (2, 2, 2)])
def test_top_k_defaults_to_five_or_all_classes(requested, classes, answered):
    assert top_k_for(requested, classes) == answered


def test_more_predictions_than_classes_are_refused_with_their_number():
    with pytest.raises(ApiError, match="the model has 2 classes") as caught:
        top_k_for(3, 2)
    assert caught.value.status == 400


@pytest.mark.parametrize("header", ["top_k=3", "trace=a,top_k=3", "trace=a; top_k=3"])
def test_top_k_is_sent_as_a_custom_attribute(header):
    assert from_custom_attributes(header) == 3
    assert from_custom_attributes(to_custom_attributes(3)) == 3


def test_a_heat_map_is_asked_for_together_with_top_k():
    header = to_custom_attributes(3, explain=True)
    assert (from_custom_attributes(header), explain_in_custom_attributes(header)) == (3, True)
    assert explain_in_custom_attributes(to_custom_attributes(None, explain=True)) is True
    assert explain_in_custom_attributes("top_k=3") is False


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, False), (False, False), ("0", False), ("1", True), ("True", True), (True, True), (1, True)],
)
def test_explain_is_a_yes_or_a_no(value, wanted):
    assert parse_explain(value) is wanted


@pytest.mark.parametrize("value", ["yes please", 2, [], {"a": 1}, 0.5])
def test_another_explain_is_refused(value):
    with pytest.raises(ApiError, match="explain is neither") as caught:
        parse_explain(value)
    assert caught.value.status == 400


SURE = {"predictions": [{"label": "beagle", "probability": 1}], "model": {}}
HEAT = {"label": "beagle", "heat": [[0, 0.5], [1, 0.25]]}


@pytest.mark.parametrize(
    "more", [{}, {"known": False, "distance": 3.5}, {"known": True, "distance": 0, "explanation": HEAT}]
)
def test_what_a_model_can_say_besides_predictions_reaches_the_caller(more):
    assert read_answer(json.dumps(SURE | more | {"other": 1})) == SURE | more


@pytest.mark.parametrize(
    "more",
    [
        {"known": "yes"},
        {"distance": -1},
        {"distance": float("inf")},
        {"distance": float("nan")},
        {"explanation": {"label": "beagle", "heat": []}},
        {"explanation": {"label": "beagle", "heat": [[0.5], [0.5, 1]]}},
        {"explanation": {"label": "beagle", "heat": [[2]]}},
        {"explanation": {"heat": [[1]]}},
        {"explanation": [1]},
    ],
)
def test_an_answer_that_breaks_the_contract_is_the_models_failure(more):
    with pytest.raises(ApiError) as caught:
        read_answer(json.dumps(SURE | more))
    assert caught.value.code == "model_failed"


@pytest.mark.parametrize("header", [None, "", "trace=a", "xtop_k=3"])
def test_other_attributes_set_no_top_k(header):
    assert from_custom_attributes(header) is None


def test_a_custom_attribute_that_is_not_a_number_is_refused():
    with pytest.raises(ApiError, match="top_k"):
        from_custom_attributes("top_k=three")


def test_the_endpoint_accepts_no_urls():
    with pytest.raises(ApiError, match="exactly one") as caught:
        read_json_request('{"url": "https://example.com/"}', fields=("image",))
    assert caught.value.code == "invalid_request"


def test_an_error_has_a_request_id_only_if_there_is_one():
    error = ApiError("throttled", "Busy.")
    assert error.to_dict() == {"error": {"code": "throttled", "message": "Busy."}}
    assert error.to_dict("r-1")["error"]["request_id"] == "r-1"


@pytest.mark.parametrize("code", [code for code, status in ERRORS.items() if status < 500])
def test_every_mistake_of_a_caller_is_preserved_through_the_endpoint(code):
    sent = ApiError(code, "Words.")
    received = read_error(sent.status, json.dumps(sent.to_dict()))
    assert (received.code, received.status, received.message) == (code, sent.status, "Words.")
