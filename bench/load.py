"""A load client that uses little processor time: one thread, one selector, prepared requests.

`peak` keeps every connection busy. `steady` sends at fixed times, without waiting for answers. It measures each answer
from the time at which its request was due, so a stall counts for every delayed request.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence


class LoadError(Exception):
    """An answer was not 200, or the server closed the connection."""


def request(port: int, path: str, body: bytes, content_type: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Connection:
    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._got = b""

    def send(self, data: bytes, due: float) -> None:
        self.due, self._got = due, b""
        self.socket.sendall(data)

    def receive(self) -> bool:
        """Whether the answer is complete. Raises LoadError."""
        part = self.socket.recv(65_536)
        if not part:
            raise LoadError("The server closed the connection.")
        self._got += part
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise LoadError(self._got[:300].decode("latin-1"))
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            return body.endswith(b"0\r\n\r\n")
        length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0])
        return len(body) >= length


class Load:
    """Connections to one server, which send the requests in turn."""

    def __init__(self, port: int, requests: Sequence[bytes], connections: int):
        self._requests, self._next = requests, 0
        self._selector = selectors.DefaultSelector()
        self._idle = deque(_Connection(port) for _ in range(connections))
        for connection in self._idle:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
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
        self._idle.popleft().send(self._requests[self._next % len(self._requests)], due)
        self._next += 1

    def _receive(self, timeout: float | None) -> list[float]:
        times = []
        for key, _ in self._selector.select(timeout):
            if key.data.receive():
                times.append(time.perf_counter() - key.data.due)
                self._idle.append(key.data)
        return times
