"""Invoke: a request's payload is the function's event, its result the answer."""

import base64
import json
import uuid

from localaws.services.lambda_.fleet import Throttled
from localaws.services.lambda_.names import LATEST
from localaws.services.lambda_.request import Answer, LambdaRequest

MAX_REQUEST_BYTES = 6 * 1024 * 1024
MAX_EVENT_BYTES = 1024 * 1024  # of an asynchronous invocation
THROTTLED = {"Type": "User", "message": "Rate Exceeded."}  # and the reason


class InvokeRequest(LambdaRequest):
    """A request to the Lambda API that may be one for Invoke."""

    def invoke(self) -> Answer:
        name, qualifier = self.name, self.qualifier
        kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        payload = self.raw_body or b"{}"
        refused = _refusal(payload, MAX_EVENT_BYTES if kind == "Event" else MAX_REQUEST_BYTES)
        if refused:
            return refused
        self.backend.functions.find(name, qualifier or LATEST)
        request_id = str(uuid.uuid4())
        if kind == "DryRun":
            return _answer(204, b"")
        if kind == "Event":
            self.backend.run_later(name, qualifier, payload, request_id)
            return _answer(202, b"", {"x-amzn-RequestId": request_id})
        context = self.headers.get("X-Amz-Client-Context")
        if context is not None:
            context = base64.b64decode(context).decode()
        try:
            outcome = self.backend.run(name, qualifier, payload, context, request_id=request_id)
        except Throttled as refusal:
            headers = {"X-Amzn-ErrorType": "TooManyRequestsException"}
            return _answer(429, json.dumps({**THROTTLED, "Reason": refusal.reason}).encode(), headers)
        headers = {"X-Amz-Executed-Version": outcome.version, "x-amzn-RequestId": request_id}
        if outcome.function_error:
            headers["X-Amz-Function-Error"] = outcome.function_error
        if self.headers.get("X-Amz-Log-Type") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(outcome.log.encode()).decode()
        return _answer(200, outcome.payload, headers)


def _refusal(payload: bytes, limit: int) -> Answer | None:
    """Why a payload cannot be an event, or None if it can."""
    if len(payload) > limit:
        message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        headers = {"X-Amzn-ErrorType": "RequestTooLargeException"}
        return _answer(413, json.dumps({"Type": "User", "message": message}).encode(), headers)
    try:
        json.loads(payload)
    except (ValueError, RecursionError) as error:
        message = f"Could not parse request body into json: {error}"
        headers = {"X-Amzn-ErrorType": "InvalidRequestContentException"}
        return _answer(400, json.dumps({"Type": "User", "message": message}).encode(), headers)
    return None


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    return status, {"status": status, "Content-Type": "application/json", **(headers or {})}, body
