"""Answer events: the routes of the function URL, the direct invoke, and their common part."""

from typing import Any, Protocol

from classifier.contract import MAX_IMAGE_BYTES, MAX_STORED_BYTES, ApiError, check_image, decode_base64

from predictor.callers import CallerLimit, KeyCheck
from predictor.capture import Capture
from predictor.deadline import Deadline
from predictor.events import HttpRequest, error_response, in_its_form, is_http, json_response, no_content, read_http
from predictor.fetch import fetch_image
from predictor.log import RequestLog
from predictor.objects import SCHEME, fetch_object
from predictor.page import page_response
from predictor.questions import Item, Question, from_json, read_question
from predictor.uploads import PATH as UPLOAD_PATH
from predictor.uploads import Uploads
from predictor.urls import Policy

ANSWER_SECONDS = 0.5  # reserved, so that the function can still answer "too slow" itself
FETCH_SECONDS = 10.0  # for a {"url"}, but at most half of the time left


class ClassifyingModel(Protocol):
    """What answers a question about an image: the endpoint, or a model in the function itself."""

    log_field: str  # the name of its milliseconds in the log

    def predict(
        self,
        image: bytes,
        content_type: str,
        top_k: int | None,
        deadline: Deadline,
        request_id: str,
        *,
        explain: bool = False,
    ) -> dict:
        """`{"predictions": [...], "model": {...}}` and what else the model can give. Raises ApiError."""
        ...


class Predictor:
    """Answers every event and never raises, so no stack trace leaves the function."""

    def __init__(
        self,
        model: ClassifyingModel,
        policy: Policy,
        log_level: str,
        uploads: Uploads | None = None,
        key: KeyCheck | None = None,
        limit: CallerLimit | None = None,
        capture: Capture | None = None,
    ):
        self._model = model
        self._policy = policy
        self._log_level = log_level
        self._uploads = uploads
        self._key, self._limit = key, limit
        self._capture = capture

    def answer(self, event: object, context) -> dict:
        """The response to an event of HTTP, in its own form, or the answer to a direct invoke.

        A direct invoke, `{"url": ...}` or `{"image": base64}` with an optional `top_k` and `explain`, is answered with
        `{"predictions", "model", "request_id"}`; one with `urls` or `images` is answered with `results`. A failure is
        `{"statusCode": 422, "error": {...}}`. It is returned and not raised. An exception would contain a stack trace,
        and Lambda would retry an asynchronous invoke twice for a mistake of its caller.
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
        return in_its_form(event, response)

    def _invoked(self, event: object, request_id: str, deadline: Deadline, log: RequestLog) -> dict:
        log.set(via="invoke")
        return {**self._predict(from_json(event), deadline, log), "request_id": request_id}

    def _respond(self, event: Any, request_id: str, deadline: Deadline, log: RequestLog) -> dict:
        request = read_http(event)
        log.set(via="function-url", method=request.method, path=request.path)
        if request.method == "POST":
            self._require_caller(request)
        match request.method, request.path:
            case "GET" | "HEAD", "/":  # for HEAD the host sends only the headers
                return page_response()
            case "GET" | "HEAD", "/favicon.ico":  # browsers request it by default; the page contains its icon
                return no_content()
            case "POST", "/":
                answer = self._predict(read_question(request), deadline, log)
                return json_response(200, {**answer, "request_id": request_id})
            case "POST", path if path == UPLOAD_PATH and self._uploads:
                return json_response(200, {**self._uploads.offer(request.body), "request_id": request_id})
            case _, "/":
                error = ApiError("method_not_allowed", "GET shows a page; POST an image, or JSON.")
                log.failed(error.code, None)
                return error_response(error, request_id, {"allow": "GET, HEAD, POST"})
        raise ApiError("not_found", "This path does not exist. Use /.")

    def _require_caller(self, request: HttpRequest) -> None:
        """Raise ApiError 401 without the key, or 429. The page and its icon need neither."""
        if self._limit:  # first, so it also limits guesses
            self._limit.require(request.caller)
        if self._key:
            self._key.require(request.headers)

    def _predict(self, asked: Question, deadline: Deadline, log: RequestLog) -> dict:
        """The answer to one image, or `results` with one for each of several, in their order.

        If none of several can be answered, the first error is raised.
        """
        if not asked.several:
            return self._predict_one(asked.items[0], asked, deadline, log)
        results, errors, model = [], [], None
        for item in asked.items:
            try:
                answer = self._predict_one(item, asked, deadline, log)
            except ApiError as error:
                errors.append(error)
                results.append(error.to_dict())
            else:
                model = answer.pop("model")
                results.append(answer)
        log.set(images=len(results), failed=len(errors))
        if model is None:
            raise errors[0]
        return {"results": results, "model": model}

    def _predict_one(self, item: Item, asked: Question, deadline: Deadline, log: RequestLog) -> dict:
        image, content_type, most = item.image or b"", item.content_type, MAX_IMAGE_BYTES
        if item.url is not None and item.url[:5].lower() == "data:":
            image = decode_base64(item.url)
        elif item.url is not None:
            with log.timed("fetch_ms"):
                fetching = deadline.within(min(FETCH_SECONDS, deadline.left() / 2))
                if item.url.startswith(SCHEME):
                    most = MAX_STORED_BYTES if self._uploads else MAX_IMAGE_BYTES
                    fetched = fetch_object(item.url, fetching, most)
                else:
                    fetched = fetch_image(item.url, self._policy, fetching)
            image, content_type = fetched.body, fetched.content_type
            log.set(host=fetched.host)
        log.set(bytes=len(image))
        actual_type = check_image(image, content_type, most)
        with log.timed(self._model.log_field):
            answer = self._model.predict(
                image, actual_type, asked.top_k, deadline, log.request_id, explain=asked.explain
            )
        log.judged(answer)
        if self._capture:
            self._capture.keep(image, actual_type, answer, deadline, log)
        return answer


def _failure(event: object, error: ApiError, request_id: str) -> dict:
    if is_http(event):
        return error_response(error, request_id)
    return {"statusCode": error.status, **error.to_dict(request_id)}
