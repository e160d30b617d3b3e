"""Bucket policies with their conditions: moto passes over `Condition`, and so takes a conditional Deny for a ban.

One condition is decided here, `aws:SecureTransport`: a request that never leaves this machine counts as secure. A
statement with any other condition has no effect here.
"""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3 import models

SECURE_TRANSPORT = {"Bool": "aws:SecureTransport"}


def applies(statement: dict[str, Any]) -> bool:
    """Whether a statement's condition holds for a request over loopback."""
    condition = statement.get("Condition") or {}
    return all(
        SECURE_TRANSPORT.get(operator) == key and str(value).lower() == "true"
        for operator, asked in condition.items()
        for key, value in asked.items()
    )


def get_permission(bucket: models.FakeBucket, action: str, resource: str) -> PermissionResult:
    """What the bucket's policy says to an action: the statements whose conditions hold, and no others."""
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    document = json.loads(bucket.policy)
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    document["Statement"] = [
        {name: value for name, value in statement.items() if name != "Condition"}
        for statement in statements
        if applies(statement)
    ]
    return IAMPolicy(json.dumps(document)).is_action_permitted(action, resource)


def install() -> None:
    models.FakeBucket.get_permission = get_permission
