"""Answer events: the routes of the function URL, the direct invoke, and their common part."""

from typing import Any

from classifier.contract import (
    JSON_TYPE,
    ApiError,
    JsonRequest,
    check_image,
    json_request,
    media_type,
    parse_top_k,
    read_json_request,
)

from predictor.deadline import Deadline
from predictor.endpoint import Endpoint
from predictor.events import HttpRequest, error_response, is_http, json_response, no_content, read_http
from predictor.fetch import fetch_image
from predictor.log import RequestLog
from predictor.page import page_response
from predictor.urls import Policy

ANSWER_SECONDS = 0.5  # reserved, so that the function can still answer "too slow" itself
FETCH_SECONDS = 10.0  # for a {"url"}, but at most half of the time left


class Predictor:
    """Answers every event and never raises, so no stack trace leaves the function."""

    def __init__(self, endpoint: Endpoint, policy: Policy, log_level: str):
        self._endpoint = endpoint
        self._policy = policy
        self._log_level = log_level

    def answer(self, event: object, context) -> dict:
        """The response to a function-URL event, or the answer to a direct invoke.

        A direct invoke, `{"url": ...}` or `{"image": base64}` with an optional `top_k`, is answered with
        `{"predictions", "model", "request_id"}`. A failure is `{"statusCode": 422, "error": {...}}`. It is returned and
        not raised. An exception would contain a stack trace, and Lambda would retry an asynchronous invoke twice for a
        mistake of its caller.
        """
        request_id = context.aws_request_id
        deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - ANSWER_SECONDS)
        log = RequestLog(request_id, self._log_level)
        try:
            if is_http(event):
                response = self._respond(event, request_id, deadline, log)
            else:
                response = self._invoked(event, request_id, deadline, log)
        except ApiError as error:
            log.failed(error.code, error.__cause__)
            response = _failure(event, error, request_id)
        except Exception as defect:
            error = ApiError("internal_error", "The function failed. Search its log for this request id.")
            log.failed(error.code, None)
            log.defect(defect)
            response = _failure(event, error, request_id)
        log.write(response.get("statusCode", 200))
        return response

    def _invoked(self, event: object, request_id: str, deadline: Deadline, log: RequestLog) -> dict:
        log.set(via="invoke")
        return {**self._predict(json_request(event), None, deadline, log), "request_id": request_id}

    def _respond(self, event: Any, request_id: str, deadline: Deadline, log: RequestLog) -> dict:
        request = read_http(event)
        log.set(via="function-url", method=request.method, path=request.path)
        match request.method, request.path:
            case "GET" | "HEAD", "/":  # for HEAD the host sends only the headers
                return page_response()
            case "GET" | "HEAD", "/favicon.ico":  # browsers request it by default; the page contains its icon
                return no_content()
            case "POST", "/":
                asked, content_type = _read_question(request)
                answer = self._predict(asked, content_type, deadline, log)
                return json_response(200, {**answer, "request_id": request_id})
            case _, "/":
                error = ApiError("method_not_allowed", "GET shows a page; POST an image, or JSON.")
                log.failed(error.code, None)
                return error_response(error, request_id, {"allow": "GET, HEAD, POST"})
        raise ApiError("not_found", "This path does not exist. Use /.")

    def _predict(self, asked: JsonRequest, content_type: str | None, deadline: Deadline, log: RequestLog) -> dict:
        image = asked.image or b""
        if asked.url is not None:
            with log.timed("fetch_ms"):
                fetching = deadline.within(min(FETCH_SECONDS, deadline.left() / 2))
                fetched = fetch_image(asked.url, self._policy, fetching)
            image, content_type = fetched.body, fetched.content_type
            log.set(host=fetched.host)
        log.set(bytes=len(image))
        actual_type = check_image(image, content_type)
        with log.timed("endpoint_ms"):
            return self._endpoint.predict(image, actual_type, asked.top_k, deadline)


def _read_question(request: HttpRequest) -> tuple[JsonRequest, str | None]:
    """The request of a POST, and the declared type of the image in its body. `top_k` may be in the query."""
    declared = request.headers.get("content-type", "")
    top_k = parse_top_k(request.query.get("top_k"))
    if media_type(declared) != JSON_TYPE:
        return JsonRequest(image=request.body, url=None, top_k=top_k), declared
    asked = read_json_request(request.body)
    return JsonRequest(asked.image, asked.url, asked.top_k or top_k), None


def _failure(event: object, error: ApiError, request_id: str) -> dict:
    if is_http(event):
        return error_response(error, request_id)
    return {"statusCode": error.status, **error.to_dict(request_id)}
