"""The serving code in an artifact: its handlers, alone, under AWS's toolkit and under Ray Serve."""

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from classifier import artifact
from classifier.contract import MAX_STORED_BYTES, read_answer, read_error
from PIL import Image

from deploy.load.client import Load, request
from tests.packaged.serving_image import Container, container
from tests.unit.classifier.pictures import encoded, noisy_square

ROOT = Path(__file__).resolve().parents[2]
PHOTO = encoded(noisy_square((200, 40, 40), 1, side=96))
WAIT = 600  # seconds until a server without an answer fails
CAPACITY = 64  # capacity of the line, as in line.py


@pytest.fixture(scope="module")
def model_folder(bootstrap_model, tmp_path_factory) -> Path:
    """The bootstrap model, unpacked as by the endpoint's host."""
    folder = tmp_path_factory.mktemp("model")
    artifact.extract(bootstrap_model, folder)
    return folder


def as_json(image: bytes, **more) -> str:
    return json.dumps({"image": base64.b64encode(image).decode()} | more)


# The mistakes of a client: (body, content type, custom attributes, status, code).
MISTAKES = {
    "nothing": (b"", "image/jpeg", None, 400, "invalid_request"),
    "not an image": (b"hello", "image/jpeg", None, 422, "undecodable_image"),
    "another type": (PHOTO, "application/pdf", None, 415, "unsupported_media_type"),
    "a gif": (b"GIF89a" + bytes(50), "image/gif", None, 415, "unsupported_media_type"),
    "cut off": (PHOTO[:400], "image/jpeg", None, 422, "undecodable_image"),
    "too large": (PHOTO + bytes(MAX_STORED_BYTES), "image/jpeg", None, 413, "image_too_large"),
    "broken JSON": ("{", "application/json", None, 400, "invalid_request"),
    "JSON without an image": ("{}", "application/json", None, 400, "invalid_request"),
    "a URL, which the endpoint does not fetch": (
        '{"url": "http://x/"}',
        "application/json",
        None,
        400,
        "invalid_request",
    ),
    "no base64": ('{"image": "%"}', "application/json", None, 400, "invalid_request"),
    "top_k of nothing": (PHOTO, "image/jpeg", "top_k=0", 400, "invalid_top_k"),
    "top_k beyond the classes": (PHOTO, "image/jpeg", "top_k=1001", 400, "invalid_top_k"),
    "top_k in words": (as_json(PHOTO, top_k="all"), "application/json", None, 400, "invalid_top_k"),
}


# ---- the bootstrap model --------------------------------------------------------------------------------------


def test_the_bootstrap_model_has_the_classes_of_imagenet(bootstrap_model):
    card = artifact.validate(bootstrap_model)
    assert (card.architecture, len(card.classes), card.data_sha256) == ("efficientnet-lite0", 1000, None)
    assert {"beagle", "pug", "golden retriever"} <= set(card.labels)


def test_the_bootstrap_model_recognises_dogs(model_folder, dogs):
    """Its classes are those of ImageNet. It recognises most of 60 photographs of three breeds that are ImageNet
    classes."""
    breeds = {"002.Beagle": "beagle", "014.Pug": "pug", "016.Samoyed": "Samoyed"}
    photos = [
        (photo, label) for folder, label in breeds.items() for photo in sorted((dogs / "test" / folder).iterdir())
    ]
    code = """
import json, sys
import inference
model = inference.model_fn(sys.argv[1])
for path in sys.stdin.read().split("\\n"):
    request = inference.input_fn(open(path, "rb").read(), "image/jpeg")
    print(inference.predict_fn(request, model)["predictions"][0]["label"])
"""
    result = serve_python(model_folder, code, str(model_folder), stdin="\n".join(str(photo) for photo, _ in photos))
    right = sum(said == label for said, (_, label) in zip(result.stdout.splitlines(), photos, strict=True))
    assert right / len(photos) > 0.8


def serve_python(
    model_folder: Path, code: str, *arguments: str, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess:
    """Run code that imports the artifact's own code, in an environment without this project."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(model_folder / "home"),
        "PYTHONPATH": str(model_folder / "code"),
        "PYTHONWARNINGS": "error",
        **variables,
    }
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, timeout=WAIT)
    assert result.returncode == 0, result.stderr
    return result


def test_a_graph_computes_once_before_several_threads_use_it(model_folder):
    """Two threads that pass OpenVINO its first arrays at the same time deadlocked once in 60 starts."""
    code = """
import sys
import inference, networks
computed = []
call = networks.GraphNetwork.__call__
networks.GraphNetwork.__call__ = lambda self, images: computed.append(len(images)) or call(self, images)
inference.model_fn(sys.argv[1])
print(computed)
"""
    assert serve_python(model_folder, code, str(model_folder)).stdout == "[1]\n"


def test_an_endpoint_loads_the_promoted_model_only(model_folder):
    code = """
import sys
import inference
from classifier.artifact import ArtifactError
try:
    inference.model_fn(sys.argv[1])
    print("loaded")
except ArtifactError as error:
    print(error)
"""
    promoted = artifact.identity(model_folder)
    assert serve_python(model_folder, code, str(model_folder), MODEL_SHA256=promoted).stdout == "loaded\n"
    refused = serve_python(model_folder, code, str(model_folder), MODEL_SHA256="0" * 64).stdout
    assert "is not the one that was promoted" in refused


def test_serving_needs_no_torch_and_sends_no_telemetry(model_folder):
    code = """
import sys
import inference
model = inference.model_fn(sys.argv[1])
loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
print(sorted(loaded & {"torch", "torchvision", "safetensors", "boto3", "sklearn", "ray", "openvino_telemetry"}))
"""
    assert serve_python(model_folder, code, str(model_folder)).stdout == "[]\n"
    assert not (model_folder / "home").exists()


def test_on_a_gpu_the_same_artifact_answers_the_same(model_folder):
    """Its weights under PyTorch, as on a GPU, but here on the processors. Probabilities and the largest values of heat
    maps differ by at most 1e-4 of 1."""
    code = """
import dataclasses, io, sys
import inference
import numpy as np
from PIL import Image

rows = []
for seed in range(6):
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).resize((300, 260), Image.Resampling.BICUBIC).save(file, "PNG")
    rows.append(inference.input_fn(file.getvalue(), "image/png"))
model = inference.model_fn(sys.argv[1])
asked = [dataclasses.replace(request, explain=True) for request in rows]
answers = [future.result() for future in [model.submit(request) for request in asked]]
usual = [future.result() for future in [model.submit(request) for request in rows]]
assert all(np.allclose(one.probabilities, other.probabilities, atol=1e-5) for one, other in zip(usual, answers))
heat = np.stack([answer.heat for answer in answers])
np.savez(sys.argv[2], probabilities=np.stack([answer.probabilities for answer in answers]), heat=heat / heat.max())
"""
    found = {}
    for runtime in ("openvino", "torch"):
        out = model_folder.with_name(f"{runtime}.npz")
        serve_python(
            model_folder, code, str(model_folder), str(out), PAWPRINT_RUNTIME=runtime, PYTHONWARNINGS="default"
        )
        found[runtime] = np.load(out)
    shapes = {"probabilities": (6, 1000), "heat": (6, 7, 7)}
    for name, shape in shapes.items():
        assert found["torch"][name].shape == shape
        np.testing.assert_allclose(found["torch"][name], found["openvino"][name], atol=1e-4)
        assert len({row.tobytes() for row in found["torch"][name]}) == 6


def test_an_unknown_runtime_is_named(model_folder):
    code = """
import sys
import inference
try:
    inference.model_fn(sys.argv[1])
except ValueError as error:
    print(error)
"""
    said = serve_python(model_folder, code, str(model_folder), PAWPRINT_RUNTIME="onnx").stdout
    assert said == "PAWPRINT_RUNTIME is 'onnx', not one of openvino, torch.\n"


# ---- the handlers under AWS's toolkit -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toolkit(model_folder) -> Iterator[subprocess.Popen]:
    """`sagemaker_inference.transformer.Transformer` with the artifact: each line of JSON gets a line of JSON as
    answer."""
    code = '''
import base64, json, sys
from types import SimpleNamespace
from sagemaker_inference.transformer import Transformer

class Context:
    """One context for the model's lifetime with changing requests, as in AWS's model server."""
    system_properties = {"model_dir": sys.argv[1]}
    def receive(self, headers):
        self.status, self.kind = 200, None
        self.request_processor = [SimpleNamespace(get_request_properties=lambda: headers)]
    def set_response_status(self, code, phrase):
        self.status = code
    def set_response_content_type(self, index, kind):
        self.kind = kind

transformer, context = Transformer(), Context()
for line in sys.stdin:
    asked = json.loads(line)
    context.receive(asked["headers"])
    answer = transformer.transform([{"body": base64.b64decode(asked["body"])}], context)[0]
    print(json.dumps({"status": context.status, "type": context.kind, "body": answer}), flush=True)
'''
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(model_folder / "code"),
        "SAGEMAKER_PROGRAM": "inference.py",
    }
    with subprocess.Popen(
        [sys.executable, "-c", code, str(model_folder)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


def transform(toolkit: subprocess.Popen, body: bytes | str, headers: dict[str, str]) -> SimpleNamespace:
    data = body.encode() if isinstance(body, str) else body
    toolkit.stdin.write(json.dumps({"body": base64.b64encode(data).decode(), "headers": headers}) + "\n")
    toolkit.stdin.flush()
    return SimpleNamespace(**json.loads(toolkit.stdout.readline()))


def headers(content_type: str, attributes: str | None = None) -> dict[str, str]:
    more = {"X-Amzn-SageMaker-Custom-Attributes": attributes} if attributes else {}
    return {"Content-Type": content_type, "Accept": "*/*"} | more


@pytest.mark.parametrize(
    ("body", "sent", "count"),
    [
        (PHOTO, headers("image/jpeg"), 5),
        (PHOTO, headers("application/x-image"), 5),
        (PHOTO, headers("image/jpeg", "trace=1,top_k=3"), 3),
        (PHOTO, headers("image/jpeg", "top_k=1000"), 1000),
        (as_json(PHOTO), headers("application/json"), 5),
        (as_json(PHOTO, top_k=2), headers("application/json"), 2),
        (encoded(noisy_square((200, 40, 40), 1), "PNG"), headers("image/png"), 5),
        (encoded(noisy_square((200, 40, 40), 1), "WEBP"), headers("image/webp"), 5),
    ],
    ids=["jpeg", "x-image", "top_k", "all classes", "json", "json top_k", "png", "webp"],
)
def test_the_toolkit_gets_an_answer_that_the_function_can_read(toolkit, body, sent, count):
    answer = transform(toolkit, body, sent)
    assert (answer.status, answer.type) == (200, "application/json"), answer.body
    read = read_answer(answer.body)
    assert read == json.loads(answer.body)  # sorted already
    assert len(read["predictions"]) == count
    assert set(read["model"]) == {"name", "architecture", "created", "classes"}
    assert sum(prediction["probability"] for prediction in read["predictions"]) <= 1 + 1e-5


@pytest.mark.parametrize(("body", "kind", "attributes", "status", "code"), MISTAKES.values(), ids=MISTAKES)
def test_under_the_toolkit_a_clients_mistake_keeps_its_status(toolkit, body, kind, attributes, status, code):
    answer = transform(toolkit, body, headers(kind, attributes))
    assert answer.status == status
    error = read_error(status, answer.body.partition("\n")[0])  # the toolkit adds a traceback after the message
    assert error.code == code


def test_many_callers_at_once_get_the_same_answers_as_alone(model_folder):
    code = """
import io, json, sys
from concurrent.futures import ThreadPoolExecutor
import inference
from PIL import Image

def photo(number):
    file = io.BytesIO()
    Image.effect_noise((64, 64), 5 * number).convert("RGB").point(lambda v: (v * number) % 256).save(file, "PNG")
    return file.getvalue()

model = inference.model_fn(sys.argv[1])
requests = [inference.input_fn(photo(number), "image/png") for number in range(1, 9)] * 5
alone = [inference.predict_fn(request, model) for request in requests]
with ThreadPoolExecutor(8) as pool:
    together = list(pool.map(lambda request: inference.predict_fn(request, model), requests))
print(alone == together, len({json.dumps(answer) for answer in alone}))
"""
    assert serve_python(model_folder, code, str(model_folder)).stdout == "True 8\n"


@pytest.mark.parametrize("name", ["model.json", "graph.xml", "graph.bin"])
def test_a_model_that_cannot_be_loaded_names_the_file(model_folder, tmp_path, name):
    for other in ("model.json", "graph.xml", "graph.bin"):
        if other != name:
            (tmp_path / other).write_bytes((model_folder / other).read_bytes())
    code = """
import sys
import inference
try:
    inference.model_fn(sys.argv[1])
except Exception as error:
    print(error)
"""
    said = serve_python(model_folder, code, str(tmp_path)).stdout
    assert (name in said and "missing" in said) or f"lacks {name}" in said


# ---- the host of the local AWS --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local_host(model_folder, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The hosting container with the artifact: its port and its process."""
    port_file = tmp_path_factory.mktemp("host") / "port"
    endpoints = ROOT / "localaws" / "services" / "sagemaker" / "endpoints"
    command = [sys.executable, "-I", endpoints / "sandbox.py", "--isolated", "--"]
    command += [sys.executable, "-P", endpoints / "own_container.py"]
    command += ["--model-dir", model_folder, "--port-file", port_file]
    with subprocess.Popen(command, env={}) as process:
        deadline = time.monotonic() + WAIT
        while not port_file.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        yield SimpleNamespace(port=int(port_file.read_text()), process=psutil.Process(process.pid))
        process.terminate()
        assert process.wait(WAIT) == 0


def test_the_local_host_gives_the_answers_of_the_toolkit(local_host, toolkit):
    for body, sent in (
        (PHOTO, headers("image/jpeg", "top_k=3")),
        (as_json(PHOTO, top_k=2), headers("application/json")),
    ):
        status, kind, answer = ask(local_host.port, "POST", "/invocations", body, sent)
        assert (status, kind) == (200, "application/json")
        assert json.loads(answer) == json.loads(transform(toolkit, body, sent).body)


def test_memory_does_not_grow_with_the_requests(local_host):
    """A leak of a kilobyte per request would be 2 MB here. `make bench ONLY=serving/soak` sends 100,000 requests."""
    pictures = [encoded(noisy_square((200, 40, 40), seed, side=32), "PNG") for seed in range(8)]
    requests = [request(local_host.port, "/invocations", picture, "image/png") for picture in pictures]
    with contextlib.closing(Load(local_host.port, requests, 4)) as load:
        load.count(500)
        before = local_host.process.memory_info().rss
        load.count(2000)
        assert local_host.process.memory_info().rss - before < 2 * 2**20


# ---- Ray Serve, as AWS's serving image runs it ----------------------------------------------------------------


@pytest.fixture(scope="module")
def ray_serve(model_folder, tmp_path_factory) -> Iterator[Container]:
    """The artifact in AWS's serving image, started as by the local AWS."""
    with container(model_folder, tmp_path_factory.mktemp("ray")) as started:
        started.wait_healthy()
        yield started


def ask(port: int, method: str, path: str, body: bytes | str | None = None, sent: dict[str, str] | None = None):
    """(status, content type, body) of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request(method, path, body, sent or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type"), answer.read()
    finally:
        connection.close()


@pytest.mark.ray
def test_ray_serve_gives_the_answers_of_the_toolkit(ray_serve, toolkit):
    for body, sent in (
        (PHOTO, headers("image/jpeg")),
        (PHOTO, headers("image/jpeg", "top_k=3")),
        (as_json(PHOTO, top_k=2), headers("application/json")),
    ):
        status, kind, answer = ask(ray_serve.port, "POST", "/invocations", body, sent)
        assert (status, kind) == (200, "application/json")
        assert json.loads(answer) == json.loads(transform(toolkit, body, sent).body)


@pytest.mark.ray
@pytest.mark.parametrize(("body", "kind", "attributes", "status", "code"), MISTAKES.values(), ids=MISTAKES)
def test_ray_serve_answers_a_clients_mistake_with_an_error_of_the_contract(
    ray_serve, body, kind, attributes, status, code
):
    found, _, answer = ask(ray_serve.port, "POST", "/invocations", body, headers(kind, attributes))
    assert found == status
    assert read_error(status, answer).code == code


@pytest.mark.ray
def test_under_ray_serve_a_full_line_is_503_and_a_sigterm_loses_no_request(ray_serve):
    """More requests at once than the capacity of the line, each slow to decode. SIGTERM ends a container."""
    slow = encoded(Image.new("RGB", (5000, 4000), (200, 40, 40)), "PNG")
    many = 2 * CAPACITY
    with ThreadPoolExecutor(many) as pool:
        asked = [
            pool.submit(ask, ray_serve.port, "POST", "/invocations", slow, headers("image/png")) for _ in range(many)
        ]
        list(islice(as_completed(asked), many - CAPACITY))  # so the other requests are accepted and in the line
        ray_serve.child.send(signal.SIGTERM)
        answers = [each.result() for each in asked]
    assert {status for status, _, _ in answers} == {200, 503}
    assert sum(status == 200 for status, _, _ in answers) >= CAPACITY
    refused = json.loads(next(body for status, _, body in answers if status == 503))
    assert refused["error"]["code"] == "overloaded"
    ray_serve.child.wait(WAIT)
