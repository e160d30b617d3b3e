"""The Lambda API's operations: moto's, with the qualifiers that it overlooks, those it lacks, and Invoke."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.awslambda import urls
from moto.awslambda.responses import LambdaResponse

from localaws.services.lambda_.concurrency import ConcurrencyOperations
from localaws.services.lambda_.fleet import Throttled
from localaws.services.lambda_.permissions import PermissionOperations
from localaws.services.lambda_.urls import UrlOperations

MAX_REQUEST_BYTES = 6 * 1024 * 1024
MAX_EVENT_BYTES = 1024 * 1024  # of an asynchronous invocation
THROTTLED = {
    "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
    "Type": "User",
    "message": "Rate Exceeded.",
}

Answer = tuple[int, dict[str, Any], bytes | str]


class LocalLambdaResponse(PermissionOperations, ConcurrencyOperations, UrlOperations, LambdaResponse):
    """One request to the Lambda API."""

    @property
    def query(self) -> dict[str, str]:
        """The query alone: moto's `querystring` is filled from the body or the headers where there is none."""
        return {name: values[0] for name, values in parse_qs(self.parsed_url.query).items()}

    @property
    def qualifier(self) -> str | None:
        return self.query.get("Qualifier")

    def invoke(self) -> Answer:
        function_name = unquote(self.path.rsplit("/", 2)[-2])
        kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        payload = self.raw_body or b"{}"
        refused = _refusal(payload, MAX_EVENT_BYTES if kind == "Event" else MAX_REQUEST_BYTES)
        if refused:
            return refused
        self.backend.get_function(function_name, self.qualifier)
        if kind == "DryRun":
            return _answer(204, b"")
        if kind == "Event":
            self.backend.run_later(function_name, self.qualifier, payload)
            return _answer(202, b"")
        context = self.headers.get("X-Amz-Client-Context")
        if context is not None:
            context = base64.b64decode(context).decode()
        try:
            outcome = self.backend.run(function_name, self.qualifier, payload, context)
        except Throttled:
            headers = {"X-Amzn-ErrorType": "TooManyRequestsException"}
            return _answer(429, json.dumps(THROTTLED).encode(), headers)
        headers = {"X-Amz-Executed-Version": outcome.version}
        if outcome.function_error:
            headers["X-Amz-Function-Error"] = outcome.function_error
        if self.headers.get("X-Amz-Log-Type") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(outcome.log.encode()).decode()
        return _answer(200, outcome.payload, headers)


def _refusal(payload: bytes, limit: int) -> Answer | None:
    """Why a payload cannot be an event, or None where it can."""
    if len(payload) > limit:
        message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        headers = {"X-Amzn-ErrorType": "RequestTooLargeException"}
        return _answer(413, json.dumps({"Type": "User", "message": message}).encode(), headers)
    try:
        json.loads(payload)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        headers = {"X-Amzn-ErrorType": "InvalidRequestContentException"}
        return _answer(400, json.dumps({"Type": "User", "message": message}).encode(), headers)
    return None


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    return status, {"status": status, "Content-Type": "application/json", **(headers or {})}, body


_FUNCTION = r"{0}/(?P<api_version>[^/]+)/functions/(?P<function_name>[\w_:%-]+)"

URL_PATHS = {
    **dict.fromkeys(urls.url_paths, LocalLambdaResponse.dispatch),
    rf"{_FUNCTION}/provisioned-concurrency/?$": LocalLambdaResponse.dispatch,
    rf"{_FUNCTION}/urls/?$": LocalLambdaResponse.dispatch,
}
