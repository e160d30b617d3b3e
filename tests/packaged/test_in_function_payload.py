"""The package of the function with the model inside, as on Lambda: in a clean Python 3.13, with a model from S3."""

import base64
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from deploy.build import package
from localaws.images import prepare
from tests.unit.classifier.pictures import encoded, noisy_square

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "predictor"))
from predictor_support import Server, http_event

UNZIPPED_BYTES = 262_144_000  # Lambda's limit for a function with its layers
WAIT = 300
URL = "s3://the-bucket/models/run-1/output/model.tar.gz"
ASK = """
import base64, json
import handler
class Context:
    aws_request_id = "r"
    def get_remaining_time_in_millis(self): return 60_000
print(json.dumps([handler.handler(json.loads(line), Context()) for line in open(0)]))
"""


@pytest.fixture(scope="module")
def task_root(tmp_path_factory) -> Path:
    """The unpacked archive of `make package`."""
    build = tmp_path_factory.mktemp("build")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "BUILD", build)
        made = package.pack_zip("in-function", package.in_function_members(), {}, zipfile.ZIP_STORED)
    root = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(build / made["file"]) as archive:
        archive.extractall(root)
    return root


def test_it_is_small_enough_for_lambda(task_root):
    unpacked = sum(path.stat().st_size for path in task_root.rglob("*") if path.is_file())
    assert unpacked < UNZIPPED_BYTES


def test_in_a_clean_interpreter_it_answers_as_the_endpoints_serving_code_does(
    task_root, bootstrap_model, unpacked, tmp_path
):
    interpreter = prepare.installed("3.13")
    if interpreter is None:
        pytest.skip("Python 3.13 is not installed")
    picture = encoded(noisy_square((200, 120, 40), seed=1), "PNG")  # without a decoder's rounding
    sent = bootstrap_model.read_bytes()

    def s3(handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(len(sent)))
        handler.end_headers()
        handler.wfile.write(sent)

    server = Server(s3)
    events = [
        {"image": base64.b64encode(picture).decode(), "top_k": 3, "explain": True},
        {"image": base64.b64encode(b"x").decode()},
    ]
    run = subprocess.run(
        [interpreter, "-I", "-S", "-B", "-c", f"import sys; sys.path.insert(0, {str(task_root)!r})\n{ASK}"],
        env={
            "PATH": os.defpath,
            "TMPDIR": str(tmp_path),
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": server.url,
            "MODEL_DATA_URL": URL,
        },
        input="\n".join(map(json.dumps, [*events, http_event("GET")])),
        capture_output=True,
        text=True,
        timeout=WAIT,
    )
    server.close()
    assert run.returncode == 0, run.stderr
    told, refused, page = json.loads(run.stdout.splitlines()[-1])
    assert refused["error"]["code"] == "undecodable_image"
    assert page["body"].startswith("<!doctype html>")
    assert told["request_id"] == "r"
    expected = by_the_endpoint(unpacked, bootstrap_model, picture)
    assert told["model"] == expected["model"]
    assert [each["label"] for each in told["predictions"]] == [each["label"] for each in expected["predictions"]]
    probabilities = [each["probability"] for each in expected["predictions"]]
    assert [each["probability"] for each in told["predictions"]] == pytest.approx(probabilities, rel=1e-4)
    assert told["explanation"]["label"] == expected["explanation"]["label"]
    assert np.array(told["explanation"]["heat"]) == pytest.approx(np.array(expected["explanation"]["heat"]), abs=0.01)


def by_the_endpoint(unpacked: dict[str, Path], model: Path, picture: bytes) -> dict:
    """The answer of the serving code in the model's own archive, in a process of its own."""
    program = f"""
import json, sys, tempfile, pathlib, base64
sys.path[:0] = [{str(unpacked["inference"])!r}]
import inference
from classifier import artifact
folder = pathlib.Path(tempfile.mkdtemp())
artifact.extract(pathlib.Path({str(model)!r}), folder)
asked = inference.read_request(base64.b64decode(input()), "image/png", "top_k=3,explain=1")
print(json.dumps(inference.predict_fn(asked, inference.model_fn(str(folder)))))
"""
    command = [sys.executable, "-c", program]
    encoded = base64.b64encode(picture).decode()
    run = subprocess.run(command, input=encoded, capture_output=True, text=True, timeout=WAIT)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])
