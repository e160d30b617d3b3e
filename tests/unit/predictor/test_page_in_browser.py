"""The page in a real browser: choosing and dropping photos, answers as bars, the keyboard, a phone, and failures."""

import hashlib
import io
import json
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import browser as chromium
import pytest
from classifier.contract import MAX_IMAGE_BYTES
from PIL import Image
from predictor.callers import KeyCheck
from predictor_support import Context, Server, respond

from deploy.function import Signer
from deploy.signing_proxy import SigningProxy
from localaws.services.lambda_.http_event import UrlRequest, make_event, read_result

pytestmark = pytest.mark.skipif(
    chromium.find() is None, reason="Chromium is not installed (on Debian: apt install chromium; or set CHROMIUM)"
)

BREEDS = {"002.Beagle": 0.9312, "English_setter": 0.0441, "014.Pug": 0.0102, "Boxer": 0.0004, "Poodle": 0}
ANSWER = {
    "predictions": [{"label": label, "probability": probability} for label, probability in BREEDS.items()],
    "model": {"name": "dogs-2026", "architecture": "efficientnet-lite0", "created": "2026-11-22", "classes": 20},
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[chromium.Browser]:
    made = chromium.Browser(chromium.find(), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture
def address(serve, predictor, fake_endpoint) -> str:
    """The function behind HTTP, like its URL, in front of an endpoint with dog classes."""
    fake_endpoint.reply = lambda _: (200, {}, json.dumps(ANSWER).encode())

    def answer(handler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"] or 0))
        path, _, query = handler.path.partition("?")
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = UrlRequest(handler.command, path, query, headers, body, "HTTP/1.1", "127.0.0.1", "localhost")
        event = make_event(request, "id", str(uuid.uuid4()), "123456789012", None)
        said = read_result(json.dumps(predictor.answer(event, Context())).encode())
        respond(handler, said.status, dict(said.headers), said.body)

    server: Server = serve(answer)
    return f"{server.url}/"


@pytest.fixture
def photo(tmp_path) -> Path:
    """A picture of 640 x 427."""
    return picture(tmp_path / "a dog's photo.jpg", 640, 427)


def picture(path: Path, width: int, height: int, **settings) -> Path:
    ramp = Image.linear_gradient("L").resize((width, height))
    Image.merge("RGB", (ramp, ramp.rotate(180), ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT))).save(path, **settings)
    return path


@pytest.fixture
def open_page(browser, address) -> Iterator:
    """Pages at the function's address. They must not cause browser complaints other than the expected ones."""
    pages = []

    def start(**settings) -> chromium.Page:
        pages.append(browser.page(address, **settings))
        return pages[-1]

    yield start
    for page in pages:
        complaints, expected = page.complaints, getattr(page, "expected", 0)
        page.close()
        assert len(complaints) == expected, complaints


def answered(page: chromium.Page) -> None:
    page.until("!document.querySelector('#result').hidden")


def test_a_chosen_photo_is_shown_with_its_answers_as_bars(open_page, photo, fake_endpoint):
    page = open_page()
    assert page.js("document.querySelector('#result').hidden")
    page.choosing(lambda: page.click("#choose"), photo)
    answered(page)
    assert page.until("document.querySelector('#picture').naturalWidth") == 640
    rows = page.js("[...document.querySelectorAll('#answers .answer')].map(e => e.innerText.replaceAll('\\n', ' '))")
    assert rows == ["Beagle 93.1 %", "English setter 4.4 %", "Pug 1.0 %", "Boxer < 0.1 %", "Poodle 0.0 %"]
    page.until("document.querySelector('.bar').offsetWidth && document.getAnimations().length === 0")
    widths = page.js(
        "[...document.querySelectorAll('.bar')].map(e => e.offsetWidth / e.parentElement.offsetWidth)",
    )
    assert widths == pytest.approx(list(BREEDS.values()), abs=0.01)
    assert page.js("document.querySelector('#status').textContent") == "Beagle, 93.1 %", "screen readers announce it"
    assert fake_endpoint.received[-1].body == photo.read_bytes(), "a small photo is sent unchanged"


def test_a_dropped_photo_is_answered_and_the_next_one_takes_its_place(open_page, photo, tmp_path, fake_endpoint):
    page = open_page()
    page.drop(photo, "#drop")
    answered(page)
    other = picture(tmp_path / "other.png", 30, 20)
    page.drop(other, "footer")
    page.until("document.querySelector('#picture').naturalWidth === 30")
    answered(page)
    assert fake_endpoint.received[-1].body == other.read_bytes()
    assert "other.png" in page.js("document.querySelector('#command').textContent")


def test_a_phones_photo_is_scaled_down_and_upright_before_it_is_sent(open_page, tmp_path, fake_endpoint):
    """12 megapixels in the sensor's orientation, red at its left. Upright (EXIF 6), red is at the top."""
    sensor = Image.effect_noise((4032, 3024), 120).convert("RGB")
    sensor.paste((200, 20, 20), (0, 0, 1500, 3024))
    exif = Image.Exif()
    exif[0x0112] = 6
    original = tmp_path / "IMG_0001.jpg"
    sensor.save(original, quality=95, exif=exif)
    assert original.stat().st_size > MAX_IMAGE_BYTES
    page = open_page()
    page.drop(original, "#drop")
    answered(page)
    sent = Image.open(io.BytesIO(fake_endpoint.received[-1].body))
    assert (sent.format, sent.size, sent.getexif().get(0x0112, 1)) == ("JPEG", (768, 1024), 1)
    assert sent.getpixel((384, 20))[0] > 150 > sent.getpixel((384, 20))[1]
    assert max(sent.getpixel((384, 1000))) - min(sent.getpixel((384, 1000))) < 60, "the noise is grey"


def test_an_address_with_a_key_asks_for_it_once(open_page, photo, predictor, fake_endpoint):
    predictor._key = KeyCheck(hashlib.sha256(b"secret").hexdigest())
    page = open_page()
    page.expected = 1  # the browser itself logs the 401
    page.js("window.prompt = () => 'secret'")
    page.drop(photo, "#drop")
    answered(page)
    page.js("window.prompt = () => null")
    page.drop(photo, "footer")
    chromium.until(lambda: len(fake_endpoint.received) == 2, "the second picture has an answer without a question")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_page_works_with_the_keyboard_alone(open_page, photo, key):
    page = open_page()
    page.press("Tab")
    assert page.js("document.activeElement.id") == "choose"
    assert page.js("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is visible"
    page.choosing(lambda: page.press(key), photo)
    answered(page)
    for button in ("explain", "copy"):
        page.press("Tab")
        assert page.js("document.activeElement.id") == button


def test_on_a_phone_nothing_is_cut_off_and_the_buttons_are_large_enough(open_page, tmp_path):
    page = open_page(width=360, height=740, mobile=True)
    page.choosing(lambda: page.click("#choose"), picture(tmp_path / "portrait.jpg", 600, 900))
    answered(page)
    page.until("document.querySelector('#picture').naturalHeight === 900")
    assert page.js("document.documentElement.scrollWidth") <= 360
    assert page.js("getComputedStyle(document.querySelector('#photograph')).display") != "none", "it has a camera"
    sizes = page.js(
        "[...document.querySelectorAll('button')].filter(e => e.offsetWidth).map(e => [e.offsetWidth, e.offsetHeight])"
    )
    assert all(width >= 44 and height >= 44 for width, height in sizes), sizes
    top = page.js("document.querySelector('#answers li').getBoundingClientRect().bottom")
    assert top <= 740, "the first answer is seen without scrolling"


def test_a_picture_that_is_not_one_of_the_classes_is_not_given_one(open_page, photo, fake_endpoint):
    page = open_page()
    page.drop(photo, "#drop")
    answered(page)
    assert page.js("document.querySelector('#unknown').hidden"), "this model does not say it"
    answer = json.dumps(ANSWER | {"known": False, "distance": 1.4142})
    fake_endpoint.reply = lambda _: (200, {}, answer.encode())
    page.drop(photo, "#drop")
    page.until("document.querySelector('#status').textContent === 'Not one of the classes'")
    said = page.js("document.querySelector('#unknown').innerText")
    assert "Not one of the classes" in said
    assert "distance is 1.41" in said
    weights = page.js("[...document.querySelectorAll('.answer')].map(e => getComputedStyle(e).fontWeight)")
    assert set(weights) == {"400"}, "no prediction stands out"


def test_a_heat_map_covers_the_middle_square_and_is_asked_for_once_it_is_wanted(open_page, photo, fake_endpoint):
    heat = {"label": "002.Beagle", "heat": [[0, 0.5], [1, 0]]}

    def reply(received) -> tuple[int, dict, bytes]:
        wanted = "explain=1" in received.headers.get("x-amzn-sagemaker-custom-attributes", "")
        return 200, {}, json.dumps(ANSWER | ({"explanation": heat} if wanted else {})).encode()

    fake_endpoint.reply = reply
    page = open_page()
    page.drop(photo, "#drop")
    answered(page)
    assert page.js("document.querySelector('#heat').hidden")
    page.click("#explain")
    page.until("!document.querySelector('#heat').hidden")
    shape = "(e => [e.offsetLeft, e.offsetTop, e.offsetWidth, e.offsetHeight])"
    left, top, width, height = page.js(f"{shape}(document.querySelector('#heat'))")
    whole_width, whole_height = page.js(f"{shape}(document.querySelector('#picture'))")[2:]
    assert (top, width, height) == (0, whole_height, whole_height)
    assert left == pytest.approx((whole_width - width) / 2, abs=1)
    red = page.js("[...document.querySelector('#heat').getContext('2d').getImageData(0, 0, 2, 2).data]")
    assert red[3] == 0 < red[7] < red[11], "the more it speaks for the class, the less transparent"
    legend = page.js("document.querySelector('#legend').textContent")
    assert "speak most for Beagle." in legend
    assert "outside of the dashed square" in legend, "this picture is not square"
    page.click("#explain")
    assert page.js("document.querySelector('#heat').hidden")
    assert len(fake_endpoint.received) == 2


def test_a_model_without_a_heat_map_says_so(open_page, photo):
    page = open_page()
    page.drop(photo, "#drop")
    answered(page)
    page.click("#explain")
    page.until("document.querySelector('#legend').textContent === 'This model has no heat map.'")
    assert page.js("document.querySelector('#heat').hidden")


def test_a_failure_is_shown_with_its_request_id_and_can_be_retried(open_page, photo, fake_endpoint):
    fake_endpoint.fails(503, "ServiceUnavailable")
    page = open_page()
    page.expected = 1  # the browser itself logs each failed request
    page.drop(photo, "#drop")
    page.until("!document.querySelector('#failure').hidden")
    assert "not available" in page.js("document.querySelector('#reason').textContent")
    assert "502" in page.js("document.querySelector('#trace').textContent")
    assert "4d7f-request" in page.js("document.querySelector('#trace').textContent")
    assert page.js("document.querySelector('#result').hidden")
    fake_endpoint.reply = lambda _: (200, {}, json.dumps(ANSWER).encode())
    page.click("#again")
    answered(page)
    assert page.js("document.querySelector('#failure').hidden")


def test_a_file_that_is_not_a_picture_is_refused_with_a_message(open_page, tmp_path):
    page = open_page()
    text = tmp_path / "notes.txt"
    text.write_text("woof")
    page.drop(text, "#drop")
    page.until("!document.querySelector('#failure').hidden")
    assert "cannot read the file as a picture" in page.js("document.querySelector('#reason').textContent")
    assert page.js("document.querySelector('#again').hidden"), "a retry would not help"


def test_the_page_and_its_curl_command_work_through_the_signing_proxy(browser, address, photo, fake_endpoint):
    """As with `make page`: the page has the address of the proxy, which signs the requests of the page and curl."""
    url = address.replace("127.0.0.1", "function.localhost")
    with SigningProxy(url, Signer("us-east-1")) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        page = browser.page(proxy.address)
        page.drop(photo, "#drop")
        answered(page)
        line = page.js("document.querySelector('#command').textContent")
        complaints = page.complaints
        page.close()
        assert proxy.address in line
        pasted = subprocess.run(["/bin/sh", "-c", f"{line} -sS"], cwd=photo.parent, capture_output=True, timeout=120)
        proxy.shutdown()

    assert complaints == []
    assert [received.body for received in fake_endpoint.received] == [photo.read_bytes()] * 2
    assert json.loads(pasted.stdout)["predictions"][0]["label"] == "002.Beagle"


def test_a_page_of_another_site_gets_nothing_through_the_signing_proxy(browser, address, serve, fake_endpoint):
    """A browser blocks reading such an answer, but sends the request. The proxy does not forward it."""
    said: list[str] = []
    url = address.replace("127.0.0.1", "function.localhost")
    with SigningProxy(url, Signer("us-east-1"), say=said.append) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        evil = serve(lambda handler: respond(handler, 200, {"content-type": "text/html"}, b"<title>evil</title>"))
        page = browser.page(f"http://evil.example:{evil.port}/")
        sent = f"fetch({json.dumps(proxy.address)}, {{method: 'POST', mode: 'no-cors', body: 'x'}}).catch(() => 0)"
        page.js(f"{sent}.then(() => 0)")
        rebound = browser.page(f"http://evil.example:{proxy.port}/")
        shown = rebound.js("document.body.innerText")
        page.close()
        rebound.close()
        proxy.shutdown()

    assert fake_endpoint.received == []
    assert "wrong_host" in shown
    assert any(words.startswith("POST '/' refused with 403") for words in said), "the request did arrive"
