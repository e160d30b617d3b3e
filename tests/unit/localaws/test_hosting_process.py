"""The hosting container as a process: its bounds, and how it ends. Its model waits for what the test does."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localaws.services.sagemaker.endpoints import own_container
from localaws.services.sagemaker.endpoints.container import SANDBOX

WAIT = 60  # seconds until a test gives up
WORKERS = 2
MODEL = '''
import pathlib, time

folder = pathlib.Path(__file__).parent.parent

def model_fn(model_dir): return "model"
def input_fn(body, content_type): return body.decode()
def output_fn(answer, accept): return answer, "text/plain"

def predict_fn(name, model):
    """Says that it was called, and answers once it may."""
    (folder / f"called-{name}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return name
'''


class Host:
    def __init__(self, folder: Path):
        (folder / "code").mkdir()
        (folder / "code" / "inference.py").write_text(MODEL)
        self.folder = folder
        self.sent: list[str] = []  # the requests that are whole in the sockets
        port_file = folder / "port"
        container = Path(own_container.__file__)
        command = [sys.executable, "-P", container, "--model-dir", folder, "--port-file", port_file]
        self.process = subprocess.Popen(
            [sys.executable, "-I", SANDBOX, "--", *command],
            env={"SAGEMAKER_MODEL_SERVER_WORKERS": str(WORKERS)},
        )
        wait_until(port_file.exists)
        self.port = int(port_file.read_text())

    def ask(self, name: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            self.send(connection, name)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, connection: http.client.HTTPConnection, name: str) -> None:
        connection.request("POST", "/invocations", name, {"Content-Type": "application/x-name"})
        self.sent.append(name)

    def has_taken(self, requests: int) -> bool:
        """Whether it has read `requests` requests, all that were sent, whose clients have not gone."""
        return len(self.sent) >= requests and established(self.port) == requests

    def is_alive(self) -> bool:
        """Whether it answers, and so has seen what had come before."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def has_called(self, name: str) -> bool:
        return (self.folder / f"called-{name}").exists()

    def let_go(self) -> None:
        (self.folder / "go").touch()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def host(tmp_path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()


def test_sigterm_lets_what_was_taken_be_answered_and_takes_no_more(host):
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(host.ask, f"n{number}") for number in range(5)]
        wait_until(lambda: sum(host.has_called(f"n{number}") for number in range(5)) == WORKERS)
        wait_until(lambda: host.has_taken(5))  # two are computed, three wait
        host.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(host))
        assert host.process.poll() is None
        host.let_go()
        assert [each.result() for each in asked] == [(200, f"n{number}".encode()) for number in range(5)]
    assert host.process.wait(WAIT) == 0


def established(port: int) -> int:
    """Connections that the server has taken and in which nothing is left to receive."""
    return sum(row[3] == "01" and row[4].endswith(":00000000") and row[9] != "0" for row in connections(port))


def hung_up(port: int) -> int:
    """Connections whose client has gone, which the server has not closed yet."""
    return sum(row[3] == "08" for row in connections(port))


def connections(port: int) -> list[list[str]]:
    """The server's side of its connections: rows of /proc/net/tcp."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows if row[1] == f"0100007F:{port:04X}"]


def is_refused(host: Host) -> bool:
    try:
        socket.create_connection(("127.0.0.1", host.port), timeout=WAIT).close()
    except ConnectionRefusedError:
        return True
    return False


def test_more_than_workers_and_line_can_take_is_503_at_once(host):
    most = WORKERS + own_container.WAITING
    with ThreadPoolExecutor(most) as pool:
        asked = [pool.submit(host.ask, f"n{number}") for number in range(most)]
        wait_until(lambda: host.has_taken(most))
        status, body = host.ask("one-more")
        assert status == 503
        assert json.loads(body)["type"] == "ServiceUnavailableException"
        assert not host.has_called("one-more")
        host.let_go()
        assert {each.result()[0] for each in asked} == {200}
    assert host.ask("after")[0] == 200


def test_who_hangs_up_while_waiting_is_not_computed(host):
    with ThreadPoolExecutor(WORKERS) as pool:
        asked = [pool.submit(host.ask, f"n{number}") for number in range(WORKERS)]
        wait_until(lambda: all(host.has_called(f"n{number}") for number in range(WORKERS)))
        connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=WAIT)
        host.send(connection, "gone")
        wait_until(lambda: host.has_taken(WORKERS + 1))
        connection.close()
        wait_until(lambda: established(host.port) == WORKERS and hung_up(host.port) == 0)
        assert host.is_alive() and host.is_alive()  # turns of its loop, in which it forgets who has gone
        last = threading.Thread(target=host.ask, args=("last",))
        last.start()
        wait_until(lambda: host.sent[-1] == "last" and established(host.port) == WORKERS + 1)
        host.let_go()
        last.join(WAIT)
        assert {each.result()[0] for each in asked} == {200}
    assert host.has_called("last")
    assert not host.has_called("gone")
