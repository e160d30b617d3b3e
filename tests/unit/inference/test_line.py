"""The line of images: it is bounded, makes batches, and skips requests whose clients have disconnected. The tests use
real threads and wait for events instead of sleeping."""

import threading
from concurrent.futures import CancelledError, wait

import numpy as np
import pytest
from classifier.contract import ApiError
from line import LARGE, Line

WAIT = 30  # seconds until a test fails


def as_array(item: bytes, weight=0, is_cancelled=None) -> np.ndarray:
    if item == b"broken":
        raise ApiError("undecodable_image", "The image cannot be decoded.")
    return np.frombuffer(item, np.uint8)


class Gate:
    """A network that waits for permission and records the sizes of its batches. It answers twice its input."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Semaphore(0), threading.Event()
        self.batches: list[int] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.batches.append(len(images))
        self.entered.release()
        assert self.open.wait(WAIT)
        return images * 2

    def wait_entered(self) -> None:
        assert self.entered.acquire(timeout=WAIT)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.mark.parametrize("batch", [1, 4])
def test_every_request_gets_its_own_answer(gate, batch):
    gate.open.set()
    line = Line(as_array, gate, threads=3, batch=batch, wait=0.001)
    answers = [line.submit(bytes([number])) for number in range(60)]
    assert [answer.result(WAIT)[0] for answer in answers] == [2 * number for number in range(60)]


def test_requests_that_arrive_during_a_run_form_a_batch(gate):
    line = Line(as_array, gate, threads=1, batch=4, wait=0.0)
    first = line.submit(b"a")
    gate.wait_entered()
    others = [line.submit(b"b") for _ in range(6)]
    wait_until_prepared(line, 6)
    gate.open.set()
    wait([first, *others], WAIT)
    assert gate.batches == [1, 4, 2]


def test_a_batch_waits_no_longer_than_the_limit(gate):
    """Half of a batch is there and no other item comes. It must be computed anyway."""
    gate.open.set()
    line = Line(as_array, gate, threads=1, batch=4, wait=0.01)
    wait([line.submit(b"a"), line.submit(b"b")], WAIT)
    assert sum(gate.batches) == 2


def wait_until_prepared(line: Line, count: int) -> None:
    deadline = threading.Event()
    threading.Timer(WAIT, deadline.set).start()
    while line._ready.qsize() < count:
        assert not deadline.is_set()
    deadline.set()


@pytest.mark.parametrize("batch", [1, 4])
def test_a_full_line_refuses_at_once_and_accepts_again_when_there_is_room(gate, batch):
    line = Line(as_array, gate, threads=1, batch=batch, capacity=5)
    taken = [line.submit(b"a") for _ in range(5)]
    with pytest.raises(ApiError) as refused:
        line.submit(b"one more")
    assert (refused.value.status, refused.value.code) == (503, "overloaded")
    gate.open.set()
    wait(taken, WAIT)
    assert line.submit(b"\1").result(WAIT)[0] == 2


@pytest.mark.parametrize("batch", [1, 4])
def test_failures_use_no_room_and_go_to_their_own_requests(gate, batch):
    gate.open.set()
    line = Line(as_array, gate, threads=2, batch=batch, wait=0.001, capacity=3)
    for _ in range(10):
        with pytest.raises(ApiError, match="cannot be decoded"):
            line.submit(b"broken").result(WAIT)
        assert line.submit(b"\1").result(WAIT)[0] == 2


@pytest.mark.parametrize("batch", [1, 4])
def test_a_failure_of_the_network_fails_only_its_batch(batch):
    def network(images: np.ndarray) -> np.ndarray:
        if 13 in images:
            raise MemoryError("no memory on the device")
        return images

    line = Line(as_array, network, threads=2, batch=batch, wait=0.001, capacity=3)
    for _ in range(5):
        with pytest.raises(MemoryError):
            line.submit(b"\x0d").result(WAIT)
    assert line.submit(b"\1").result(WAIT)[0] == 1


def test_a_cancelled_request_is_not_computed(gate):
    line = Line(as_array, gate, threads=1, capacity=3)
    first, gone, last = line.submit(b"a"), line.submit(b"b"), line.submit(b"c")
    gate.wait_entered()
    assert gone.cancel()
    gate.open.set()
    wait([first, last], WAIT)
    assert len(gate.batches) == 2
    with pytest.raises(CancelledError):
        gone.result(WAIT)
    wait([line.submit(b"d") for _ in range(3)], WAIT)  # there is room for the same number again


def test_a_request_that_waited_too_long_is_refused_and_not_computed(gate):
    line = Line(as_array, gate, threads=1, patience=0.0)
    gate.open.set()
    with pytest.raises(ApiError) as refused:
        line.submit(b"a").result(WAIT)
    assert refused.value.code == "overloaded"
    assert gate.batches == []


class Decoder:
    """Decodes b"large" until it is told to stop or opened, and anything else at once."""

    def __init__(self) -> None:
        self.entered, self.open, self.stopped = threading.Semaphore(0), threading.Event(), threading.Event()

    def __call__(self, item: bytes, weight: int, is_cancelled) -> np.ndarray:
        if item == b"large":
            self.entered.release()
            while not self.open.wait(0.001):
                if is_cancelled():
                    self.stopped.set()
                    raise RuntimeError("given up")
        return np.frombuffer(item, np.uint8)

    @staticmethod
    def weigh(item: bytes) -> int:
        return 2 * LARGE if item == b"large" else 1


@pytest.mark.parametrize("batch", [1, 4])
def test_large_images_do_not_keep_ordinary_ones_waiting(gate, batch):
    gate.open.set()
    decoder = Decoder()
    line = Line(decoder, gate, threads=1, batch=batch, weigh=decoder.weigh)
    large = line.submit(b"large")
    assert decoder.entered.acquire(timeout=WAIT)
    assert line.submit(b"\1").result(WAIT)[0] == 2
    assert not large.done()
    decoder.open.set()
    large.result(WAIT)


def test_too_many_large_images_are_refused_and_ordinary_ones_are_not(gate):
    gate.open.set()
    decoder = Decoder()
    line = Line(decoder, gate, threads=1, weigh=decoder.weigh)
    large = line.submit(b"large")
    with pytest.raises(ApiError) as refused:
        line.submit(b"large")
    assert refused.value.code == "overloaded"
    assert line.submit(b"\1").result(WAIT)[0] == 2
    decoder.open.set()
    large.result(WAIT)
    line.submit(b"large").result(WAIT)


@pytest.mark.parametrize("batch", [1, 4])
def test_decoding_stops_when_the_caller_leaves(gate, batch):
    gate.open.set()
    decoder = Decoder()
    line = Line(decoder, gate, threads=1, batch=batch, weigh=decoder.weigh)
    left = line.submit(b"large")
    assert decoder.entered.acquire(timeout=WAIT)
    assert left.cancel()
    assert decoder.stopped.wait(WAIT)
    decoder.open.set()
    line.submit(b"large").result(WAIT)  # its room is free again
    assert gate.batches == [1]


def test_a_refusal_by_weight_goes_to_the_caller_at_once(gate):
    def weigh(item: bytes) -> int:
        raise ApiError("too_many_pixels", "too large")

    with pytest.raises(ApiError, match="too large"):
        Line(as_array, gate, threads=1, weigh=weigh).submit(b"a")
