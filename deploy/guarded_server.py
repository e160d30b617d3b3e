"""A small HTTP server on 127.0.0.1 for a browser of this machine, which keeps other web pages out.

A page that the user visits can send requests to 127.0.0.1 too, with the user's permissions. So a request is refused
unless it comes from this server's own page, or from a program:

- `Host` must be the server's own address. If another site makes its name point to 127.0.0.1 (DNS rebinding), its page
  sends that name.
- `Origin` and `Sec-Fetch-Site` must not name another site.
- The method and the path must be known, and the body has a size limit.

Other users of the same machine can reach 127.0.0.1 too.
"""

from __future__ import annotations

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

ADDRESS = "127.0.0.1"
CLIENT_SECONDS = 30
LINGER_SECONDS = 2


def port(text: str) -> int:
    """A port number. 0 means any free port."""
    number = int(text)
    if not 0 <= number < 65536:
        raise ValueError
    return number


class Refusal(Exception):
    """The server does not do what a request asks."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self) -> bytes:
        """The shape of the function's own errors."""
        return json.dumps({"error": {"code": self.code, "message": self.message, "request_id": None}}).encode()


@dataclass(frozen=True)
class Answer:
    """The status, the headers and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


class GuardedServer(ThreadingHTTPServer):
    """The server. `say` gets one line for each POST and each refusal. Raises OSError if the port is in use. Port 0
    means any free port."""

    daemon_threads = True

    def __init__(self, handler: type[GuardedHandler], port: int, say: Callable[[str], None]):
        super().__init__((ADDRESS, port), handler)
        self.say = say
        self.port = self.server_address[1]
        self.hosts = {f"{name}:{self.port}" for name in (ADDRESS, "localhost")}
        self.address = f"http://{ADDRESS}:{self.port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser may disconnect. That is not an error of this program."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class GuardedHandler(BaseHTTPRequestHandler):
    """One connection from a browser or curl. A subclass says which requests there are, and answers them."""

    server: GuardedServer  # ty: ignore[incompatible-mutable-override] (the server that made it)
    protocol_version = "HTTP/1.1"
    timeout = CLIENT_SECONDS
    max_body_bytes = 0

    def check_route(self) -> None:
        """Raise Refusal unless the path, the method and the query are known."""
        raise NotImplementedError

    def respond(self, body: bytes) -> Answer:
        """The answer to a request that passed the checks. Raises Refusal."""
        raise NotImplementedError

    def answer(self) -> None:
        """Check the request, and send the answer."""
        began = time.monotonic()
        try:
            answer = self.respond(self._body(self._check()))
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
        """The length of the body. Raises Refusal if the request must not be answered."""
        host = self.headers.get_all("Host") or []
        if len(host) != 1 or host[0].lower() not in self.server.hosts:
            raise Refusal(421, "wrong_host", f"The request names another host. Open {self.server.address}.")
        own = f"http://{host[0].lower()}"
        origin, site = self.headers.get("Origin", own), self.headers.get("Sec-Fetch-Site", "none")
        if origin.lower() != own or site not in ("none", "same-origin"):
            raise Refusal(
                403, "cross_site", "Another site sent this request. Only the page of this address may send requests."
            )
        self.check_route()
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
        if length > self.max_body_bytes:
            raise Refusal(413, "image_too_large", f"{length:,} bytes; at most {self.max_body_bytes:,} are accepted.")
        return length

    def _body(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise Refusal(400, "invalid_request", "The body is shorter than its Content-Length.")
        return body

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
