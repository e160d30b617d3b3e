"""Download the image of a `{"url": ...}` without opening a way into the function's own network.

The rules of `urls` apply to the URL and to each redirect, for every address that the name resolves to. The name is
resolved once, and the connection goes to a checked address, so a later change of the name has no effect. REDIRECTS,
MAX_IMAGE_BYTES and one deadline limit the whole download. The deadline also ends a download from a very slow server.
"""

import contextlib
import functools
import http.client
import socket
import ssl
import threading
from collections.abc import Generator
from dataclasses import dataclass

from classifier.contract import MAX_IMAGE_BYTES, MEDIA_TYPES, OPEN_TYPES, ApiError, media_type

from predictor.deadline import Deadline
from predictor.urls import Address, Place, Policy, follow, parse, resolve

REDIRECTS = 3
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
CONNECT_SECONDS = 3.0  # for each address
# S3 gives back what the uploader declared, and several SDKs declare how they sent the bytes (aws/aws-sdk issue 498).
PLAIN_ENCODINGS = {"", "identity", "aws-chunked"}
HEADERS = {
    "User-Agent": "pawprint",
    "Accept": ", ".join(MEDIA_TYPES),
    "Accept-Encoding": "identity",
    "Connection": "close",
}


@dataclass(frozen=True)
class Fetched:
    body: bytes
    content_type: str  # as declared by the server; the caller checks the bytes
    host: str  # the last host of the redirects


def fetch_image(url: str, policy: Policy, deadline: Deadline) -> Fetched:
    """The bytes behind `url`.

    Raises ApiError: 422 if the URL is not allowed or the download fails, 413, 415 for the declared type, 504.
    """
    for _ in range(1 + REDIRECTS):
        place = parse(url, policy)
        addresses = resolve(place, policy, deadline)
        with _answer(place, addresses, deadline) as response:
            location = response.headers.get("Location")
            if response.status not in REDIRECT_STATUSES or not location:
                content_type = response.headers.get("Content-Type", "")
                return Fetched(read_body(response, place.host, deadline), content_type, place.host)
        url = follow(url, location)
    raise ApiError("url_unreachable", f"The URL redirects more than {REDIRECTS} times.")


@contextlib.contextmanager
def _answer(place: Place, addresses: list[Address], deadline: Deadline) -> Generator[http.client.HTTPResponse]:
    """The answer to one GET, with an unread body. Raises ApiError for all failures."""
    try:
        with (
            _connected(place, addresses, deadline) as sock,
            broken_off(sock, deadline),
        ):
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            connection = http.client.HTTPConnection(place.host, place.port)
            connection.sock = sock
            connection.request("GET", place.target, headers={"Host": place.host_header, **HEADERS})
            with connection.getresponse() as response:
                yield response
    except (OSError, http.client.HTTPException) as error:
        if deadline.left() == 0:
            raise too_slow(place.host) from error
        certificate = isinstance(error, ssl.SSLCertVerificationError)
        problem = "its certificate is not valid" if certificate else "the connection failed"
        raise ApiError("url_unreachable", f"The download from {place.host} failed: {problem}.") from error


def _connected(place: Place, addresses: list[Address], deadline: Deadline) -> socket.socket:
    """A connection to the first address that accepts one. For https the handshake comes later."""
    for address in addresses:
        seconds = min(CONNECT_SECONDS, deadline.left())
        with contextlib.suppress(OSError):
            sock = socket.create_connection((str(address), place.port), timeout=seconds)
            break
    else:
        raise ConnectionError("no address accepts a connection")
    sock.settimeout(deadline.left())
    if place.scheme == "https":
        return tls().wrap_socket(sock, server_hostname=place.host, do_handshake_on_connect=False)
    return sock


@contextlib.contextmanager
def broken_off(sock: socket.socket, deadline: Deadline) -> Generator[None]:
    """Shut the connection at the deadline. A socket's timeout applies to each read, so a slow server never reaches
    it."""

    def shut() -> None:
        with contextlib.suppress(OSError):  # the connection has just ended
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(deadline.left(), shut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_body(response: http.client.HTTPResponse, host: str, deadline: Deadline, most: int = MAX_IMAGE_BYTES) -> bytes:
    """The image in an answer, of at most `most` bytes. Raises ApiError 413, 415, 422 or 504."""
    declared = media_type(response.headers.get("Content-Type"))
    if response.status != 200:
        raise ApiError("url_unreachable", f"{host} answered {response.status}.")
    if declared not in (*MEDIA_TYPES, *OPEN_TYPES):
        raise ApiError(
            "unsupported_media_type", f"The URL leads to {declared[:80]}, not to {' or '.join(MEDIA_TYPES)}."
        )
    encodings = {each.strip() for each in response.headers.get("Content-Encoding", "").lower().split(",")}
    if encodings - PLAIN_ENCODINGS:
        raise ApiError("url_unreachable", f"{host} sends the image with a Content-Encoding.")
    announced = response.length or 0
    body = b"" if announced > most else response.read(most + 1)
    if max(announced, len(body)) > most:
        raise ApiError("image_too_large", f"The image is larger than {most:,} bytes.")
    if deadline.left() == 0:  # the connection was shut, which looks like an end if the length is unknown
        raise too_slow(host)
    if len(body) < announced:
        raise ApiError("url_unreachable", f"{host} closed the connection before the end of the image.")
    return body


def too_slow(host: str) -> ApiError:
    return ApiError("url_timeout", f"{host} was too slow.")


@functools.cache
def tls() -> ssl.SSLContext:
    return ssl.create_default_context()
