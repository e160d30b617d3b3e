"""A load client that uses little processor time: one thread, one selector, prepared requests.

`peak` keeps every connection busy. `steady` and `follow` send at fixed times, without waiting for answers. They measure
each answer from the time at which its request was due, so a stall counts for every delayed request.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

CONNECT_SECONDS = 10.0


class LoadError(Exception):
    """An answer was not 200, or the server closed the connection."""


@dataclass(frozen=True)
class LoadTarget:
    """The address of a server."""

    port: int
    host: str = "127.0.0.1"
    tls: bool = False


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """One answer: when its request was due, was sent and was answered, in seconds from the start, and its HTTP status,
    0 if there was no answer."""

    due: float
    sent: float
    ended: float
    status: int

    @property
    def latency(self) -> float:
        """Seconds from when the request was due."""
        return self.ended - self.due


def request(port: int, path: str, body: bytes, content_type: str) -> bytes:
    return raw_request(path, body, {"Host": f"127.0.0.1:{port}", "Content-Type": content_type})


def raw_request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST request as it is sent."""
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class _Connection:
    def __init__(self, target: LoadTarget):
        self.socket: socket.socket = socket.create_connection((target.host, target.port), CONNECT_SECONDS)
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.tls:
            self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=target.host)
        self.due = self.sent = 0.0
        self.status = 0
        self._got = b""

    def send(self, data: bytes, due: float) -> None:
        self.due, self.sent, self._got = due, time.perf_counter(), b""
        self.socket.sendall(data)

    def receive(self) -> bool:
        """Whether the answer is complete; then `status` is its. Raises LoadError if the server closed."""
        part = self.socket.recv(65_536)
        while isinstance(self.socket, ssl.SSLSocket) and (more := self.socket.pending()):
            part += self.socket.recv(more)
        if not part:
            raise LoadError("The server closed the connection.")
        self._got += part
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return False
        self.status = int(head[9:12])
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            return body.endswith(b"0\r\n\r\n")
        length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0])
        return len(body) >= length

    def require_ok(self) -> None:
        if self.status != 200:
            raise LoadError(self._got[:300].decode("latin-1"))


class Load:
    """Connections to one server, which send the requests in turn. A number as the server is a port of 127.0.0.1."""

    def __init__(self, server: int | LoadTarget, requests: Sequence[bytes], connections: int):
        self._target = LoadTarget(server) if isinstance(server, int) else server
        self.requests, self._next = requests, 0
        self._selector = selectors.DefaultSelector()
        self._idle: deque[_Connection] = deque()
        self._size = connections
        for _ in range(connections):
            self._open()

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def peak(self, seconds: float) -> float:
        """Answers per second with every connection busy. Raises LoadError."""
        began = time.perf_counter()
        return len(self._run(lambda now: now < began + seconds)) / (time.perf_counter() - began)

    def count(self, number: int) -> None:
        """Send `number` requests with every connection busy. Raises LoadError."""
        self._run(lambda _: self._next < number, restart=True)

    def steady(self, rate: float, seconds: float) -> list[float]:
        """The seconds of each answer, with `rate` requests due per second. Raises LoadError."""
        began = time.perf_counter()
        times, sent, total = [], 0, int(rate * seconds)
        while len(times) < total:
            due = began + sent / rate
            now = time.perf_counter()
            if sent < total and due <= now and self._idle:
                self._send(due)
                sent += 1
                continue
            times += self._receive(max(0.0, due - now) if sent < total and self._idle else None)
        return times

    def busy(self, seconds: float) -> list[LoadAnswer]:
        """The answers of any status for `seconds` with every connection busy. A request is due when it is sent."""
        began = time.perf_counter()
        answers: list[LoadAnswer] = []
        while (now := time.perf_counter()) < began + seconds or len(self._idle) < self._size:
            if now < began + seconds and self._idle:
                self._send(now)
                continue
            self._collect(began, answers.append, max(0.0, began + seconds - now) or None)
        return answers

    def follow(self, dues: Iterable[float], report: Callable[[LoadAnswer], None]) -> float:
        """Send a request at each of `dues`, ascending seconds from now, and report each answer, whatever its status.

        Returns the seconds for which requests were late because every connection was busy: the cap on concurrency was
        binding then.
        """
        began = time.perf_counter()
        bound, waiting_since = 0.0, None
        for due in dues:
            while True:
                now = time.perf_counter() - began
                if due <= now and self._idle:
                    if waiting_since is not None:
                        bound, waiting_since = bound + now - waiting_since, None
                    self._send(began + due)
                    break
                if due <= now and waiting_since is None:
                    waiting_since = now
                self._collect(began, report, max(0.0, due - now) if self._idle else None)
        while len(self._idle) < self._size:
            self._collect(began, report, None)
        return bound

    # --- within ---

    def _open(self) -> None:
        connection = _Connection(self._target)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._idle.append(connection)

    def _run(self, wanted: Callable[[float], bool], restart: bool = False) -> list[float]:
        if restart:
            self._next = 0
        times, size = [], len(self._idle)
        while True:
            while self._idle and wanted(now := time.perf_counter()):
                self._send(now)
            if len(self._idle) == size:
                return times
            times += self._receive(None)

    def _send(self, due: float) -> None:
        connection = self._idle.popleft()
        with contextlib.suppress(OSError):  # the server closed it, which its next receive reports
            connection.send(self.requests[self._next % len(self.requests)], due)
        self._next += 1

    def _receive(self, timeout: float | None) -> list[float]:
        times = []
        for key, _ in self._selector.select(timeout):
            if key.data.receive():
                key.data.require_ok()
                times.append(time.perf_counter() - key.data.due)
                self._idle.append(key.data)
        return times

    def _collect(self, began: float, report: Callable[[LoadAnswer], None], timeout: float | None) -> None:
        """Report the answers within `timeout` seconds. A lost connection is an answer without a status."""
        for key, _ in self._selector.select(timeout):
            connection = key.data
            try:
                if not connection.receive():
                    continue
                status = connection.status
                self._idle.append(connection)
            except (LoadError, OSError):
                status = 0
                self._selector.unregister(connection.socket)
                connection.socket.close()
                if connection in self._idle:  # closed between requests
                    self._idle.remove(connection)
                    self._open()
                    continue
                self._open()
            ended = time.perf_counter()
            report(LoadAnswer(connection.due - began, connection.sent - began, ended - began, status))
