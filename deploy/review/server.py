"""The review page on 127.0.0.1: the page, the captured images, and what the user decides."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from deploy.console import Failure
from deploy.guarded_server import Answer, GuardedHandler, GuardedServer, Refusal
from deploy.review.session import Session

HERE = Path(__file__).parent
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
ACTIONS = ("/decide", "/undo", "/add")
IMAGE = re.compile(r"/image/([0-9a-f]{64})")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
JSON = {"Content-Type": "application/json", **COMMON}


class ReviewServer(GuardedServer):
    """The server of one review. `say` gets one line for each refusal and each new version."""

    def __init__(self, session: Session, port: int = 0, say: Callable[[str], None] = lambda _: None):
        super().__init__(ReviewHandler, port, lambda words: say(words) if not words.startswith("POST /") else None)
        self.session, self.tell = session, say


class ReviewHandler(GuardedHandler):
    """One connection from a browser."""

    server: ReviewServer  # ty: ignore[incompatible-mutable-override] (the server that made it)
    max_body_bytes = 4096

    def check_route(self) -> None:
        known = {**dict.fromkeys((*FILES, "/state"), "GET"), **dict.fromkeys(ACTIONS, "POST")}
        method = "GET" if IMAGE.fullmatch(self.path) else known.get(self.path)
        if method is None:
            raise Refusal(404, "not_found", f"This path does not exist. Open {self.server.address}.")
        if self.command != method:
            raise Refusal(405, "method_not_allowed", f"{self.path} takes {method} only.")
        # A form of another site cannot send this type without a preflight, which gets no consent.
        if method == "POST" and self.headers.get("Content-Type") != "application/json":
            raise Refusal(415, "unsupported_media_type", "The body must be application/json.")

    def respond(self, body: bytes) -> Answer:
        if self.path in FILES:
            name, kind = FILES[self.path]
            headers = {"Content-Type": kind, "Content-Security-Policy": POLICY, **COMMON}
            return Answer(200, headers, (HERE / name).read_bytes())
        if self.path == "/state":
            return _json(self.server.session.state())
        if match := IMAGE.fullmatch(self.path):
            return self._image(match[1])
        return self._act(body)

    def _image(self, identity: str) -> Answer:
        found = self.server.session.image(identity)
        if found is None:
            raise Refusal(404, "not_found", "The image is not part of this review.")
        kind, content = found
        return Answer(200, {"Content-Type": kind, "Content-Security-Policy": "sandbox", **COMMON}, content)

    def _act(self, body: bytes) -> Answer:
        session = self.server.session
        try:
            asked = json.loads(body)
            if self.path == "/add":
                done = session.add()
                self.server.tell(f"{done['name']} has {done['added']:,} more images in train: {done['uri']}")
                return _json(done)
            if self.path == "/undo":
                return _json({"to_add": session.undo(str(asked["id"]))})
            return _json({"to_add": session.decide(str(asked["id"]), asked["label"])})
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(400, "invalid_request", str(error) or "The body is not valid.") from None
        except (Failure, ClientError, BotoCoreError, OSError) as error:
            raise Refusal(500, "failed", str(error)) from error


def _json(value: dict) -> Answer:
    return Answer(200, JSON, json.dumps(value).encode())
