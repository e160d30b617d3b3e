"""The headers that every answer of AWS has: when it was given, and the identifier of its request."""

import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.responses import BaseResponse
from moto.core.serialize import JSONSerializer
from werkzeug.http import http_date

_REQUEST_ID = re.compile(r"(?<=<RequestId>).*?(?=</RequestId>)|(?<=<requestId>).*?(?=</requestId>)")


def completed(service: str | None, start_response: Callable) -> Callable:
    """A `start_response` that adds the headers which an answer lacks. Without a service there is no identifier."""

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable:
        renamed = {"x-amzn-requestid": "x-amz-request-id"} if service == "s3" else {}
        dropped = {"status", "content-type"} if status.startswith("204") else {"status"}
        headers = [(renamed.get(name.lower(), name), value) for name, value in headers if name.lower() not in dropped]
        known = {name.lower() for name, _ in headers}
        added = {"date": ("Date", http_date())}
        if service == "s3":
            added["x-amz-request-id"] = ("x-amz-request-id", secrets.token_hex(8).upper())
            added["x-amz-id-2"] = ("x-amz-id-2", secrets.token_urlsafe(57))
        elif service is not None:
            added["x-amzn-requestid"] = ("x-amzn-RequestId", f"{uuid.uuid4()}")
        return start_response(
            status, [*headers, *(each for name, each in added.items() if name not in known)], *exc_info
        )

    return start


def _identified(headers: dict[str, Any], body: Any) -> tuple[dict[str, Any], Any]:
    """moto's own step at the end of a request: the same identifier in a header and in a body of XML.

    moto's identifiers are not of AWS's form, and those in EC2's bodies are all "request-id".
    """
    if "status" in headers:
        headers["status"] = str(headers["status"])
    headers["x-amzn-requestid"] = request = str(uuid.uuid4())
    return headers, _REQUEST_ID.sub(request, body) if isinstance(body, str) else body


def install() -> None:
    JSONSerializer.CONTENT_TYPE = "application/x-amz-json-1.0"  # of a service that has other protocols too
    BaseResponse._enrich_response = staticmethod(_identified)
