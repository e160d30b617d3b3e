"""A server on 127.0.0.1 that signs requests and forwards them to the function URL (`deploy.guarded_server`).

A browser cannot sign a request for AWS, so it cannot open the page of a function URL that requires AWS_IAM. This server
adds the signature with the caller's credentials (`deploy.function.Signer`).

Every accepted request uses the caller's permission, so the server accepts few requests: the method, the path and the
parameters must be those of the function. Only the headers `Content-Type` and `Accept` are forwarded, and few headers
are returned. While the server runs, other users of the same machine can use the function.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from deploy.function import KeyHolder, Signer, connect
from deploy.guarded_server import Answer, GuardedHandler, GuardedServer, Refusal

ROUTES = {"/": ("GET", "HEAD", "POST"), "/favicon.ico": ("GET", "HEAD")}
_PARAMETER = "(top_k=[0-9]{1,9}|explain=[01])"
QUERY = re.compile(f"{_PARAMETER}(&{_PARAMETER})?")
# Lambda accepts events of 6 MiB. The function rejects an image of more than 4 MiB with a message.
MAX_BODY_BYTES = 6 * 1024**2
UPSTREAM_SECONDS = 70  # the time limit of the function is one minute
REQUEST_HEADERS = ("Content-Type", "Accept")
RESPONSE_HEADERS = (
    "Content-Type",
    "Content-Security-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "Cache-Control",
    "Retry-After",
    "Allow",
    "x-amzn-RequestId",
)


class SigningProxy(GuardedServer):
    """The server. `signer` is None if the function URL accepts unsigned requests.

    `say` gets one line for each request and each refusal. Raises OSError if the port is in use. Port 0 means any free
    port.
    """

    def __init__(
        self, url: str, signer: Signer | KeyHolder | None, port: int = 0, say: Callable[[str], None] = lambda _: None
    ):
        super().__init__(Handler, port, say)
        self.url, self.signer = url.rstrip("/"), signer

    def forward(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a signed request to the function URL. Raises Refusal 502 if it cannot be signed or gets no answer."""
        url = self.url + target
        connection = connect(url, UPSTREAM_SECONDS)
        try:
            sent = self.signer.sign(method, url, body, headers) if self.signer else headers
            connection.request(method, target, body=body if method == "POST" else None, headers=sent)
            response = connection.getresponse()
            kept = {name: value for name in RESPONSE_HEADERS if (value := response.headers.get(name)) is not None}
            return Answer(response.status, kept, response.read())
        except (OSError, http.client.HTTPException, BotoCoreError) as error:
            words = f"{urlsplit(self.url).hostname} does not answer: {error}"
            raise Refusal(502, "endpoint_unavailable", words) from error
        finally:
            connection.close()


class Handler(GuardedHandler):
    """One connection from a browser or curl."""

    server: SigningProxy  # ty: ignore[incompatible-mutable-override] (the server that made it)
    max_body_bytes = MAX_BODY_BYTES

    def check_route(self) -> None:
        path, _, query = self.path.partition("?")
        if path not in ROUTES:
            raise Refusal(404, "not_found", "This path does not exist. Use /.")
        if self.command not in ROUTES[path]:
            raise Refusal(405, "method_not_allowed", "GET shows a page; POST an image, or JSON.")
        if "?" in self.path and not QUERY.fullmatch(query):
            raise Refusal(
                400,
                "invalid_request",
                "The query is not valid. Its parameters are top_k, a whole number, and explain=1.",
            )

    def respond(self, body: bytes) -> Answer:
        headers = {name: value for name in REQUEST_HEADERS if (value := self.headers.get(name)) is not None}
        return self.server.forward(self.command, self.path, body, headers)
