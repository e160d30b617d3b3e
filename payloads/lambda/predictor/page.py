"""The page for browsers: one file, with a content security policy that allows no other source."""

import base64
import functools
import hashlib
import re
from pathlib import Path

from predictor.events import COMMON_HEADERS

PAGE = Path(__file__).with_name("page.html")


@functools.cache
def page_response() -> dict:
    """The page as a response. The policy allows its own script and style by their hashes, and nothing else."""
    html = PAGE.read_text(encoding="utf-8")
    policy = {
        "default-src": "'none'",
        "script-src": _hashes(html, "script"),
        "style-src": _hashes(html, "style"),
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "statusCode": 200,
        "headers": {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
            "referrer-policy": "no-referrer",
            **COMMON_HEADERS,
        },
        "body": html,
        "isBase64Encoded": False,
    }


def _hashes(html: str, tag: str) -> str:
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digests = (hashlib.sha256(content.encode()).digest() for content in contents)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
