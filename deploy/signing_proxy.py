"""A small HTTP server on 127.0.0.1 that signs requests and forwards them to the function URL.

A browser cannot sign a request for AWS, so it cannot open the page of a function URL that requires AWS_IAM. This server
adds the signature with the caller's credentials (`deploy.function.Signer`).

Every accepted request uses the caller's permission, so the server accepts few requests:

- `Host` must be the server's own address. If another site makes its name point to 127.0.0.1 (DNS rebinding), its page
  sends that name.
- `Origin` and `Sec-Fetch-Site` must not name another site.
- The method, the path and the only parameter must be those of the function, and the body has a size limit. Only the
  headers `Content-Type` and `Accept` are forwarded, and few headers are returned.

Other users of the same machine can reach 127.0.0.1 too. While the server runs, they can use the function.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from deploy.function import KeyHolder, Signer, connect

ADDRESS = "127.0.0.1"
ROUTES = {"/": ("GET", "HEAD", "POST"), "/favicon.ico": ("GET", "HEAD")}
_PARAMETER = "(top_k=[0-9]{1,9}|explain=[01])"
QUERY = re.compile(f"{_PARAMETER}(&{_PARAMETER})?")
# Lambda accepts events of 6 MiB. The function rejects an image of more than 4 MiB with a message.
MAX_BODY_BYTES = 6 * 1024**2
UPSTREAM_SECONDS = 70  # the time limit of the function is one minute
CLIENT_SECONDS = 30
LINGER_SECONDS = 2
REQUEST_HEADERS = ("Content-Type", "Accept")
RESPONSE_HEADERS = (
    "Content-Type",
    "Content-Security-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "Cache-Control",
    "Retry-After",
    "Allow",
    "x-amzn-RequestId",
)


class Refusal(Exception):
    """The server does not forward a request."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self) -> bytes:
        """The shape of the function's own errors."""
        return json.dumps({"error": {"code": self.code, "message": self.message, "request_id": None}}).encode()


@dataclass(frozen=True)
class Answer:
    """The function's answer: the status, the forwarded headers and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


class SigningProxy(ThreadingHTTPServer):
    """The server. `signer` is None if the function URL accepts unsigned requests.

    `say` gets one line for each request and each refusal. Raises OSError if the port is in use. Port 0 means any free
    port.
    """

    daemon_threads = True

    def __init__(
        self, url: str, signer: Signer | KeyHolder | None, port: int = 0, say: Callable[[str], None] = lambda _: None
    ):
        super().__init__((ADDRESS, port), Handler)
        self.url, self.signer, self.say = url.rstrip("/"), signer, say
        self.port = self.server_address[1]
        self.hosts = {f"{name}:{self.port}" for name in (ADDRESS, "localhost")}
        self.address = f"http://{ADDRESS}:{self.port}/"

    def forward(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a signed request to the function URL. Raises Refusal 502 if it cannot be signed or gets no answer."""
        url = self.url + target
        connection = connect(url, UPSTREAM_SECONDS)
        try:
            sent = self.signer.sign(method, url, body, headers) if self.signer else headers
            connection.request(method, target, body=body if method == "POST" else None, headers=sent)
            response = connection.getresponse()
            kept = {name: value for name in RESPONSE_HEADERS if (value := response.headers.get(name)) is not None}
            return Answer(response.status, kept, response.read())
        except (OSError, http.client.HTTPException, BotoCoreError) as error:
            words = f"{urlsplit(self.url).hostname} does not answer: {error}"
            raise Refusal(502, "endpoint_unavailable", words) from error
        finally:
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser may disconnect. That is not an error of this program."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection from a browser or curl."""

    server: SigningProxy  # ty: ignore[incompatible-mutable-override] (the server that made it)
    protocol_version = "HTTP/1.1"
    timeout = CLIENT_SECONDS

    def answer(self) -> None:
        """Check the request, forward it and return the answer."""
        began = time.monotonic()
        try:
            length = self._check()
            answer = self._forward(length)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if self.command == "POST":
            self.server.say(f"{self.command} {self.path} {answer.status} ({time.monotonic() - began:.2f} s)")
        self._send(answer.status, answer.headers, answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def handle_expect_100(self) -> bool:
        """Refuse the request before its body is sent. curl asks first if the body is large."""
        try:
            self._check()
        except Refusal as refusal:
            self._refuse(refusal)
            return False
        return super().handle_expect_100()

    def _check(self) -> int:
        """The length of the body. Raises Refusal if the request must not be forwarded."""
        host = self.headers.get_all("Host") or []
        if len(host) != 1 or host[0].lower() not in self.server.hosts:
            raise Refusal(421, "wrong_host", f"The request names another host. Open {self.server.address}.")
        own = f"http://{host[0].lower()}"
        origin, site = self.headers.get("Origin", own), self.headers.get("Sec-Fetch-Site", "none")
        if origin.lower() != own or site not in ("none", "same-origin"):
            raise Refusal(
                403, "cross_site", "Another site sent this request. Only the page of this address may send requests."
            )
        path, _, query = self.path.partition("?")
        if path not in ROUTES:
            raise Refusal(404, "not_found", "This path does not exist. Use /.")
        if self.command not in ROUTES[path]:
            raise Refusal(405, "method_not_allowed", "GET shows a page; POST an image, or JSON.")
        if "?" in self.path and not QUERY.fullmatch(query):
            raise Refusal(
                400,
                "invalid_request",
                "The query is not valid. Its parameters are top_k, a whole number, and explain=1.",
            )
        return self._length()

    def _length(self) -> int:
        given = self.headers.get_all("Content-Length") or []
        if "Transfer-Encoding" in self.headers or (self.command == "POST" and not given):
            raise Refusal(411, "invalid_request", "The request needs a Content-Length.")
        if len(given) > 1 or not all(re.fullmatch(r"[0-9]{1,18}", each) for each in given):
            raise Refusal(400, "invalid_request", "The Content-Length is not a number.")
        length = int(given[0]) if given else 0
        if length and self.command != "POST":
            raise Refusal(400, "invalid_request", f"A {self.command} has no body.")
        if length > MAX_BODY_BYTES:
            raise Refusal(413, "image_too_large", f"{length:,} bytes; at most {MAX_BODY_BYTES:,} are forwarded.")
        return length

    def _forward(self, length: int) -> Answer:
        body = self.rfile.read(length)
        if len(body) < length:
            raise Refusal(400, "invalid_request", "The body is shorter than its Content-Length.")
        headers = {name: value for name in REQUEST_HEADERS if (value := self.headers.get(name)) is not None}
        return self.server.forward(self.command, self.path, body, headers)

    def _refuse(self, refusal: Refusal) -> None:
        self.server.say(f"{self.command} {self.path[:80]!r} refused with {refusal.status}: {refusal.message}")
        self.close_connection = True  # a body may be left unread
        self._send(refusal.status, {"Content-Type": "application/json", "Connection": "close"}, refusal.body())
        # Unread bytes would reset the connection on close, and the client would lose the answer.
        deadline = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            while time.monotonic() < deadline and self.connection.recv(1 << 16):
                pass

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        has_body = self.command != "HEAD" and status != 204
        if has_body:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing, because `say` prints each request."""
