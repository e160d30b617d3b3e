"""The endpoint in AWS's serving image under hostile images: refusals instead of failures, and the memory comes back."""

import contextlib
import http.client
import json
import os
import socket
import statistics
import threading
import time
from pathlib import Path

import pytest
from classifier import artifact
from PIL import Image

from tests.packaged.serving_image import Container, container
from tests.unit.classifier.pictures import encoded, noisy_square
from tests.unit.classifier.test_budget import as_mpo, extended_webp, lossless_webp, png, with_exif, with_scans

PHOTO = encoded(noisy_square((200, 40, 40), 1, side=640))
LARGE = encoded(Image.new("RGB", (7000, 7000)), "PNG")
GROWTH = 200 * 1024 * 1024  # bytes that caches may take


def hostile() -> dict[str, bytes]:
    return {
        "scans": with_scans(400),
        "scans in an mpo": as_mpo(with_scans(400)),
        "transparent webp": lossless_webp(7000, 7000, alpha=True),
        "animated webp": extended_webp(7000, 7000, flags=0x02),
        "a column": png(1, 50_000_000),
        "16 bits and alpha": png(7000, 7000, colours=6, depth=16),
        "exif": encoded(noisy_square((1, 2, 3), 1), "PNG", exif=with_exif(2000, 20_000)),
        "the largest photograph": LARGE,
        "the largest webp": encoded(Image.new("RGBA", (4000, 4000), (1, 2, 3, 4)), "WEBP", lossless=True),
        "scans within the budget": with_scans(60),
        "cut": LARGE[:-200],
    }


def ask(started: Container, body: bytes) -> tuple[int, float]:
    """(status, seconds) of an answer."""
    since = time.monotonic()
    status, _, answer = started.ask("POST", "/invocations", body, {"Content-Type": "application/octet-stream"})
    assert status == 200 or "error" in json.loads(answer)
    return status, time.monotonic() - since


def memory(started: Container) -> int:
    """The resident bytes of the container's processes."""
    group, total = os.getpgid(started.child.pid), 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(folder.name)) == group:
                total += int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total


def leave(started: Container, body: bytes) -> None:
    """Send a request and disconnect without waiting for the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", started.port, timeout=60)
    connection.request("POST", "/invocations", body, {"Content-Type": "image/png"})
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


@pytest.mark.slow
@pytest.mark.ray
def test_hostile_images_fail_no_request_and_leave_no_memory(bootstrap_model, tmp_path):
    model = tmp_path / "model"
    artifact.extract(bootstrap_model, model)
    with container(model, tmp_path) as started:
        started.wait_healthy()
        for _ in range(20):
            ask(started, PHOTO)
        quiet, before = [ask(started, PHOTO)[1] for _ in range(100)], memory(started)
        ended, meanwhile = threading.Event(), []

        def ordinary() -> None:
            while not ended.is_set():
                status, seconds = ask(started, PHOTO)
                assert status == 200
                meanwhile.append(seconds)

        caller = threading.Thread(target=ordinary)
        caller.start()
        peak, worst = before, {}
        try:
            for name, data in hostile().items():
                for _ in range(3):
                    status, seconds = ask(started, data)
                    assert status in (200, 422, 503), name
                    worst[name] = max(worst.get(name, 0), seconds)
                    peak = max(peak, memory(started))
            for _ in range(5):
                leave(started, LARGE)
        finally:
            ended.set()
            caller.join()
        while ask(started, LARGE)[0] == 503:  # until the callers who have left leave no image behind
            time.sleep(0.05)
        ask(started, PHOTO)
        after = memory(started)
    for name, seconds in worst.items():
        print(f"{name:26} {seconds * 1000:8.1f} ms")
    for name, times in (("ordinary, quiet", quiet), ("ordinary, meanwhile", meanwhile)):
        middle, last = statistics.median(times), statistics.quantiles(times, n=100)[98]
        print(f"{name:26} {len(times):5} requests, p50 {middle * 1000:.1f} ms, p99 {last * 1000:.1f} ms")
    print(f"memory {before >> 20} MB, at most {peak >> 20} MB, then {after >> 20} MB")
    assert after < before + GROWTH
