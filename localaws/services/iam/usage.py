"""Which permissions each principal has used, kept with the state. `make permissions` reads it.

A new pair of an action and a resource is kept at once. The objects of a bucket count by the folder that they
are in, and log streams by their group.
"""

import threading
from typing import Any

from moto.iam.models import iam_backends

from localaws import state
from localaws.context import ACCOUNT_ID

MAX_PAIRS = 5000  # per principal: a loop over names must not fill the memory
FOLDERS = 2  # of an object's key that are kept: `payloads/train/*`

_lock = threading.Lock()

Pairs = dict[tuple[str, str], dict[str, int]]  # (action, resource): {"allowed": …, "denied": …}


def record(principal: str, action: str, resource: str, allowed: bool) -> None:
    """Count one decision on a principal: the ARN of a role, of a user, or of the account's root."""
    pair = (action, _grouped(action, resource))
    with _lock:
        pairs = _kept().setdefault(principal, {})
        if pair not in pairs:
            if len(pairs) >= MAX_PAIRS:
                return
            pairs[pair] = {"allowed": 0, "denied": 0}
            state.touch()
        pairs[pair]["allowed" if allowed else "denied"] += 1


def report() -> dict[str, list[dict[str, Any]]]:
    """By principal, what was used: action, resource, and how often it was allowed and denied."""
    with _lock:
        return {
            principal: [
                {"action": action, "resource": resource, **counts}
                for (action, resource), counts in sorted(pairs.items())
            ]
            for principal, pairs in _kept().items()
        }


def _kept() -> dict[str, Pairs]:
    """The counts, in the one backend that is pickled for them: moto's of IAM."""
    backend = iam_backends[ACCOUNT_ID]["aws"]
    kept: dict[str, Pairs] = vars(backend).setdefault("localaws_used", {})
    return kept


def _grouped(action: str, resource: str) -> str:
    if action.startswith("logs:") and ":log-stream:" in resource:
        return f"{resource.partition(':log-stream:')[0]}:log-stream:*"
    bucket, slash, key = resource.partition("/")
    if not action.startswith("s3:") or not slash:
        return resource
    folders = key.split("/")[:-1][:FOLDERS]
    return "/".join([bucket, *folders, "*"]) if folders else resource
