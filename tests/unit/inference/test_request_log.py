"""A request of the function is one line in the endpoint's log, under the function's identifier."""

import json

import pytest
from classifier.contract import to_custom_attributes
from request_log import request_line

ID = "4f0c1d2e-0000-4000-8000-0123456789ab"


def test_the_line_has_the_identifier_the_status_and_the_time():
    attributes = to_custom_attributes(3, ID)
    line = request_line(attributes, 422, "undecodable_image", 0.01234)
    assert line is not None
    assert json.loads(line) == {"request_id": ID, "status": 422, "ms": 12.3, "code": "undecodable_image"}


@pytest.mark.parametrize(
    "attributes", [None, "", "top_k=3", "request_id=", 'request_id=a"}{', f"request_id={'a' * 65}"]
)
def test_nothing_is_written_for_another_caller_or_what_is_not_an_identifier(attributes: str | None):
    assert request_line(attributes, 200, None, 1.0) is None
