"""A request to the Lambda API: what it says, and the form of its answer.

The status of an answer is the service model's, and so are the members of an error.
"""

import json
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.responses import LambdaResponse

from localaws import errors
from localaws.paging import InvalidToken, page
from localaws.services.lambda_.function import LocalFunction

PAGE = 50

Answer = tuple[int, dict[str, Any], bytes | str]


class LambdaRequest(LambdaResponse):
    """One request to the Lambda API."""

    def call_action(self) -> Answer:
        """The answer of an operation, with the status of its model; an error with the members of its model."""
        status, headers, body = super().call_action()
        code = {name.lower(): value for name, value in headers.items()}.get("x-amzn-errortype")
        if code is not None and isinstance(body, str) and body.startswith('{"__type"'):
            body = json.dumps(errors.members("lambda", code, json.loads(body)["message"]))
        elif code is None and self._get_action() != "Invoke":
            status = self._success()
            body = "" if status == 204 else body
        own = ("status", "x-amzn-requestid")  # moto's; the latter is not of the form of AWS's
        return status, {name: value for name, value in headers.items() if name not in own}, body

    def _success(self) -> int:
        operation, _ = errors.matched("lambda", self.normalized_request.environ)
        assert operation is not None
        # [LS] test_function_lifecycle: DeleteFunction answers 204, where the model has 200 and a member for the status.
        return 204 if operation.name == "DeleteFunction" else int(operation.http.get("responseCode", 200))

    @property
    def query(self) -> dict[str, str]:
        """The query alone: moto's `querystring` is filled from the body or the headers if there is none."""
        return {name: values[0] for name, values in parse_qs(self.parsed_url.query).items()}

    @property
    def parts(self) -> list[str]:
        """The parts of the path after `functions` or `tags`."""
        return [unquote(part) for part in self.path.split("/")[3:]]

    @property
    def name(self) -> str:
        """The name of the function, whatever way it is named."""
        return self.backend.functions.split(self.parts[0], self.query.get("Qualifier"))[0]

    @property
    def qualifier(self) -> str | None:
        """The qualifier, from the query or from the function's name."""
        return self.backend.functions.split(self.parts[0], self.query.get("Qualifier"))[1]

    @property
    def given(self) -> dict[str, Any]:
        """The body."""
        return json.loads(self.body) if self.body else {}

    @property
    def function(self) -> LocalFunction:
        """The function or version that the request names."""
        return self.backend.functions.find(self.name, self.qualifier)

    def paged(self, member: str, items: list[Any]) -> str:
        """A page of a listing."""
        size = min(int(self.query.get("MaxItems", PAGE)), PAGE)
        try:
            chosen, following = page(items, self.query.get("Marker"), size)
        except InvalidToken:
            raise InvalidParameterValueException("Invalid pagination token provided.") from None
        return json.dumps({member: chosen, **({"NextMarker": following} if following else {})})
