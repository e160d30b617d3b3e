"""The function's archive as on Lambda: unpacked, in a clean interpreter, with AWS's runtime client."""

import base64
import importlib.util
import json
import os
import queue
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.build import package
from localaws.images import prepare

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "predictor"))
from predictor_support import ANSWER, JPEG, Server, http_event, image_event, respond

TOO_HEAVY = ("boto3", "botocore", "urllib3", "torch", "torchvision", "numpy", "PIL", "openvino", "pandas", "sagemaker")
WAIT = 120  # seconds until a process without an answer fails


@pytest.fixture(scope="module")
def task_root(tmp_path_factory) -> Path:
    """The unpacked archive of `make package`."""
    build = tmp_path_factory.mktemp("build")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "BUILD", build)
        made = package.pack_zip("lambda", package.payload_members("lambda", only=package.LAMBDA_MODULES), {})
    root = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(build / made["file"]) as archive:
        archive.extractall(root)
    return root


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Server]:
    """Answers every InvokeEndpoint with ANSWER."""

    def answer(handler):
        handler.rfile.read(int(handler.headers["content-length"]))
        respond(handler, 200, {}, json.dumps(ANSWER).encode())

    server = Server(answer)
    yield server
    server.close()


def environment(endpoint: Server | None = None, **more: str) -> dict[str, str]:
    """The variables that Lambda sets for a function, and no others."""
    return {
        "PATH": os.defpath,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "ENDPOINT_NAME": "pawprint",
        **({"AWS_ENDPOINT_URL": endpoint.url} if endpoint else {}),
        **more,
    }


def run(interpreter: str | Path, paths: list[Path], code: str) -> subprocess.CompletedProcess:
    """Run code that can import only the standard library and `paths`."""
    bootstrap = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n{code}"
    return subprocess.run(
        [interpreter, "-I", "-S", "-B", "-c", bootstrap],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=WAIT,
    )


def test_the_archive_has_the_handler_the_page_and_only_the_contract_of_the_classifier(task_root):
    shipped = {path.relative_to(task_root).as_posix() for path in task_root.rglob("*") if path.is_file()}
    assert {"handler.py", "predictor/page.html", "predictor/service.py"} <= shipped
    classifier = {name for name in shipped if not name.startswith(("handler.py", "predictor/"))}
    assert classifier == {"classifier/__init__.py", "classifier/contract.py"}


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_handler_needs_only_python_in_each_version_of_lambda(task_root, version):
    interpreter = prepare.installed(version)
    if interpreter is None:
        pytest.skip(f"Python {version} is not installed")
    result = run(interpreter, [task_root], "import handler; print(callable(handler.handler))")
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr


def test_the_handler_loads_neither_sdk_nor_model_libraries_even_if_installed(task_root):
    site_packages = Path(importlib.util.find_spec("boto3").origin).parents[1]
    code = f"""
import handler
print([name for name in {TOO_HEAVY!r} if name in sys.modules])
print(importlib.util.find_spec("numpy") is not None)
"""
    result = run(sys.executable, [task_root, site_packages], f"import importlib.util{code}")
    assert (result.returncode, result.stdout) == (0, "[]\nTrue\n"), result.stderr


class Runtime:
    """Lambda's documented Runtime API for one environment: it sends events and receives the answers."""

    def __init__(self):
        self._events: queue.Queue = queue.Queue()
        self._answers: queue.Queue = queue.Queue()
        self._server = Server(self._answer)
        self.address = f"127.0.0.1:{self._server.port}"

    def invoke(self, event: object) -> tuple[str, dict]:
        """The posted answer: `response` or `error`, and its body."""
        self._events.put(event)
        return self.next_answer()

    def next_answer(self) -> tuple[str, dict]:
        return self._answers.get(timeout=WAIT)

    def close(self) -> None:
        self._events.put(None)
        self._server.close()

    def _answer(self, handler) -> None:
        if handler.command == "GET":
            event = self._events.get()
            if event is None:
                handler.close_connection = True
                return
            headers = {
                "Lambda-Runtime-Aws-Request-Id": "8f5c-request",
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + WAIT) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:pawprint",
            }
            respond(handler, 200, headers, json.dumps(event).encode())
            return
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        self._answers.put((handler.path.rsplit("/", 1)[-1], body))
        respond(handler, 202, {}, b"{}")


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()


@pytest.fixture
def start(task_root, runtime, tmp_path) -> Iterator:
    """Start the function under the runtime client with `start(**environment)`. It ends with the test."""
    processes = []

    def begin(variables: dict[str, str]) -> None:
        with (tmp_path / "log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-B", "-m", "awslambdaric", "handler.handler"],
                    env={**variables, "AWS_LAMBDA_RUNTIME_API": runtime.address, "LAMBDA_TASK_ROOT": str(task_root)},
                    cwd=task_root,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def test_with_the_runtime_client_it_answers_the_url_the_browser_and_the_direct_invoke(start, runtime, endpoint):
    start(environment(endpoint))
    kind, response = runtime.invoke(image_event(JPEG))
    assert (kind, response["statusCode"]) == ("response", 200)
    assert json.loads(response["body"]) == {**ANSWER, "request_id": "8f5c-request"}

    kind, response = runtime.invoke(http_event("GET"))
    assert (kind, response["statusCode"]) == ("response", 200)
    assert response["body"].startswith("<!doctype html>")

    image = base64.b64encode(JPEG).decode()
    assert runtime.invoke({"image": image}) == ("response", {**ANSWER, "request_id": "8f5c-request"})

    kind, answer = runtime.invoke({"url": "http://169.254.169.254/"})
    assert kind == "response"
    assert (answer["statusCode"], answer["error"]["request_id"]) == (422, "8f5c-request")


def test_its_log_line_reaches_standard_output(start, runtime, endpoint, tmp_path):
    start(environment(endpoint))
    runtime.invoke(image_event(JPEG))
    [line] = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert (line["request_id"], line["status"], line["bytes"]) == ("8f5c-request", 200, len(JPEG))


def test_a_function_without_its_endpoint_fails_its_start_with_the_reason(start, runtime):
    start(environment() | {"ENDPOINT_NAME": ""})
    kind, failure = runtime.next_answer()
    assert kind == "error"
    assert failure["errorMessage"] == "ENDPOINT_NAME is not set"
