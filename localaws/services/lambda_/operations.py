"""The Lambda API's operations: moto's, with the qualifiers that it overlooks, those it lacks, and Invoke.

An operation here reads the request, asks the backend or one of its collaborators, and words the answer.
"""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.awslambda import urls
from moto.awslambda.responses import LambdaResponse

from localaws.services.lambda_.fleet import Throttled

MAX_REQUEST_BYTES = 6 * 1024 * 1024
MAX_EVENT_BYTES = 1024 * 1024  # of an asynchronous invocation
THROTTLED = {"Type": "User", "message": "Rate Exceeded."}  # and the reason

Answer = tuple[int, dict[str, Any], bytes | str]


class LocalLambdaResponse(LambdaResponse):
    """One request to the Lambda API."""

    # --- what the request says ---

    @property
    def query(self) -> dict[str, str]:
        """The query alone: moto's `querystring` is filled from the body or the headers if it is empty."""
        return {name: values[0] for name, values in parse_qs(self.parsed_url.query).items()}

    @property
    def qualifier(self) -> str | None:
        return self.query.get("Qualifier")

    @property
    def function_name(self) -> str:
        """The function of a path that goes one part further: `/functions/NAME/policy`."""
        return unquote(self.path.split("/")[-2])

    # --- resource policies ---

    def add_permission(self) -> Answer:
        statement = self.backend.permissions.add(self.function_name, self.qualifier, self.json_body)
        return _described(201, {"Statement": json.dumps(statement)})

    def remove_permission(self) -> Answer:
        *_, function_name, _, sid = self.path.split("/")
        revision = self.query.get("RevisionId")
        self.backend.permissions.remove(unquote(function_name), unquote(sid), revision, self.qualifier)
        return 204, {"status": 204}, ""

    def get_policy(self) -> str:
        return json.dumps(self.backend.permissions.describe(self.function_name, self.qualifier))

    # --- provisioned concurrency: moto has the operations on reserved concurrency ---

    def put_provisioned_concurrency_config(self) -> Answer:
        requested = self.json_body["ProvisionedConcurrentExecutions"]
        return _described(202, self.backend.concurrency.put(self.function_name, self.qualifier, requested))

    def get_provisioned_concurrency_config(self) -> str:
        return json.dumps(self.backend.concurrency.get(self.function_name, self.qualifier))

    def delete_provisioned_concurrency_config(self) -> Answer:
        self.backend.concurrency.delete(self.function_name, self.qualifier)
        return 204, {"status": 204}, ""

    def list_provisioned_concurrency_configs(self) -> str:
        return json.dumps({"ProvisionedConcurrencyConfigs": self.backend.concurrency.describe_all(self.function_name)})

    # --- function URLs ---

    def create_function_url_config(self) -> Answer:
        url = self.backend.function_urls.create(self.function_name, self.json_body, self.qualifier)
        return _described(201, url.to_dict())

    def get_function_url_config(self) -> str:
        return json.dumps(self.backend.function_urls.get(self.function_name, self.qualifier).to_dict())

    def update_function_url_config(self) -> str:
        return json.dumps(
            self.backend.function_urls.update(self.function_name, self.json_body, self.qualifier).to_dict()
        )

    def delete_function_url_config(self) -> Answer:
        self.backend.function_urls.delete(self.function_name, self.qualifier)
        return 204, {"status": 204}, ""

    def list_function_url_configs(self) -> str:
        return json.dumps(
            {"FunctionUrlConfigs": [url.to_dict() for url in self.backend.function_urls.of(self.function_name)]}
        )

    # --- the account ---

    def get_account_settings(self) -> str:
        return json.dumps(self.backend.account_settings())

    # --- Invoke ---

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
        except Throttled as refusal:
            headers = {"X-Amzn-ErrorType": "TooManyRequestsException"}
            return _answer(429, json.dumps({**THROTTLED, "Reason": refusal.reason}).encode(), headers)
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


def _described(status: int, description: dict[str, Any]) -> Answer:
    return status, {"status": status}, json.dumps(description)


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    return status, {"status": status, "Content-Type": "application/json", **(headers or {})}, body


_FUNCTION = r"{0}/(?P<api_version>[^/]+)/functions/(?P<function_name>[\w_:%-]+)"

URL_PATHS = {
    r"{0}/(?P<api_version>[^/]+)/account-settings/?$": LocalLambdaResponse.dispatch,
    **dict.fromkeys(urls.url_paths, LocalLambdaResponse.dispatch),
    rf"{_FUNCTION}/provisioned-concurrency/?$": LocalLambdaResponse.dispatch,
    rf"{_FUNCTION}/urls/?$": LocalLambdaResponse.dispatch,
}
