"""`make predict` for many images: a line for each, in order, whatever happens to one of them."""

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
        self.busy, self.code, self.queries, self.lock = 0, "throttled", set(), threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://abc.lambda-url.us-east-1.localhost:{self.server_address[1]}/"

    def answer(self, query: str, body: str) -> tuple[int, dict]:
        with self.lock:
            self.queries.add(query)
            self.busy -= 1
            if self.busy >= 0:
                return 429, {"error": {"code": self.code, "message": "busy"}}
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


@pytest.fixture
def lines(function: Function, account, tmp_path: Path):
    """Classify what is wanted; give the number of failures and the lines of the CSV."""

    def run(wanted: str, top_k: int | None = None) -> tuple[int, list[dict]]:
        deployment, out = account.deployed(function_url=function.url), tmp_path / "answers.csv"
        found = predictions.find(deployment, wanted, one_too=True)
        assert found is not None
        failures = predictions.answer(deployment, found, top_k, out, pause=0)
        return failures, list(csv.DictReader(io.StringIO(out.read_text())))

    return run


def test_the_images_of_a_folder_are_classified_in_order(lines, function, folder):
    failures, rows = lines(str(folder))
    assert failures == 0
    assert [(Path(row["image"]).name, row["label"], row["probability"], row["error"]) for row in rows] == [
        ("a.jpg", "cat", "0.7500", ""),
        ("b.JPG", "dog", "0.7500", ""),
        ("c.png", "owl", "0.7500", ""),
    ]
    assert function.queries == {"/?top_k=1"}


def test_a_single_file_has_a_csv_too(lines, folder):
    assert [row["label"] for row in lines(f"{folder}/more/c.png")[1]] == ["owl"]


def test_files_that_fail_and_files_that_are_not_sent_are_named_and_counted(lines, folder, capsys):
    (folder / "b.JPG").write_text("bad")
    failures, _ = lines(str(folder))
    said = capsys.readouterr().err
    assert failures == 1
    assert "2 of 3 images have an answer" in said
    assert "b.JPG: It is not an image." in said
    assert "images: 1 .txt" in said


def test_a_table_has_the_names_after_their_common_folder(function, account, folder):
    deployment = account.deployed(function_url=function.url)
    found = predictions.find(deployment, str(folder))
    answers = list(predictions.classify(deployment, found, 2, pause=0))
    shown = predictions.table(answers, 2)
    assert [list(column.cells) for column in shown.columns] == [
        ["a.jpg", "b.JPG", "more/c.png"],
        ["cat", "dog", "owl"],
        ["0.7500"] * 3,
        ["other"] * 3,
        ["0.2500"] * 3,
    ]


def test_an_output_that_cannot_be_written_is_refused_before_the_first_request(function, account, folder, tmp_path):
    deployment = account.deployed(function_url=function.url)
    with pytest.raises(Failure, match="cannot be written"):
        predictions.answer(deployment, predictions.find(deployment, str(folder)), 1, tmp_path / "no" / "a.csv")
    assert not function.queries


def test_a_pattern_takes_every_file_that_it_names(lines, folder):
    assert [row["label"] for row in lines(f"{folder}/*.[jt]*")[1]] == ["cat", "n"]


def test_more_labels_have_their_own_columns(lines, folder):
    assert lines(f"{folder}/a.*", top_k=2)[1][0] | {"image": ""} == {
        "image": "",
        "label": "cat",
        "probability": "0.7500",
        "error": "",
        "known": "",
        "distance": "",
        "label_2": "other",
        "probability_2": "0.2500",
    }


def test_what_is_not_one_of_the_classes_is_marked_and_counted(lines, folder, capsys):
    (folder / "b.JPG").write_text("chair")
    failures, rows = lines(str(folder))
    assert failures == 0
    assert [(row["known"], row["distance"]) for row in rows] == [("", ""), ("no", "1.500"), ("", "")]
    assert "1 of 3 images are not one of the classes" in " ".join(capsys.readouterr().err.split())


def test_a_file_that_fails_has_its_error_and_the_others_their_labels(lines, folder):
    (folder / "b.JPG").write_text("bad")
    failures, rows = lines(str(folder))
    assert failures == 1
    assert [row["label"] or row["error"] for row in rows] == ["cat", "It is not an image.", "owl"]


def test_a_busy_endpoint_is_asked_again(lines, function, folder):
    function.busy = 4
    assert [row["label"] for row in lines(str(folder))[1]] == ["cat", "dog", "owl"]


def test_a_limit_of_each_caller_is_waited_for(lines, function, folder):
    function.busy, function.code = 40, "too_many_requests"  # more than the tries of all images together
    assert [row["label"] for row in lines(str(folder))[1]] == ["cat", "dog", "owl"]


def test_images_in_s3_are_read_by_prefix_and_by_key(lines, account, folder):
    for name in ("a.jpg", "notes.txt", "more/c.png"):
        account.client("s3").upload_file(str(folder / name), "pawprint-test", f"in/{name}")
    account.client("s3").put_object(Bucket="pawprint-test", Key="in-other/a.jpg", Body=b"x")
    assert [row["label"] for row in lines("s3://pawprint-test/in")[1]] == ["cat", "owl"]
    assert [row["label"] for row in lines("s3://pawprint-test/in/notes.txt")[1]] == ["n"]


@pytest.mark.parametrize("wanted", ["nothing/*.jpg", "s3://pawprint-test/nothing/", "s3://no-such-bucket-here/"])
def test_a_place_without_images_is_refused(account, wanted):
    with pytest.raises(Failure, match=r"has no image|cannot be read"):
        predictions.find(account.deployment, wanted)


@pytest.mark.parametrize("wanted", ["https://example.com/*.jpg", "dog.jpg"])
def test_one_image_is_answered_as_before(account, wanted):
    assert predictions.find(account.deployment, wanted) is None
