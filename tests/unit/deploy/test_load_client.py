"""The bench's client, with a real server whose answers the test controls."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.load.client import Load, LoadError, request


class Answers:
    """A server that records each body and answers with `status` when `may_answer` is set."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.status = 200
        self.closes = 0  # connections to close without an answer
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.arrived = threading.Semaphore(0)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def port(answers) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            answers.received.append(self.rfile.read(int(self.headers["content-length"])))
            answers.arrived.release()
            assert answers.may_answer.wait(30)
            if answers.closes:
                answers.closes -= 1
                self.close_connection = True
                return
            self.send_response(answers.status)
            self.send_header("content-length", "100000")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a closed load does not wait for its answers
                self.wfile.write(bytes(100_000))

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def loaded(port) -> Iterator[Load]:
    requests = [request(port, "/", body, "image/jpeg") for body in (b"a", b"bb", b"ccc")]
    with closing(Load(port, requests, 3)) as load:
        yield load


def test_the_requested_number_is_sent_in_turn(loaded, answers):
    loaded.count(7)
    assert sorted(answers.received) == sorted([b"a", b"bb", b"ccc"] * 2 + [b"a"])


def test_the_peak_counts_the_answers(loaded, answers):
    rate = loaded.peak(1)
    assert rate > 0
    assert len(answers.received) >= 3


def test_a_stall_counts_for_every_delayed_request(loaded, answers):
    """Three connections hang from the start. Requests that are due meanwhile count as waiting, although they could not
    be sent."""
    answers.may_answer.clear()

    def let_go() -> None:
        for _ in range(3):
            answers.arrived.acquire(timeout=30)
        threading.Event().wait(0.2)  # the stall
        answers.may_answer.set()

    helper = threading.Thread(target=let_go)
    helper.start()
    times = loaded.steady(rate=100, seconds=0.1)
    helper.join()
    assert len(times) == 10
    assert sum(each >= 0.1 for each in times) == 10


def test_an_answer_other_than_200_ends_the_load(loaded, answers):
    answers.status = 503
    with pytest.raises(LoadError, match="503"):
        loaded.count(5)


# --- an open loop that takes every answer ---


def test_an_open_loop_reports_every_answer_with_its_status(loaded, answers):
    answers.status = 429
    got = []
    loaded.follow([0.0, 0.01, 0.02, 0.03], got.append)
    assert [each.status for each in got] == [429] * 4
    assert sorted(each.due for each in got) == pytest.approx([0.0, 0.01, 0.02, 0.03])
    assert all(each.due <= each.sent <= each.ended for each in got)


def test_a_cap_on_connections_that_holds_requests_back_is_reported(loaded, answers):
    answers.may_answer.clear()

    def let_go() -> None:
        for _ in range(3):
            answers.arrived.acquire(timeout=30)
        threading.Event().wait(0.2)
        answers.may_answer.set()

    helper = threading.Thread(target=let_go)
    helper.start()
    got = []
    bound = loaded.follow([0.0] * 4, got.append)
    helper.join()
    assert bound >= 0.1
    assert sum(each.sent - each.due >= 0.1 for each in got) == 1  # the fourth had no connection
    assert loaded.follow([0.0] * 3, got.append) == 0


def test_a_lost_connection_is_an_answer_without_a_status_and_is_replaced(loaded, answers):
    answers.closes = 1
    got = []
    loaded.follow([0.0], got.append)
    loaded.follow([0.0, 0.0, 0.0], got.append)
    assert sorted(each.status for each in got) == [0, 200, 200, 200]


def test_a_closed_loop_takes_every_answer_too(loaded, answers):
    answers.status = 503
    got = loaded.busy(0.1)
    assert len(got) >= 3
    assert {each.status for each in got} == {503}
