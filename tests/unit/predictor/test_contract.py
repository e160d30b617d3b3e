"""The rules of the contract that the tests of both sides do not cover."""

import json

import pytest
from classifier.contract import (
    ERRORS,
    ApiError,
    from_custom_attributes,
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
