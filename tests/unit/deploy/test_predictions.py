"""`make predict` for many images: a line of CSV for each, in order, whatever happens to one of them."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy import predictions
from deploy.console import Failure


class Function(ThreadingHTTPServer):
    """A function URL whose label is the body. It is busy for the first `busy` requests, and refuses b"bad"."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.busy, self.queries, self.lock = 0, set(), threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://abc.lambda-url.us-east-1.localhost:{self.server_address[1]}/"

    def answer(self, query: str, body: str) -> tuple[int, dict]:
        with self.lock:
            self.queries.add(query)
            self.busy -= 1
            if self.busy >= 0:
                return 429, {"error": {"code": "throttled", "message": "busy"}}
        if body == "bad":
            return 422, {"error": {"code": "undecodable_image", "message": "It is not an image."}}
        trust = {"known": False, "distance": 1.5} if body == "chair" else {}
        return 200, trust | {
            "predictions": [{"label": body, "probability": 0.75}, {"label": "other", "probability": 0.25}]
        }


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status, answer = self.server.answer(self.path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def function() -> Iterator[Function]:
    server = Function()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    (root / "more").mkdir(parents=True)
    for name, content in {
        "a.jpg": "cat",
        "b.JPG": "dog",
        "notes.txt": "n",
        ".hidden.jpg": "h",
        "more/c.png": "owl",
    }.items():
        (root / name).write_text(content)
    return root


def lines(function: Function, account, wanted: str, top_k: int | None = None) -> tuple[int, list[dict]]:
    deployment = account.deployed(function_url=function.url)
    found, out = predictions.find(deployment, wanted), io.StringIO()
    assert found is not None
    failures = predictions.write(deployment, found, top_k, out, pause=0)
    return failures, list(csv.DictReader(io.StringIO(out.getvalue())))


def test_the_images_of_a_folder_are_classified_in_order(function, account, folder):
    failures, rows = lines(function, account, str(folder))
    assert failures == 0
    assert [(Path(row["image"]).name, row["label"], row["probability"], row["error"]) for row in rows] == [
        ("a.jpg", "cat", "0.7500", ""),
        ("b.JPG", "dog", "0.7500", ""),
        ("c.png", "owl", "0.7500", ""),
    ]
    assert function.queries == {"/?top_k=1"}


def test_a_pattern_takes_every_file_that_it_names(function, account, folder):
    assert [row["label"] for row in lines(function, account, f"{folder}/*.[jt]*")[1]] == ["cat", "n"]


def test_more_labels_have_their_own_columns(function, account, folder):
    assert lines(function, account, f"{folder}/a.*", top_k=2)[1][0] | {"image": ""} == {
        "image": "",
        "label": "cat",
        "probability": "0.7500",
        "error": "",
        "known": "",
        "distance": "",
        "label_2": "other",
        "probability_2": "0.2500",
    }


def test_what_is_not_one_of_the_classes_is_marked_and_counted(function, account, folder, capsys):
    (folder / "b.JPG").write_text("chair")
    failures, rows = lines(function, account, str(folder))
    assert failures == 0
    assert [(row["known"], row["distance"]) for row in rows] == [("", ""), ("no", "1.500"), ("", "")]
    assert "1 of 3 images are not one of the classes" in " ".join(capsys.readouterr().err.split())


def test_a_file_that_fails_has_its_error_and_the_others_their_labels(function, account, folder):
    (folder / "b.JPG").write_text("bad")
    failures, rows = lines(function, account, str(folder))
    assert failures == 1
    assert [row["label"] or row["error"] for row in rows] == ["cat", "It is not an image.", "owl"]


def test_a_busy_endpoint_is_asked_again(function, account, folder):
    function.busy = 4
    assert [row["label"] for row in lines(function, account, str(folder))[1]] == ["cat", "dog", "owl"]


def test_images_in_s3_are_read_by_prefix_and_by_key(function, account, folder):
    for name in ("a.jpg", "notes.txt", "more/c.png"):
        account.client("s3").upload_file(str(folder / name), "pawprint-test", f"in/{name}")
    account.client("s3").put_object(Bucket="pawprint-test", Key="in-other/a.jpg", Body=b"x")
    assert [row["label"] for row in lines(function, account, "s3://pawprint-test/in")[1]] == ["cat", "owl"]
    assert [row["label"] for row in lines(function, account, "s3://pawprint-test/in/notes.txt")[1]] == ["n"]


@pytest.mark.parametrize("wanted", ["nothing/*.jpg", "s3://pawprint-test/nothing/", "s3://no-such-bucket-here/"])
def test_a_place_without_images_is_refused(account, wanted):
    with pytest.raises(Failure, match=r"has no image|cannot be read"):
        predictions.find(account.deployment, wanted)


@pytest.mark.parametrize("wanted", ["https://example.com/*.jpg", "dog.jpg"])
def test_one_image_is_answered_as_before(account, wanted):
    assert predictions.find(account.deployment, wanted) is None
