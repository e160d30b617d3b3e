"""The function's environment variables, and the log line of each request."""

import importlib
import json

import pytest
from predictor_support import JPEG, Context, http_event, image_event


@pytest.fixture
def handler(fake_endpoint, monkeypatch):
    monkeypatch.setenv("ENDPOINT_NAME", "pawprint")
    return importlib.import_module("handler")


def test_the_handler_needs_only_the_endpoint_variable(handler, make_predictor):
    predictor = handler.from_environment({"ENDPOINT_NAME": "pawprint", "URL_ALLOW_NETWORKS": "", "LOG_LEVEL": ""})
    assert predictor.answer(image_event(JPEG), Context())["statusCode"] == 200
    assert predictor.answer({"url": "http://8.8.8.8/"}, Context())["error"]["code"] == "url_not_allowed"


def test_networks_and_http_are_read_from_the_environment(handler):
    environment = {"ENDPOINT_NAME": "pawprint", "URL_ALLOW_HTTP": "true", "URL_ALLOW_NETWORKS": "127.0.0.1/32, ::1/128"}
    answer = handler.from_environment(environment).answer({"url": "http://127.0.0.1:9/"}, Context())
    assert answer["error"]["code"] == "url_unreachable"  # allowed, but no server is there


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENDPOINT_NAME", ""),
        ("URL_ALLOW_HTTP", "yes"),
        ("URL_ALLOW_NETWORKS", "10.0.0.0/8,intranet"),
        ("URL_ALLOW_NETWORKS", "10.0.0.1/8"),
        ("LOG_LEVEL", "loud"),
        ("API_KEY_SHA256", "the-key-itself"),
        ("API_KEY_SHA256", ""),
        ("REQUESTS_A_MINUTE", "0"),
        ("REQUESTS_A_MINUTE", "many"),
        ("UPLOADS", "bucket/uploads/"),
        ("CAPTURE", "s3://bucket/captures/"),
    ],
)
def test_a_wrong_value_fails_the_start_and_is_named(handler, name, value):
    with pytest.raises(ValueError, match=name):
        handler.from_environment({"ENDPOINT_NAME": "pawprint", name: value})


def test_a_request_logs_one_line(predictor, capsys):
    predictor.answer(image_event(JPEG), Context())
    line = json.loads(capsys.readouterr().out)
    assert line.pop("ms") >= line.pop("endpoint_ms") >= 0
    assert line == {
        "level": "INFO",
        "status": 200,
        "request_id": "4d7f-request",
        "via": "function-url",
        "method": "POST",
        "path": "/",
        "bytes": len(JPEG),
    }


def test_a_failure_of_the_endpoint_is_logged_with_the_message_of_aws(predictor, fake_endpoint, capsys):
    fake_endpoint.fails(403, "AccessDeniedException", message="User: arn:aws:sts::123456789012:... is not authorized")
    predictor.answer(image_event(JPEG), Context())
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["status"], line["code"]) == ("ERROR", 502, "endpoint_unavailable")
    assert "is not authorized" in line["detail"]


def test_at_level_error_only_failures_are_logged(make_predictor, fake_endpoint, capsys):
    predictor = make_predictor(log_level="ERROR")
    predictor.answer(image_event(JPEG), Context())
    predictor.answer(http_event("PUT"), Context())
    assert capsys.readouterr().out == ""
    fake_endpoint.fails(500, "InternalFailure")
    predictor.answer(image_event(JPEG), Context())
    assert json.loads(capsys.readouterr().out)["status"] == 502
