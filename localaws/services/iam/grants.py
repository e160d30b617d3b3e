"""What policies grant to each role and user, and what the principal has used. `make permissions` shows it."""

import functools
import re
from collections.abc import Iterator
from typing import Any

from moto.iam.models import iam_backends

from localaws.context import ACCOUNT_ID
from localaws.services.iam import authorization, identities, usage
from localaws.services.iam.actions import ACTIONS, PREFIXES, RESOURCES
from localaws.services.iam.patterns import covers
from localaws.services.iam.policies import ALLOW, PolicyDocument

_MEMBERS = re.compile(r"\{[^}]*\}")
# Pairs of S3: actions on a bucket, and actions on its objects.
_OBJECT_ACTIONS = re.compile(r"s3:(?!.*Bucket)(\w*Object\w*|AbortMultipartUpload|ListMultipartUploadParts)")


def report() -> dict[str, Any]:
    """By principal: `granted`, one entry per statement, action and resource, and `used`, what it used or tried to."""
    used = usage.report()
    principals = {}
    for arn, documents in _holders():
        mine = used.pop(arn, [])
        granted = [entry for document in documents for entry in _entries(document, mine)]
        principals[arn] = {"granted": granted, "used": mine}
    return {
        "enforced": authorization.enforced(),
        "principals": principals | {arn: {"granted": [], "used": pairs} for arn, pairs in used.items()},
    }


def _holders() -> Iterator[tuple[str, tuple[PolicyDocument, ...]]]:
    iam = iam_backends[ACCOUNT_ID]["aws"]
    for table in (iam.roles, iam.users):
        for holder in sorted(table.values(), key=lambda each: each.name):
            yield holder.arn, identities.policies_of_arn(holder.arn).identity


def _entries(document: PolicyDocument, used: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The pairs of an action and a resource that a policy allows, each with how many of the used pairs it covers."""
    for statement in document.statements:
        if statement.effect != ALLOW:
            continue
        for action in statement.actions:
            for resource in statement.resources:
                hits = [each for each in used if each["allowed"] and _covers(action, resource, each)]
                yield {
                    "sid": statement.sid or "",
                    "action": action,
                    "resource": resource,
                    "used": sum(each["allowed"] for each in hits),
                    "possible": is_possible(action, resource),
                }


def _covers(action: str, resource: str, used: dict[str, Any]) -> bool:
    # What is kept of objects ends in `/*`: any object stands for them.
    return covers(action.lower(), used["action"].lower()) is True and covers(resource, used["resource"]) is True


def is_possible(action: str, resource: str) -> bool:
    """Whether a request can have both: `sagemaker:CreateModel` is never about an endpoint. True for unknown actions."""
    if resource == "*" or "*" in action:
        return True
    if action.startswith("s3:"):
        return ("/" in resource) == bool(_OBJECT_ACTIONS.fullmatch(action))
    templates = _templates(action)
    parts = resource.split(":", 5)
    if not templates or len(parts) < 6:
        return True
    return any(may_meet(_MEMBERS.sub("*", each), parts[5]) for each in templates)


def _templates(action: str) -> list[str]:
    """The resources of the table that an action is about; none if it is not in the table."""
    found = []
    for service, tables in RESOURCES.items():
        for template, operations in tables.items():
            names = {
                ACTIONS.get((service, each), f"{PREFIXES.get(service, service)}:{each}") for each in operations.split()
            }
            if action in names:
                found.append(template.split(":", 5)[5] if template.startswith("arn:") else template)
    return found


@functools.lru_cache(maxsize=4096)
def may_meet(one: str, other: str) -> bool:
    """Whether there is a text that two patterns with wildcards both cover."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return may_meet(one[1:], other) or may_meet(one, other[1:])
    if other[0] == "*":
        return may_meet(one, other[1:]) or may_meet(one[1:], other)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and may_meet(one[1:], other[1:])
