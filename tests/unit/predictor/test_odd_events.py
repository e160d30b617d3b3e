"""Odd events: each gets an answer of the function, without an exception and without internal details."""

import json

import pytest
from classifier.contract import ERRORS
from predictor_support import Context, http_event

HTTP = {"http": {"method": "POST", "path": "/"}}

NOT_HTTP = [None, True, 0, -1.5, "", "text", [], [1, 2], {}, {"": ""}, {"Records": [{"s3": {}}]}, {"httpMethod": "GET"}]
NOT_HTTP += [{"requestContext": None}, {"requestContext": []}, {"requestContext": {"http": "GET"}}, {"body": "{}"}]
NOT_HTTP += [
    {"url": None},
    {"url": 7},
    {"url": []},
    {"url": ""},
    {"url": "\0"},
    {"url": "\ud800"},
    {"url": "https://\ud800"},
]
NOT_HTTP += [
    {"image": None},
    {"image": 7},
    {"image": ""},
    {"image": "é"},
    {"image": "\ud800"},
    {"image": {"$ref": "#"}},
]
NOT_HTTP += [
    {"image": "/9j/", "top_k": "\u0663"},
    {"image": "/9j/", "top_k": 1e400},
    {"source": "aws.events", "detail": {}},
]

BODIES = [None, "", 7, [], {}, True, "\0", "\ud800", "{", "}", "é", "=", "/9j/", "a" * 100_001, '{"url": "\\ud800"}']
JSON = {"content-type": "application/json"}
ODD_HTTP = [
    {"requestContext": {"http": {}}},
    {"requestContext": HTTP | {"http": {"method": None, "path": None}}},
    {"requestContext": HTTP, "headers": None},
    {"requestContext": HTTP, "headers": []},
    {"requestContext": HTTP, "headers": {"content-type": None}},
    {"requestContext": HTTP, "headers": {"content-type": 7}, "body": "x"},
    {"requestContext": HTTP, "queryStringParameters": []},
    {"requestContext": HTTP, "queryStringParameters": {"top_k": None}},
    {"requestContext": HTTP, "rawPath": 7},
    {"requestContext": HTTP, "rawPath": "/\ud800"},
    {"requestContext": HTTP, "rawPath": "/../../etc/passwd"},
    {"requestContext": HTTP, "isBase64Encoded": "yes", "body": "!"},
    *[{**http_event(headers=headers), "body": body} for body in BODIES for headers in ({}, JSON)],
    *[{**http_event(headers=JSON), "body": body, "isBase64Encoded": True} for body in BODIES],
]


@pytest.mark.parametrize("event", NOT_HTTP + ODD_HTTP, ids=lambda event: ascii(event)[:60])
def test_an_odd_event_gets_an_error_of_the_contract(predictor, fake_endpoint, event, capsys):
    response = predictor.answer(event, Context())
    json.dumps(response)  # as Lambda does
    answer = json.loads(response["body"]) if "body" in response else response
    error = answer["error"]
    assert response["statusCode"] == ERRORS[error["code"]] < 500
    assert error["request_id"] == "4d7f-request"
    assert "Traceback" not in json.dumps(response)
    assert "traceback" not in json.loads(capsys.readouterr().out)
    assert fake_endpoint.received == []
