"""`/_localaws/chaos`: GET lists the rules; POST takes one as {"rule": "…"}, or {"clear": true}.

A web page cannot send these requests: a POST must be JSON, which a page may only send with the consent of the server,
and a request that names an origin is refused.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from localaws.chaos import decisions, losses
from localaws.chaos.rule import RuleError, parse
from localaws.errors import Answer, status_line

PATH = "/_localaws/chaos"
MOST_BYTES = 10_000


def matches(environ: dict[str, Any]) -> bool:
    return environ["PATH_INFO"] == PATH


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    status, told = _answer(environ)
    body = json.dumps(told).encode()
    start_response(status_line(status), [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _answer(environ: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none":
        return 403, {"message": "Web pages may not see or change the rules."}
    if environ["REQUEST_METHOD"] == "GET":
        return 200, {"rules": decisions.listed()}
    if environ["REQUEST_METHOD"] != "POST" or environ.get("CONTENT_TYPE", "").partition(";")[0] != "application/json":
        return 415, {"message": "Send GET, or POST with JSON and its Content-Type."}
    try:
        asked = json.loads(environ["wsgi.input"].read(MOST_BYTES))
        if asked == {"clear": True}:
            return 200, {"cleared": decisions.clear()}
        rule = parse(asked["rule"])
        active = decisions.add(rule)
    except RuleError as error:
        return 400, {"message": str(error)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return 400, {"message": f'Send {{"rule": "…"}} or {{"clear": true}} ({error}).'}
    if rule.is_loss:
        losses.start(active)
    return 200, {"rules": decisions.listed()}


def refusal(service: str, environ: dict[str, Any], request: Any) -> Answer | None:
    """The gate of every service: the error that a rule has for a request."""
    return decisions.refusal(service, request and request.operation.name, environ)


def settings() -> dict[str, Any]:
    """What `health` shows."""
    return {"chaos": [each["rule"] for each in decisions.listed()]}


def install() -> None:
    """Nothing to replace in moto."""
