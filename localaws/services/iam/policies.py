"""Whether policies allow an action: IAM's evaluation, as far as a function URL needs it.

Source: "Policy evaluation logic" in the IAM user guide. An explicit Deny wins, and what nobody allows is not allowed. A
condition that is not understood here never lets anybody in: it is not met in an Allow, and met in a Deny.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends

from localaws.context import ACCOUNT_ID

Statement = Mapping[str, Any]


def allows(statements: Iterable[Statement], action: str, resource: str, facts: Mapping[str, str]) -> bool:
    """Whether the statements allow an action on a resource. `facts` are the request's condition keys."""
    matching = [
        each
        for each in statements
        if _covers(each, "Action", action, ignore_case=True)
        and _covers(each, "Resource", resource)
        and _holds(each.get("Condition") or {}, facts, unknown=each["Effect"] == "Deny")
    ]
    return any(each["Effect"] == "Allow" for each in matching) and all(each["Effect"] == "Allow" for each in matching)


def identity_statements(arn: str) -> list[Statement]:
    """The statements of a caller's own policies: a user's with those of its groups, an assumed role's."""
    iam = iam_backends[ACCOUNT_ID]["aws"]
    kind, _, rest = arn.rpartition(f":{ACCOUNT_ID}:")[2].partition("/")
    if kind == "assumed-role":
        holders = [iam.get_role(rest.partition("/")[0])]
    elif kind == "user":
        name = rest.rpartition("/")[2]
        holders = [iam.get_user(name), *iam.get_groups_for_user(name)]
    else:
        return []
    documents = []
    for holder in holders:
        documents += list(holder.policies.values())
        for policy in holder.managed_policies.values():
            documents += [each.document for each in policy.versions if each.version_id == policy.default_version_id]
    return [each for document in documents for each in statements_of(document)]


def statements_of(document: Any) -> list[Statement]:
    """The statements of a policy, given as JSON, as JSON in percent signs, or parsed."""
    if isinstance(document, str):
        document = json.loads(unquote(document) if document.lstrip().startswith("%7B") else document)
    return _listed(document.get("Statement") or [])


def is_for(statement: Statement, arn: str) -> bool:
    """Whether a resource policy's statement names a caller: everybody, the user or the role.

    One that names the account leaves it to the caller's own policies, and so lets in nobody but the account itself.
    """
    principal = statement.get("Principal")
    if principal == "*":
        return True
    named = _listed(principal.get("AWS", [])) if isinstance(principal, Mapping) else []
    role = re.sub(r":sts:(.*):assumed-role/([^/]+)/.*", r":iam:\1:role/\2", arn)
    return bool({"*", arn, role}.intersection(named))


def _covers(statement: Statement, element: str, value: str, ignore_case: bool = False) -> bool:
    """Whether Action or Resource, or its Not-, is about a value."""
    for name, wanted in ((element, True), (f"Not{element}", False)):
        if name in statement:
            return wanted == any(_like(pattern, value, ignore_case) for pattern in _listed(statement[name]))
    return False


def _holds(condition: Mapping[str, Mapping[str, Any]], facts: Mapping[str, str], unknown: bool) -> bool:
    """Whether all of a condition is met."""
    known = {key.lower(): value for key, value in facts.items()}
    for test, keys in condition.items():
        for key, expected in keys.items():
            met = _met(test, known.get(key.lower()), [str(each) for each in _listed(expected)])
            if not (unknown if met is None else met):
                return False
    return True


def _met(test: str, value: str | None, expected: list[str]) -> bool | None:
    """Whether one test is met; None for a test that is not understood."""
    name = test.removesuffix("IfExists")
    if value is None:
        return name != test or "Not" in name
    match name:
        case "StringEquals" | "ArnEquals":
            return value in expected
        case "StringNotEquals":
            return value not in expected
        case "StringEqualsIgnoreCase" | "Bool":
            return value.lower() in [each.lower() for each in expected]
        case "StringLike" | "ArnLike":
            return any(_like(each, value) for each in expected)
        case "StringNotLike" | "ArnNotLike":
            return not any(_like(each, value) for each in expected)
    return None


def _like(pattern: str, value: str, ignore_case: bool = False) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(expression, value, re.IGNORECASE if ignore_case else 0) is not None


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
