"""The page of `make review` in a real browser: labels by the keyboard, the next version, and the ends of a review."""

from __future__ import annotations

import json
import threading

import pytest

from deploy.review.server import ReviewServer
from tests.unit.deploy.review_support import picture, put_capture, put_dataset
from tests.unit.deploy.test_review import open_review
from tests.unit.predictor import browser as chromium

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="Chromium is not installed (or set CHROMIUM)")

KEYS = {" ": ("Space", 32), "Backspace": ("Backspace", 8), "Enter": ("Enter", 13)}


def press(page: chromium.Page, key: str) -> None:
    code, number = KEYS[key] if key in KEYS else (f"Key{key.upper()}", ord(key.upper()))
    text = "" if key == "Backspace" else "\r" if key == "Enter" else key
    event = {"key": key, "code": code, "windowsVirtualKeyCode": number}
    page.call("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
    page.call("Input.dispatchKeyEvent", type="keyUp", **event)


def test_a_review_by_the_keyboard_alone(account, tmp_path):
    put_dataset(account)
    for seed, probability in ((50, 0.55), (51, 0.6), (52, 0.7), (53, 0.8)):
        put_capture(account, picture(seed), (probability, 1 - probability), distance=None)
    review = open_review(account)
    order = [item.id for item in review.items]
    browser = chromium.Browser(chromium.find(), tmp_path / "profile")
    try:
        with ReviewServer(review) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = browser.page(server.address)

            def says(words: str) -> None:
                page.until(f"document.getElementById('progress').textContent === {json.dumps(words)}")

            def after(key: str, words: str) -> None:
                press(page, key)
                says(words)

            says("4 images left · 0 labels")
            after("Enter", "3 images left · 1 label")  # the model's first class
            after("2", "2 images left · 2 labels")
            after("Backspace", "3 images left · 1 label")
            after("-", "2 images left · 1 label · 1 not one of the classes")
            after(" ", "1 image left · 1 label · 1 not one of the classes · 1 skipped")
            after("2", "0 images left · 2 labels · 1 not one of the classes · 1 skipped")
            assert review.decisions.labels == {order[0]: "001.cat", order[1]: None, order[3]: "002.dog"}
            page.click("#add")
            page.until(
                "document.getElementById('added').textContent.startsWith('The dataset pets-v2 has 2 more images')"
            )
            says("1 image left · 0 labels · 1 not one of the classes")
            assert len(account.stored("datasets/pets-v2/train/")) == 6
            # A class whose name is one letter has that key.
            classes = "['8', 'cat', 'C', '1'].map((label) => ({ folder: label, label }))"
            page.js(f"state.classes = {classes}; assignKeys()")
            assert page.js("['8', 'cat', 'C', '1'].map((folder) => keys.get(folder)).join('')") == "82c1"
            page.call("Network.enable")  # without the server, as after Ctrl-C
            page.call(
                "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
            )
            press(page, "1")
            page.until("document.getElementById('error').textContent.includes('your labels are kept')")
            server.shutdown()
        assert [each for each in page.complaints if "Failed to load" not in each] == []
    finally:
        browser.close()
