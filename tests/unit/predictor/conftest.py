"""The function in front of a fake endpoint that implements InvokeEndpoint over real HTTP."""

import ssl
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [
    str(HERE.parents[2] / "payloads" / "lambda"),  # a packaging root: its modules are at the top, as in Lambda
    str(HERE),
]

from predictor.endpoint import Endpoint  # noqa: E402
from predictor.service import Predictor  # noqa: E402
from predictor.urls import Policy  # noqa: E402
from predictor_support import FakeEndpoint, Received, Server, respond  # noqa: E402


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers with `serve(answer)`. They end with the test at the latest."""
    servers = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(answer, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def fake_endpoint(serve, monkeypatch) -> FakeEndpoint:
    """An endpoint named `pawprint`, which new clients connect to."""
    fake = FakeEndpoint()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"] or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        fake.received.append(Received(handler.path, headers, body))
        respond(handler, *fake.reply(fake.received[-1]))

    fake.server = serve(answer)
    for name, value in {
        "AWS_ENDPOINT_URL": fake.server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return fake


@pytest.fixture
def make_predictor(fake_endpoint) -> Callable[..., Predictor]:
    """Predictors in front of the fake endpoint, with a policy and a log level."""

    def make(policy: Policy | None = None, log_level: str = "INFO") -> Predictor:
        return Predictor(Endpoint("pawprint"), policy or Policy(), log_level)

    return make


@pytest.fixture
def predictor(make_predictor) -> Predictor:
    return make_predictor()
