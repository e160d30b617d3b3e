"""Requests and answers in RPC v2 CBOR, for services that moto answers in JSON.

Both protocols have the same members under the same names. botocore reads and writes CBOR by the service's model; times
and blobs are what differs.
"""

import base64
import io
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from botocore.parsers import JSONParser
from botocore.serialize import RpcV2CBORSerializer
from moto.core.utils import get_service_model

from localaws import errors
from localaws.requests import body_of, from_cbor

Ask = Callable[[str, dict, Callable], Iterable[bytes]]


def translated(service: str, environ: dict[str, Any], start_response: Callable, ask: Ask) -> Iterable[bytes]:
    """Answer a request in CBOR. `ask` answers the same request in JSON: it gets service, environ and start_response."""
    model, name = get_service_model(service), environ["PATH_INFO"].rpartition("/")[2]
    content = json.dumps(from_cbor(body_of(environ) or b"\xa0"), default=_as_json).encode()
    asked = {
        **{
            key: value for key, value in environ.items() if key not in ("HTTP_CONTENT_ENCODING", "HTTP_SMITHY_PROTOCOL")
        },
        "HTTP_X_AMZ_TARGET": f"{model.metadata['targetPrefix']}.{name}",
        "CONTENT_TYPE": f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.0')}",
        "CONTENT_LENGTH": str(len(content)),
        "PATH_INFO": "/",
        "RAW_URI": "/",
        "wsgi.input": io.BytesIO(content),
    }
    given: list[Any] = []
    answer = b"".join(ask(service, asked, lambda *said: given.extend(said)))
    status, headers = given[:2]
    dropped = ("content-type", "content-length", "x-amzn-errortype")
    kept = [(key, value) for key, value in headers if key.lower() not in dropped]
    body = _answer(model.operation_model(name).output_shape, int(status[:3]), answer)
    start_response(status, [*kept, *errors.CBOR_HEADERS.items(), ("Content-Length", str(len(body)))])
    return [body]


def _answer(shape: Any, status: int, body: bytes) -> bytes:
    if status >= 300:
        said = json.loads(body)
        code = str(said.get("__type", "InternalFailure")).rpartition("#")[2]
        return errors.cbor_map({"__type": code, "message": said.get("message") or said.get("Message") or ""})
    if shape is None:
        return errors.cbor_map({})
    parsed = JSONParser().parse({"status_code": status, "headers": {}, "body": body or b"{}"}, shape)
    parsed.pop("ResponseMetadata", None)
    content = bytearray()
    RpcV2CBORSerializer()._serialize_data_item(content, parsed, shape)
    return bytes(content)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    return base64.b64encode(value).decode()
