"""The Lambda Runtime API for one environment: it hands out invocations and takes in what became of them.

Source of the contract: "Using the Lambda runtime API" in the Lambda developer guide, version 2018-06-01. The runtime
(`awslambdaric`) is given only a host and a port, so each environment has a server of its own.
"""

import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/2018-06-01/runtime"
READY, RESPONSE, ERROR, INIT_ERROR, EXIT = "ready", "response", "error", "init-error", "exit"


@dataclass(frozen=True)
class Invocation:
    """One request to a function. `deadline_ms` is an instant, in milliseconds since 1970."""

    request_id: str
    payload: bytes
    function_arn: str
    trace_id: str
    client_context: str | None = None
    deadline_ms: int = 0


@dataclass(frozen=True)
class Event:
    """What the runtime said, by one of the names above; `returncode` comes with EXIT, `body` with the others."""

    name: str
    request_id: str | None = None
    body: bytes = b""
    returncode: int = 0


@dataclass
class RuntimeApi:
    """Listens on 127.0.0.1 until closed. What happens arrives in `events`, in order."""

    events: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)
    _waiting: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        # A short poll, as `close` waits for it.
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="runtime api", daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def send(self, invocation: Invocation) -> None:
        self._waiting.put(invocation)

    def next(self) -> Invocation | None:
        """What the runtime's long poll waits for; None once the API is closed."""
        self.events.put(Event(READY))
        return self._waiting.get()

    def close(self) -> None:
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    api: RuntimeApi


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait for an acknowledgement in between
    server: _Server

    def do_GET(self) -> None:
        if self.path != f"{PREFIX}/invocation/next":
            return self._answer(404)
        invocation = self.server.api.next()
        if invocation is None:
            self.close_connection = True
            return None
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        if invocation.client_context is not None:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        return self._answer(200, invocation.payload, headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == f"{PREFIX}/init/error":
            event = Event(INIT_ERROR, body=body)
        else:
            request_id, _, kind = self.path.removeprefix(f"{PREFIX}/invocation/").partition("/")
            if kind not in (RESPONSE, ERROR):
                return self._answer(404)
            event = Event(kind, request_id, body)
        # Answered before it is told: what is told may end the process that waits for the answer.
        self._answer(202, b'{"status":"OK"}')
        return self.server.api.events.put(event)

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """The function's own log tells what happened."""
