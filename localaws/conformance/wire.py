"""Requests as botocore writes and signs them, without its own checks, and the raw answers."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.credentials import Credentials
from botocore.httpchecksum import apply_request_checksum
from botocore.serialize import create_serializer
from moto.core.utils import get_service_model

REGION = "us-east-1"
SECONDS = 70  # as long as a service may take for an answer

Tamper = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class RawAnswer:
    """A raw answer; the names of its headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


def protocols(service: str) -> list[str]:
    """The protocols that a service speaks, the preferred one first."""
    model = get_service_model(service)
    return list(model.metadata.get("protocols", [model.protocol]))


class Wire:
    """A connection to one service of AWS, or to a local AWS: to its root, or with other keys."""

    def __init__(self, url: str, keys: Credentials | None = None, region: str = REGION):
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=SECONDS)
        self._url, self._region = f"{parts.scheme}://{parts.netloc}", region
        self._keys = keys or Credentials("test", "test")

    def send(
        self, service: str, operation: str, params: dict[str, Any], protocol: str = "", tamper: Tamper | None = None
    ) -> RawAnswer:
        """Send one request. `tamper` changes it after it is written and before it is signed."""
        model = get_service_model(service)
        protocol = protocol or protocols(service)[0]
        written = _written(model.operation_model(operation), params, protocol)
        if tamper is not None:
            tamper(written)
        _sum(model.operation_model(operation), written)
        query = urlencode(written.get("query_string") or {}, doseq=True, quote_via=quote)
        path = written["url_path"]
        url = f"{self._url}{path}" + (f"{'&' if '?' in path else '?'}{query}" if query else "")
        request = AWSRequest(written["method"], url, written["headers"], written["body"])
        kind = S3SigV4Auth if service == "s3" else SigV4Auth
        kind(self._keys, model.signing_name, self._region).add_auth(request)
        sent = request.prepare()
        try:
            return self._exchange(sent)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not isinstance(self._connection, http.client.HTTPSConnection):
                raise  # a local AWS does not do that
            self._connection.close()  # AWS ends a connection after a while
            return self._exchange(sent)

    def _exchange(self, sent: AWSPreparedRequest) -> RawAnswer:
        self._connection.request(sent.method, sent.url[len(self._url) :], sent.body, dict(sent.headers))
        answer = self._connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return RawAnswer(answer.status, headers, answer.read())

    def close(self) -> None:
        self._connection.close()


def _written(operation: Any, params: dict[str, Any], protocol: str) -> dict[str, Any]:
    """A request, its body in bytes."""
    written = create_serializer(protocol, include_validation=False).serialize_to_request(params, operation)
    body = written.get("body") or b""
    if isinstance(body, dict):
        body = urlencode({name: _as_text(value) for name, value in body.items()})
        written["headers"]["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    written["body"] = body.encode() if isinstance(body, str) else body
    return written


def _sum(operation: Any, written: dict[str, Any]) -> None:
    """Add the checksum that an operation requires."""
    if operation.http_checksum.get("requestChecksumRequired"):
        written["context"] = {"checksum": {"request_algorithm": "conditional-md5"}}
        apply_request_checksum(written)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- requests that no client writes ---


def member_of_another_type(name: str, value: Any) -> Tamper:
    """Put `value` where the body in JSON has the member `name`."""

    def tamper(written: dict[str, Any]) -> None:
        written["body"] = json.dumps({**json.loads(written["body"] or b"{}"), name: value}).encode()

    return tamper


def field_of_a_form(name: str, value: str) -> Tamper:
    """Set a field of a form."""

    def tamper(written: dict[str, Any]) -> None:
        written["body"] += b"&" + urlencode({name: value}).encode()

    return tamper


def unknown_element(written: dict[str, Any]) -> None:
    """Add an element that the schema does not have to a body in XML."""
    head, close, tail = written["body"].rpartition(b"</")
    written["body"] = head + b"<NoSuchElement>a</NoSuchElement>" + close + tail
