"""Helpers for the function's tests: events, real HTTP servers, and an endpoint that implements InvokeEndpoint."""

import base64
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREDICTIONS = [{"label": "beagle", "probability": 0.9}, {"label": "boxer", "probability": 0.1}]
ANSWER = {
    "predictions": PREDICTIONS,
    "model": {"name": "dogs", "architecture": "efficientnet-lite0", "created": "2026-11-22", "classes": 2},
}
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) + b"\xff\xd9"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeEndpoint:
    """Answers each invocation with the result of `reply`: status, headers, body."""

    server: "Server | None" = None
    received: list[Received] = field(default_factory=list)
    reply: Callable[[Received], tuple[int, dict, bytes]] = lambda _: (200, {}, json.dumps(ANSWER).encode())

    def fails(self, status: int, error: str, **fields) -> None:
        """From now on, answer as AWS does for `error`."""
        body = json.dumps({"Message": "as AWS says", **fields}).encode()
        self.reply = lambda _: (status, {"x-amzn-errortype": error}, body)


class QuietServer(ThreadingHTTPServer):
    """Its clients disconnect and its answers fail on purpose."""

    def handle_error(self, request, client_address):
        pass


class Server:
    """An HTTP server on a free port of 127.0.0.1, each request answered by `answer(handler)`; https with `tls`."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                answer(self)

            do_POST = do_PUT = do_GET

            def log_message(self, *arguments):
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def respond(handler: BaseHTTPRequestHandler, status: int, headers: dict, body: bytes) -> None:
    handler.send_response(status)
    for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@dataclass
class Context:
    """The parts of Lambda's context object that this handler uses."""

    aws_request_id: str = "4d7f-request"
    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


def http_event(method="POST", path="/", *, headers=None, body=None, encoded=False, query=None) -> dict:
    """A function-URL event, payload format 2.0."""
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers or {},
        "requestContext": {"http": {"method": method, "path": path, "protocol": "HTTP/1.1"}},
        "isBase64Encoded": encoded,
    }
    if query is not None:
        event["queryStringParameters"] = query
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if encoded else body
    return event


def image_event(data: bytes, content_type: str = "image/jpeg", **kwargs) -> dict:
    return http_event(headers={"content-type": content_type}, body=data, encoded=True, **kwargs)


def json_event(value: object, **kwargs) -> dict:
    body = value if isinstance(value, str) else json.dumps(value)
    return http_event(headers={"content-type": "application/json"}, body=body, **kwargs)
