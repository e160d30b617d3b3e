"""About 600 hostile requests through the function URL to the endpoint. Each is refused with a 4xx of the contract. The
function and the endpoint do not break, hang or grow."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from classifier.contract import ERRORS

from tests.conftest import ROOT
from tests.e2e import hostile
from tests.e2e.deployment import REGION, Deployment
from tests.e2e.hostile import Case

NAME = "pawprint-hostile"
SERVERS = "127.0.0.2"  # the only network that the function may download from; no other service is in it
WAIT = 120  # seconds until a test fails
GROWTH = 60  # MiB that the endpoint may grow by; the largest of the images takes 200 while it is decoded


class Url:
    """A second copy of the deployed function. It may download from SERVERS over http.

    Its time limit is as long as the endpoint's, so the largest image gets its answer on a slow machine too.
    """

    def __init__(self, deployment: Deployment):
        self.deployment = deployment
        self.api = deployment.client("lambda")
        outputs = json.loads(deployment.make("output"))
        variables = {
            "ENDPOINT_NAME": outputs["endpoint_name"],
            "URL_ALLOW_HTTP": "true",
            "URL_ALLOW_NETWORKS": f"{SERVERS}/32",
        }
        self.api.create_function(
            FunctionName=NAME,
            Role=self.api.get_function_configuration(FunctionName=outputs["function_name"])["Role"],
            Runtime="python3.13",
            Handler="handler.handler",
            Code={"ZipFile": (ROOT / "build" / "lambda.zip").read_bytes()},
            Environment={"Variables": variables},
            Timeout=60,
        )
        url = self.api.create_function_url_config(FunctionName=NAME, AuthType="AWS_IAM")["FunctionUrl"]
        self.host = urlsplit(url).netloc

    def remove(self) -> None:
        self.api.delete_function_url_config(FunctionName=NAME)
        self.api.delete_function(FunctionName=NAME)
        logs = self.deployment.client("logs")
        # The role of the deployed function may write to that function's log group only, so there may be no group.
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
            logs.delete_log_group(logGroupName=f"/aws/lambda/{NAME}")

    def ask(self, case: Case) -> tuple[int, bytes]:
        """The answer to a signed request. The status is 0 if the server closed the connection without reading the
        request."""
        sent = {"Host": self.host, **case.headers}
        if case.content_type is not None:
            sent["Content-Type"] = case.content_type
        target = case.path + (f"?{case.query}" if case.query else "")
        request = AWSRequest(case.method, f"http://{self.host}{target}", sent, case.body)
        SigV4Auth(Credentials("test", "test"), "lambda", REGION).add_auth(request)
        connection = http.client.HTTPConnection("127.0.0.1", self.deployment.port, timeout=WAIT)
        try:
            connection.request(case.method, target, case.body, dict(request.headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def url(deployment: Deployment) -> Iterator[Url]:
    made = Url(deployment)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    """host:port of a server that sends the bytes of `hostile.answer_to`, or, for /slow, a few bytes slowly."""
    listener = socket.create_server((SERVERS, 0))
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                target = connection.recv(65_536).split(b" ")[1].decode()
                if target == "/silent":
                    over.wait(WAIT)
                elif target == "/slow":
                    connection.sendall(hostile.OK + hostile.LENGTH % len(hostile.PHOTO))
                    for byte in hostile.PHOTO:
                        connection.sendall(bytes([byte]))
                        over.wait(0.1)
                else:
                    connection.sendall(hostile.answer_to(target))
            except OSError:
                pass  # the client has closed the connection

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"{SERVERS}:{listener.getsockname()[1]}"
    over.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def refusal(case: Case, status: int, body: bytes) -> str | None:
    """The error in an answer. None if the answer is correct."""
    if status not in case.expected:
        return f"{case.name}: {status} {body[:200]!r}"
    answer = json.loads(body)
    if status == 200:
        return None if answer["predictions"] else f"{case.name}: no predictions"
    if status == 413 and "error" not in answer:  # more than Lambda accepts: AWS's own error, before the function
        return None
    error = answer["error"]
    well_formed = ERRORS[error["code"]] == status and error["message"] and error["request_id"]
    return None if well_formed and b"Traceback" not in body else f"{case.name}: {body[:200]!r}"


def test_no_request_gets_a_5xx_or_leaves_anything_behind(url: Url, servers: str, deployment: Deployment):
    first = psutil.Process(deployment.endpoint_processes()[0])
    cases = [*hostile.bodies(), *hostile.urls(servers)]
    assert len(cases) >= 500
    assert url.ask(Case("a photo", hostile.PHOTO, "image/jpeg"))[0] == 200
    before = first.memory_info().rss

    took: dict[str, float] = {}

    def answered(case: Case) -> str | None:
        began = time.monotonic()
        found = refusal(case, *url.ask(case))
        took[case.name] = time.monotonic() - began
        return found

    with ThreadPoolExecutor(2) as pool:
        wrong = [found for found in pool.map(answered, cases) if found]

    grown = (first.memory_info().rss - before) / 2**20
    slowest = sorted(took, key=took.get, reverse=True)[:5]
    print(f"{len(cases)} requests, {len(wrong)} answered wrongly; the endpoint's process grew by {grown:.0f} MiB")
    print("the slowest: " + ", ".join(f"{name} ({took[name]:.2f} s)" for name in slowest))
    assert wrong == []
    assert first.pid in deployment.endpoint_processes(), "the endpoint's process was replaced"
    assert grown < GROWTH
    assert "Traceback" not in deployment.make("logs", "WHAT=endpoint"), (
        "a caller's mistake must not be an error of the model"
    )
    assert url.ask(Case("a photo", hostile.PHOTO, "image/jpeg"))[0] == 200


@pytest.mark.parametrize("path", ["slow", "silent"])
def test_a_server_that_is_too_slow_is_a_504_within_the_functions_time(url: Url, servers: str, path: str):
    """The only failure of a URL that is not a 4xx: a slow server is a 504 by design."""
    case = Case(path, json.dumps({"url": f"http://{servers}/{path}"}).encode(), "application/json")
    status, body = url.ask(case)
    assert (status, json.loads(body)["error"]["code"]) == (504, "url_timeout")
