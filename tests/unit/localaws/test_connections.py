"""Clients that send nothing, or half of a request, do not take the server away from the others."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from localaws import connections
from localaws.connections import BODY, HEAD, IDLE, ClientConnection
from tests.unit.localaws.conftest import Server

HALVES = {
    "nothing": b"",
    "half of the headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Header: ",
    "half of a body": b"PUT /b/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf",
}


@pytest.fixture
def few_files(own_server: Server) -> Iterator[Server]:
    """A server that may open 256 files, as on some systems."""
    own_server.home.mkdir(parents=True)
    command = f"ulimit -n 256 && exec {sys.executable} -m localaws serve"
    with (own_server.home / "server.log").open("ab") as log:
        own_server.process = subprocess.Popen(
            ["/bin/sh", "-c", command], env=own_server.environment(), stdout=log, stderr=log
        )
    until(lambda: health(own_server.port, 5), "the server answers")
    yield own_server


def until(condition, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not yet: {what}"
        time.sleep(0.1)


def health(port: int, timeout: float = 30) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/_localaws/health")
        return json.loads(connection.getresponse().read())["service"] == "localaws"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("half", HALVES)
def test_hundreds_of_half_sent_requests_do_not_end_service(few_files, half):
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            connection = stack.enter_context(socket.socket())
            connection.settimeout(30)
            connection.connect(("127.0.0.1", few_files.port))
            with contextlib.suppress(OSError):  # closed already, to make room
                connection.sendall(HALVES[half])
        for _ in range(5):
            began = time.monotonic()
            assert health(few_files.port)
            assert time.monotonic() - began < 20
        few_files.client("s3").create_bucket(Bucket="bucket")
    assert "Too many open files" not in (few_files.home / "server.log").read_text()


def test_a_byte_now_and_then_does_not_keep_a_half_sent_request_alive(monkeypatch):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = ClientConnection(ours, HEAD, waits_since=1000.0, head_since=980.0)
        assert not connection.overdue(1000.0)
        assert connection.overdue(1000.5), "it has sent a byte half a second ago"
        connection.waits_since = None
        assert not connection.overdue(10_000.0), "what is worked on may take as long as it takes"
        for phase, seconds in ((IDLE, connections.IDLE_SECONDS), (BODY, connections.STALL_SECONDS)):
            connection.phase, connection.waits_since = phase, 1000.0
            assert not connection.overdue(1000.0 + seconds)
            assert connection.overdue(1000.1 + seconds)


def test_a_slow_head_is_cut_off_and_a_long_answer_is_not(localaws):
    with socket.create_connection(("127.0.0.1", localaws.port), timeout=90) as slow:
        slow.sendall(b"GET /_localaws/health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        began = time.monotonic()
        cut = False
        while not cut and time.monotonic() - began < 60:
            try:
                slow.sendall(b"X: y\r\n")
                slow.settimeout(1)
                cut = slow.recv(1000) == b""
            except TimeoutError:
                continue
            except OSError:
                cut = True
        assert cut
        assert connections.HEAD_SECONDS - 2 < time.monotonic() - began < connections.HEAD_SECONDS + 20
