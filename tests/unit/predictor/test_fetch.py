"""The downloads for a `{"url": ...}`, allowed and refused, over real sockets and with a real resolver."""

import ipaddress
import json
import socket
import threading

import pytest
from classifier.contract import MAX_IMAGE_BYTES, ApiError
from predictor.deadline import Deadline
from predictor.fetch import fetch_image
from predictor.urls import Policy, is_public
from predictor_support import JPEG, Context, json_event, respond

LOOPBACK = Policy(allow_http=True, allow_networks=(ipaddress.ip_network("127.0.0.0/8"),))
PUBLIC_ONLY = Policy(allow_http=True)


def fetch(url: str, policy: Policy = LOOPBACK, seconds: float = 10):
    return fetch_image(url, policy, Deadline(seconds))


def refusal(url: str, policy: Policy = LOOPBACK, seconds: float = 10) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        fetch(url, policy, seconds)
    return caught.value.status, caught.value.code


NOT_ALLOWED = (422, "url_not_allowed")
UNREACHABLE = (422, "url_unreachable")


@pytest.fixture
def photograph(serve):
    """A server with one image, which records its requests."""

    def answer(handler):
        server.requests.append((handler.path, dict(handler.headers)))
        respond(handler, 200, {"content-type": "image/jpeg"}, JPEG)

    server = serve(answer)
    server.requests = []
    return server


class Names(dict):
    """A resolver with additional names, `names["dogs.example"] = ["8.8.8.8"]`, and a record of its requests."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self._real = socket.getaddrinfo

    def getaddrinfo(self, host, port, *args, **kwargs):
        self.asked.append(host)
        addresses = self.get(host, [host])
        return [entry for address in addresses for entry in self._real(address, port, *args, **kwargs)]


@pytest.fixture
def names(monkeypatch):
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


def test_an_image_behind_a_url_is_classified(make_predictor, fake_endpoint, photograph):
    event = json_event({"url": f"{photograph.url}/dog.jpg?size=1"})
    response = make_predictor(LOOPBACK).answer(event, Context())
    assert response["statusCode"] == 200
    assert fake_endpoint.received[0].body == JPEG
    [(path, headers)] = photograph.requests
    assert path == "/dog.jpg?size=1"
    assert headers["Host"] == f"127.0.0.1:{photograph.port}"
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dog.jpg",
        "//example.com/dog.jpg",
        "ftp://example.com/dog.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,iVBO",
        "gopher://127.0.0.1/x",
        "https://",
        "https:///dog.jpg",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com/a\r\nHost: evil",
        "https://example.com:port/",
        "https://example.com:99999/",
        "https://exam<ple>.com/",
        "https://a..b/",
        "https://.example.com/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[not-an-address]/",
        "https://example.com/\ud800",
        "https://example.com/" + "a" * 9000,
    ],
)
def test_a_url_that_is_not_allowed_is_refused_before_any_name_is_resolved(names, url):
    assert refusal(url) == NOT_ALLOWED
    assert names.asked == []


def test_http_is_allowed_only_by_the_policy(photograph):
    assert refusal(photograph.url, Policy(allow_networks=LOOPBACK.allow_networks)) == NOT_ALLOWED
    assert photograph.requests == []
    assert fetch(photograph.url).body == JPEG


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",  # noqa: S104
        "１２７.0.0.1",  # noqa: RUF001
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "2852039166",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[fe80::1]",
        "[fec0::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[2001::7f00:1]",
        "[2001:db8::1]",
        "[100::1]",
    ],
)
def test_an_address_that_is_not_public_is_refused_in_every_spelling(host):
    assert refusal(f"http://{host}/", PUBLIC_ONLY) == NOT_ALLOWED


def test_an_ipv4_address_in_ipv6_form_is_checked_as_ipv4(photograph):
    assert fetch(f"http://[::ffff:127.0.0.1]:{photograph.port}/").body == JPEG


@pytest.mark.parametrize("address", ["8.8.8.8", "52.94.236.248", "2606:4700::1111", "2a05:d018::1"])
def test_public_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))


def test_no_connection_is_made_to_a_loopback_address(photograph):
    assert refusal(f"{photograph.url}/", PUBLIC_ONLY) == NOT_ALLOWED
    assert photograph.requests == []


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["::1"]])
def test_a_name_is_refused_if_any_of_its_addresses_is_not_public(names, addresses):
    names["dogs.example"] = addresses
    assert refusal("https://dogs.example/", PUBLIC_ONLY) == NOT_ALLOWED


def test_a_name_is_resolved_once_and_the_connection_goes_to_the_checked_address(names, photograph, monkeypatch):
    names["dogs.example"] = ["127.0.0.1"]
    url = f"http://dogs.example:{photograph.port}/"
    connected = []
    real = socket.create_connection

    def connect(address, *args, **kwargs):
        names["dogs.example"] = ["127.0.0.9"]  # the later answer of a rebinding name
        connected.append(address)
        return real(address, *args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", connect)
    assert fetch(url).body == JPEG
    assert connected == [("127.0.0.1", photograph.port)]
    assert names.asked.count("dogs.example") == 1
    assert photograph.requests[0][1]["Host"] == f"dogs.example:{photograph.port}"


def test_the_next_address_is_tried_if_the_first_accepts_no_connection(names, photograph):
    names["dogs.example"] = ["127.0.0.9", "127.0.0.1"]  # the server listens on the second only
    assert fetch(f"http://dogs.example:{photograph.port}/").body == JPEG


@pytest.mark.parametrize("port", [0, 22, 8080, 9001])
def test_only_the_usual_ports_are_allowed_at_public_addresses(port):
    assert refusal(f"https://8.8.8.8:{port}/", PUBLIC_ONLY) == NOT_ALLOWED


def test_an_unknown_name_is_unreachable():
    assert refusal("https://no-such-host.invalid/") == UNREACHABLE


def test_a_resolver_that_does_not_answer_ends_at_the_deadline(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait())
    try:
        assert refusal("https://dogs.example/", seconds=0.05) == (504, "url_timeout")
    finally:
        release.set()


# --- redirects ---


def redirecting(serve, location: str, status: int = 302):
    return serve(lambda handler: respond(handler, status, {"location": location}, b"")).url


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(serve, photograph, status):
    fetched = fetch(redirecting(serve, f"{photograph.url}/final.jpg", status))
    assert fetched.body == JPEG
    assert photograph.requests[0][0] == "/final.jpg"


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "http://user:password@127.0.0.1/",
        "//2852039166/",
        "http://[bad",
    ],
)
def test_the_same_rules_apply_to_a_redirect(serve, location):
    assert refusal(redirecting(serve, location)) == NOT_ALLOWED


def test_three_redirects_are_followed_but_not_a_fourth(serve, photograph):
    def countdown(handler):
        left = int(handler.path[1:])
        location = f"/{left - 1}" if left > 1 else f"{photograph.url}/dog.jpg"
        respond(handler, 302, {"location": location}, b"")

    chain = serve(countdown)
    assert fetch(f"{chain.url}/3").body == JPEG
    assert refusal(f"{chain.url}/4") == UNREACHABLE


# --- what comes back ---


def serving(serve, status: int, headers: dict, body: bytes) -> str:
    return serve(lambda handler: respond(handler, status, headers, body)).url


@pytest.mark.parametrize("status", [204, 206, 304, 401, 404, 500, 302])
def test_another_status_than_200_is_unreachable(serve, status):
    assert refusal(serving(serve, status, {"content-type": "image/jpeg"}, b"")) == UNREACHABLE


@pytest.mark.parametrize("declared", ["text/html; charset=utf-8", "application/json", "image/svg+xml"])
def test_another_declared_type_is_415(serve, declared):
    assert refusal(serving(serve, 200, {"content-type": declared}, JPEG)) == (415, "unsupported_media_type")


@pytest.mark.parametrize("declared", ["image/png", "binary/octet-stream", "application/octet-stream"])
def test_a_type_that_may_be_an_image_is_downloaded(serve, declared):
    assert fetch(serving(serve, 200, {"content-type": declared}, JPEG)).content_type == declared


def test_compressed_bytes_are_refused(serve):
    assert refusal(serving(serve, 200, {"content-type": "image/jpeg", "content-encoding": "gzip"}, b"x")) == UNREACHABLE


def test_a_declared_size_over_the_limit_is_413_without_reading_the_body(serve):
    headers = {"content-type": "image/jpeg", "content-length": str(MAX_IMAGE_BYTES + 1)}
    assert refusal(serving(serve, 200, headers, b"")) == (413, "image_too_large")


@pytest.mark.parametrize("framing", ["chunked", "until the end of the connection"])
def test_an_undeclared_size_over_the_limit_is_413(serve, framing):
    def flood(handler):
        handler.send_response(200)
        handler.send_header("content-type", "image/jpeg")
        handler.send_header(*(("transfer-encoding", "chunked") if framing == "chunked" else ("connection", "close")))
        handler.end_headers()
        piece = b"x" * 65536
        while True:  # until the client closes the connection
            handler.wfile.write(b"10000\r\n" + piece + b"\r\n" if framing == "chunked" else piece)

    assert refusal(serve(flood).url) == (413, "image_too_large")


def test_a_truncated_image_is_unreachable_and_not_classified(serve):
    def cut(handler):
        handler.close_connection = True
        respond(handler, 200, {"content-type": "image/jpeg", "content-length": "5000"}, JPEG)

    assert refusal(serve(cut).url) == UNREACHABLE


def test_a_server_that_disconnects_or_refuses_is_unreachable(serve):
    def hang_up(handler):
        handler.close_connection = True

    server = serve(hang_up)
    assert refusal(server.url) == UNREACHABLE
    server.close()
    assert refusal(server.url) == UNREACHABLE


@pytest.mark.parametrize("stage", ["silence", "headers", "body", "body without a length", "informational"])
def test_a_very_slow_server_ends_at_the_deadline(serve, stage):
    start = {
        "silence": b"",
        "headers": b"HTTP/1.1 200 OK\r\nX-Slow: ",
        "body": b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n",
        "body without a length": b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n",
        "informational": b"",
    }[stage]
    drop = {"silence": b"", "informational": b"HTTP/1.1 100 Continue\r\n\r\n"}.get(stage, b"x")
    done = threading.Event()

    def trickle(handler):
        handler.close_connection = True
        handler.wfile.write(start)
        while not done.wait(0.01):
            handler.wfile.write(drop)

    server = serve(trickle)
    try:
        assert refusal(server.url, seconds=0.3) == (504, "url_timeout")
    finally:
        done.set()


def test_the_log_names_the_host_and_never_the_query(make_predictor, photograph, capsys):
    event = json_event({"url": f"{photograph.url}/dog.jpg?X-Amz-Signature=sesame"})
    make_predictor(LOOPBACK).answer(event, Context())
    printed = capsys.readouterr().out
    assert json.loads(printed)["host"] == "127.0.0.1"
    assert "sesame" not in printed
