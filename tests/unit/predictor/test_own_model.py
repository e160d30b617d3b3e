"""The model inside of the function: its archive from S3, and failures in the words of the contract."""

import hashlib
import io
import json
import sys
from pathlib import Path

import pytest

PAYLOADS = Path(__file__).resolve().parents[3] / "payloads"
sys.path[:0] = [str(PAYLOADS / "in_function"), str(PAYLOADS / "inference")]

import model_archive  # noqa: E402
import own_model  # noqa: E402
from classifier import artifact  # noqa: E402
from classifier.contract import ApiError  # noqa: E402
from predictor.deadline import Deadline  # noqa: E402
from predictor_support import JPEG, respond  # noqa: E402

URL = "s3://the-bucket/models/run-1/output/model.tar.gz"


@pytest.fixture
def s3(serve):
    """S3 with answers to give; returns the variables of a function, and the paths and headers of the requests."""
    given: list[tuple[int, bytes]] = []
    received: list = []

    def answer(handler) -> None:
        received.append((handler.path, dict(handler.headers)))
        respond(handler, given[0][0], {}, given.pop(0)[1])

    variables = {
        "AWS_ENDPOINT_URL": serve(answer).url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }
    return given, received, variables


def test_an_object_is_read_with_the_signature_of_the_functions_role(s3):
    given, received, variables = s3
    given.append((200, b"content"))
    with model_archive.open_object(URL, variables) as stream:
        assert stream.read() == b"content"
    [(path, headers)] = received
    assert path == "/the-bucket/models/run-1/output/model.tar.gz"
    assert headers["X-Amz-Security-Token"] == "token"
    assert headers["X-Amz-Content-Sha256"] == hashlib.sha256(b"").hexdigest()
    assert "/us-east-1/s3/aws4_request" in headers["Authorization"]


def test_a_failure_of_s3_is_tried_again_and_a_refusal_is_not(s3):
    given, received, variables = s3
    given += [(503, b"<Error><Code>SlowDown</Code></Error>"), (200, b"content")]
    with model_archive.open_object(URL, variables) as stream:
        assert stream.read() == b"content"
    given.append((403, b"<Error><Code>AccessDenied</Code></Error>"))
    refused = pytest.raises(model_archive.ModelUnavailable, match=f"{URL} cannot be read: 403 AccessDenied")
    with refused, model_archive.open_object(URL, variables):
        pass
    assert len(received) == 3


def test_on_aws_the_object_is_addressed_by_the_host_name_of_its_bucket():
    connection, path = model_archive._connection("the-bucket", "models/a b.tar.gz", {"AWS_REGION": "eu-west-1"})
    assert (connection.host, connection.port) == ("the-bucket.s3.eu-west-1.amazonaws.com", 443)
    assert path == "/models/a%20b.tar.gz"


# --- the archive ---


def packed(tmp_path: Path, **changed: bytes) -> Path:
    """An archive with the files that a function reads, and others."""
    folder = tmp_path / "model"
    folder.mkdir()
    contents = {"graph.xml": b"<net/>", "graph.bin": b"numbers", "weights.safetensors": b"more"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    card = {
        "name": "run-1", "architecture": "a", "classes": ["x"], "labels": ["x"], "input_size": 8, "mean": [0],
        "std": [1], "precision": "fp32", "created": "", "metrics": {}, "data_sha256": None, "code_sha256": "",
        "libraries": {}, "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(card))
    for name, content in changed.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    archive = tmp_path / "model.tar.gz"
    artifact.pack(folder, archive)
    return archive


def test_only_the_graph_and_its_card_are_unpacked_and_the_rest_is_not_read(tmp_path):
    archive = packed(tmp_path)
    cut = archive.read_bytes()[:-40]  # the end of the archive is missing: the weights and the checksum
    card = artifact.extract_graph(io.BytesIO(archive.read_bytes()), URL, tmp_path / "out")
    assert card.name == "run-1"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["graph.bin", "graph.xml", "model.json"]
    with pytest.raises(artifact.ArtifactError, match=r"truncated or corrupt|lacks"):
        artifact.extract_graph(io.BytesIO(cut[:60]), URL, tmp_path / "cut")


def test_a_graph_that_is_not_the_one_of_the_card_is_refused(tmp_path):
    archive = packed(tmp_path, graph_bin=b"other numbers")
    with pytest.raises(artifact.ArtifactError, match=f"graph.bin in {URL} is corrupt"):
        artifact.extract_graph(io.BytesIO(archive.read_bytes()), URL, tmp_path / "out")


# --- failures ---


class Fails:
    """A model whose answers are exceptions."""

    answer = None

    def __init__(self, error: Exception):
        self.error = error

    def submit(self, _request):
        raise self.error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError("overloaded", "x"), "throttled"),
        (ApiError("undecodable_image", "x"), "undecodable_image"),
        (ApiError("invalid_top_k", "x"), "invalid_top_k"),
        (RuntimeError("the graph is broken"), "model_failed"),
    ],
    ids=["busy", "image", "top-k", "defect"],
)
def test_failures_are_those_that_a_caller_of_the_endpoint_gets(error, code, monkeypatch):
    monkeypatch.delitem(sys.modules, "sagemaker_inference.errors", raising=False)  # another test may have imported it
    with pytest.raises(ApiError) as failed:
        own_model.OwnModel(Fails(error)).predict(JPEG, "image/jpeg", None, Deadline(60), "request-1")
    assert failed.value.code == code


def test_an_answer_after_the_deadline_is_a_timeout():
    class Late:
        answer = None

        def submit(self, _request):
            import threading

            threading.Event().wait()

    with pytest.raises(ApiError) as failed:
        own_model.OwnModel(Late()).predict(JPEG, "image/jpeg", None, Deadline(0), "request-1")
    assert failed.value.code == "endpoint_timeout"
