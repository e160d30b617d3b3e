"""The signing proxy on real sockets: the requests that it signs and forwards, and those that it refuses."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy import function
from deploy.signing_proxy import MAX_BODY_BYTES, SigningProxy


class Upstream(ThreadingHTTPServer):
    """A function URL that records its requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Function)
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://abc.lambda-url.us-east-1.localhost:{self.server_address[1]}/"


class Function(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.command, self.path, headers, body))
        answer = b'{"predictions": []}'
        self.send_response(200)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Security-Policy": "default-src 'none'",
            "Set-Cookie": "a=b",
            "Access-Control-Allow-Origin": "*",
            "Content-Length": str(len(answer)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server
        server.shutdown()


@pytest.fixture
def proxy(account, upstream) -> Iterator[SigningProxy]:
    with SigningProxy(upstream.url, function.signer(account.deployment)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(proxy: SigningProxy, method: str = "GET", target: str = "/", body: bytes | None = None, **headers: str):
    """Send a request with these headers. Returns the status, the headers and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, target, body=body, headers=names)
    response = connection.getresponse()
    answer = response.status, response.headers, response.read()
    connection.close()
    return answer


def code(answer: tuple) -> tuple[int, str]:
    return answer[0], json.loads(answer[2])["error"]["code"]


def test_a_request_is_signed_and_its_answer_returned(proxy, upstream):
    status, headers, body = ask(proxy, "POST", "/?top_k=3", b"a picture", Content_Type="image/png")

    assert (status, body) == (200, b'{"predictions": []}')
    assert headers["Content-Type"] == "application/json"
    [(method, path, sent, got)] = upstream.received
    assert (method, path, got, sent["content-type"]) == ("POST", "/?top_k=3", b"a picture", "image/png")
    assert "/us-east-1/lambda/aws4_request" in sent["authorization"]


def test_without_iam_nothing_is_signed(account, upstream):
    open_to_all = account.deployed(predictor_auth_type="NONE")
    with SigningProxy(upstream.url, function.signer(open_to_all)) as server:
        server.forward("GET", "/", b"", {})

    assert "authorization" not in upstream.received[0][2]


def test_only_the_named_headers_pass_in_either_direction(proxy, upstream):
    _, headers, _ = ask(proxy, "POST", "/", b"x", Cookie="secret=1", Authorization="Basic eA==", X_Forwarded_For="1")

    sent = upstream.received[0][2]
    assert "cookie" not in sent and "x-forwarded-for" not in sent
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 ")
    assert headers["Content-Security-Policy"] == "default-src 'none'"
    assert headers["Set-Cookie"] is None and headers["Access-Control-Allow-Origin"] is None
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "host", ["rebound.example", "rebound.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}"]
)
def test_another_name_for_this_machine_is_refused(proxy, upstream, host):
    assert code(ask(proxy, Host=host.format(port=proxy.port))) == (421, "wrong_host")
    assert upstream.received == []


def test_a_request_with_no_host_or_with_two_is_refused(proxy, upstream):
    for hosts in ("", f"Host: 127.0.0.1:{proxy.port}\r\nHost: 127.0.0.1:{proxy.port}\r\n"):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as raw:
            raw.sendall(f"GET / HTTP/1.1\r\n{hosts}\r\n".encode())
            assert raw.makefile("rb").readline() == b"HTTP/1.1 421 Misdirected Request\r\n"
    assert upstream.received == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_a_request_from_another_site_is_refused(proxy, upstream, headers):
    assert code(ask(proxy, "POST", "/", b"x", **headers)) == (403, "cross_site")
    assert upstream.received == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_page_may_send_requests_under_either_name(proxy, name):
    host = f"{name}:{proxy.port}"
    assert ask(proxy, "POST", "/", b"x", Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize(
    ("method", "target", "refused"),
    [
        ("GET", "/admin", (404, "not_found")),
        ("GET", "//evil.example/", (404, "not_found")),
        ("GET", "http://evil.example/", (421, "wrong_host")),
        ("POST", "/favicon.ico", (405, "method_not_allowed")),
        ("DELETE", "/", (405, "method_not_allowed")),
        ("OPTIONS", "/", (405, "method_not_allowed")),
        ("GET", "/?X-Amz-Signature=1", (400, "invalid_request")),
        ("GET", "/?", (400, "invalid_request")),
    ],
)
def test_only_the_functions_own_paths_methods_and_parameter_pass(proxy, upstream, method, target, refused):
    assert code(ask(proxy, method, target)) == refused
    assert upstream.received == []


def test_a_body_up_to_the_limit_passes_and_one_byte_more_does_not(proxy, upstream):
    assert ask(proxy, "POST", "/", bytes(MAX_BODY_BYTES))[0] == 200
    assert len(upstream.received[0][3]) == MAX_BODY_BYTES

    assert code(ask(proxy, "POST", "/", bytes(MAX_BODY_BYTES + 1))) == (413, "image_too_large")
    assert len(upstream.received) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 411),
        ("", 411),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: +1\r\n", 400),
    ],
)
def test_a_body_without_one_clear_length_is_refused(proxy, upstream, headers, status):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as raw:
        raw.sendall(f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\n{headers}\r\nx".encode())
        assert raw.makefile("rb").readline().split()[1] == str(status).encode()
    assert upstream.received == []


def test_the_body_of_a_get_is_not_taken_for_the_next_request(proxy, upstream):
    smuggled = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\nContent-Length: 1\r\n\r\nx"
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\nContent-Length: {len(smuggled)}\r\n\r\n{smuggled}"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as raw:
        raw.sendall(request.encode())
        raw.shutdown(socket.SHUT_WR)
        assert raw.makefile("rb").read().count(b"HTTP/1.1 ") == 1
    assert upstream.received == []


def test_an_unreachable_function_is_reported(account):
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with SigningProxy(f"http://abc.localhost:{port}/", function.signer(account.deployment)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert code(ask(server)) == (502, "endpoint_unavailable")
        server.shutdown()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_command_of_the_page_sends_a_large_photograph(proxy, upstream, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(bytes(4 * 1024**2))
    line = f"curl -sS -H 'Content-Type: image/jpeg' --data-binary @photo.jpg '{proxy.address}'"

    answer = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert (answer.stdout, answer.stderr) == ('{"predictions": []}', "")
    assert len(upstream.received[0][3]) == 4 * 1024**2
