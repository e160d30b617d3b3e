"""How many connections there are at once, and how long each may wait for its client.

A thread serves each connection, so clients that send nothing, or half of a request, would use all threads and files.
The server counts how long each connection waits for its client's bytes. The time in which a request is worked on does
not count, so long invocations are not cut off. When all places are taken, the one that has waited longest is closed.
"""

import contextlib
import io
import resource
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from werkzeug.serving import ThreadedWSGIServer

MOST_CONNECTIONS = 512
OTHER_FILES = 128  # of the process's limit: children's logs, objects, sockets of functions
IDLE_SECONDS = 120.0  # between two requests
HEAD_SECONDS = 20.0  # from the first byte of a request to the end of its headers
STALL_SECONDS = 60.0  # between two parts of a body
LOOK_SECONDS = 1.0
TURN_SECONDS = 0.1

IDLE, HEAD, BODY = "idle", "head", "body"


def most_connections() -> int:
    """How many connections the process's limit of open files allows, after it is raised as far as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + 8 * OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(8, min(MOST_CONNECTIONS, soft - OTHER_FILES))


@dataclass(eq=False)
class ClientConnection:
    """A connection: what it is at, and since when it waits for the client (None: it does not)."""

    socket: socket.socket
    phase: str = IDLE
    waits_since: float | None = field(default_factory=time.monotonic)
    head_since: float = 0.0

    def overdue(self, now: float) -> bool:
        since = self.waits_since
        if since is None:
            return False
        if self.phase == HEAD:  # a byte now and then does not make it longer
            return now - self.head_since > HEAD_SECONDS
        return now - since > (IDLE_SECONDS if self.phase == IDLE else STALL_SECONDS)

    def end(self) -> None:
        """Wake its thread, which finds the connection closed."""
        with contextlib.suppress(OSError):  # the client was faster
            self.socket.shutdown(socket.SHUT_RDWR)


class WatchedInput(io.RawIOBase):
    """What a client sends, and a note of when the server waits for it."""

    def __init__(self, connection: ClientConnection):
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        connection = self._connection
        connection.waits_since = time.monotonic()
        try:
            size = connection.socket.recv_into(buffer)
        finally:
            connection.waits_since = None
        if connection.phase == IDLE and size:
            connection.phase, connection.head_since = HEAD, time.monotonic()
        return size


class BoundedServer(ThreadedWSGIServer):
    """A server with a thread for each connection, and a bound on their number."""

    stopping = False

    def __init__(self, *given: Any, **named: Any):
        self._most = most_connections()
        self._connections: dict[socket.socket, ClientConnection] = {}
        self._change = threading.Condition()
        super().__init__(*given, **named)
        threading.Thread(target=self._end_overdue, name="connections", daemon=True).start()

    def connection_of(self, request: socket.socket) -> ClientConnection:
        return self._connections[request]

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection, once there is a place for it. Raises OSError if there is none yet: it is asked again."""
        with self._change:
            if len(self._connections) >= self._most:
                self._end_longest_waiting()
                self._change.wait_for(lambda: len(self._connections) < self._most, TURN_SECONDS)
            if len(self._connections) >= self._most:
                raise OSError("all connections are in use")
        request, address = super().get_request()
        with self._change:
            self._connections[request] = ClientConnection(request)
        return request, address

    def shutdown_request(self, request: Any) -> None:
        with self._change:
            self._connections.pop(request, None)
            self._change.notify_all()
        super().shutdown_request(request)

    def _end_longest_waiting(self) -> None:
        waiting = [each for each in self._connections.values() if each.waits_since is not None]
        if waiting:
            min(waiting, key=lambda each: each.waits_since or 0.0).end()

    def _end_overdue(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            with self._change:
                overdue = [each for each in self._connections.values() if each.overdue(now)]
            for each in overdue:
                each.end()
