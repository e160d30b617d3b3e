"""Requests to the function URL are signed. A real server checks the signature."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy import api_key, function
from deploy.console import Failure
from deploy.deployment import Deployment


class Recorder(ThreadingHTTPServer):
    """A server that gives every request the same answer and records the requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://abc.lambda-url.us-east-1.localhost:{self.server_address[1]}/"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.command, self.path, headers, body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[Recorder]:
    server = Recorder()
    yield server
    server.shutdown()
    server.server_close()


def test_a_request_is_signed_for_lambda_including_its_query(account, upstream):
    deployment = account.deployed(function_url=upstream.url)

    status, answer = function.ask(deployment, b"a picture", "image/png", "?top_k=3")

    assert (status, answer) == (200, b"{}")
    [(method, path, headers, body)] = upstream.received
    assert (method, path, body) == ("POST", "/?top_k=3", b"a picture")
    assert headers["content-type"] == "image/png"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=test/")
    assert "/us-east-1/lambda/aws4_request" in headers["authorization"]


def test_a_request_to_a_public_url_is_not_signed(account, upstream):
    deployment = account.deployed(function_url=upstream.url, predictor_auth_type="NONE")

    function.ask(deployment, b"a picture", "image/png")

    assert "authorization" not in upstream.received[0][2]


@pytest.fixture
def with_key(account) -> Iterator:
    """A deployment whose key has just been made, and the hash that Terraform gets."""
    made = api_key.hash_for_terraform(account.env, create=True)
    yield account.deployed(predictor_auth_type="KEY"), made
    api_key.remove(account.deployment)


def test_the_key_is_made_once_is_encrypted_and_is_not_printed(account, with_key, capsys):
    deployment, made = with_key
    key = api_key.read(deployment)
    assert made == hashlib.sha256(key.encode()).hexdigest() == api_key.hash_for_terraform(account.env, create=True)
    parameter = account.client("ssm").describe_parameters()["Parameters"][0]
    assert (parameter["Name"], parameter["Type"]) == ("/pawprint/predictor/api-key", "SecureString")
    said = capsys.readouterr()
    assert key not in said.out + said.err + api_key.command(deployment)


def test_a_plan_makes_no_key(account):
    assert api_key.hash_for_terraform(account.env, create=False) == api_key.NO_KEY
    with pytest.raises(Failure, match="needs an API key"):
        function.signer(account.deployed(predictor_auth_type="KEY"))


def test_requests_have_the_key_and_the_curl_line_has_its_variable(with_key, upstream, tmp_path):
    deployment = Deployment(with_key[0].env, {**with_key[0].outputs, "function_url": upstream.url})
    function.ask(deployment, b"a picture", "image/png")
    assert upstream.received[0][2]["x-api-key"] == api_key.read(deployment)
    (tmp_path / "sample.png").write_bytes(b"x")
    line = function.curl_line(deployment, tmp_path / "sample.png")
    assert '-H "x-api-key: $PAWPRINT_API_KEY"' in line
    assert "ssm get-parameter --name /pawprint/predictor/api-key" in (function.credentials_hint(deployment) or "")


def test_missing_credentials_are_reported(account, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(Failure, match="AWS credentials are missing"):
        function.signer(account.deployment)
