"""Policy documents: their statements, and which requests a statement is about.

Source: "IAM JSON policy element reference" in the IAM user guide. Nothing here depends on another part of the local
AWS: a `Requester` is who makes a request, and a `RequestContext` has its condition keys.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from localaws.services.iam.conditions import Condition, RequestContext
from localaws.services.iam.patterns import Doubt, Lookup, Verdict, all_of, any_of, covers, negated
from localaws.services.iam.principals import Naming, Principals, Requester

VERSIONS = ("2012-10-17", "2008-10-17")
ALLOW, DENY = "Allow", "Deny"
MAX_KEPT = 1000  # actions per policy


class PolicyError(ValueError):
    """A document that is not a policy; the message has the reason."""


@dataclass(frozen=True)
class AccessRequest:
    """Who wants to do what with which resource. `account` owns the resource: the requester's own if it is None."""

    requester: Requester
    action: str
    resource: str
    context: RequestContext = field(default_factory=RequestContext)
    account: str | None = None

    @property
    def crosses_accounts(self) -> bool:
        return self.account is not None and self.account != self.requester.account


@dataclass(frozen=True)
class Statement:
    """One statement of a policy."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    sid: str | None = None
    principals: Principals | None = None
    conditions: tuple[Condition, ...] = ()
    not_action: bool = False
    not_resource: bool = False
    not_principal: bool = False
    variables: bool = True

    @classmethod
    def parse(cls, given: Any, version: str = VERSIONS[0]) -> "Statement":
        """Raises PolicyError."""
        if not isinstance(given, Mapping):
            raise PolicyError("A statement must be an object.")
        if given.get("Effect") not in (ALLOW, DENY):
            raise PolicyError("Effect must be Allow or Deny.")
        actions, not_action = _either(given, "Action", required=True)
        # A role's trust policy does not name a resource: it is about the role.
        resources, not_resource = _either(given, "Resource", required=False)
        who = [name for name in ("Principal", "NotPrincipal") if name in given]
        if len(who) > 1:
            raise PolicyError("A statement cannot have both Principal and NotPrincipal.")
        try:
            principals = Principals.parse(given[who[0]]) if who else None
        except ValueError as error:
            raise PolicyError(str(error)) from None
        return cls(
            effect=given["Effect"],
            actions=actions,
            resources=resources or ("*",),
            sid=given.get("Sid"),
            principals=principals,
            conditions=tuple(_conditions(given.get("Condition"))),
            not_action=not_action,
            not_resource=not_resource,
            not_principal=who == ["NotPrincipal"],
            variables=version == VERSIONS[0],
        )

    def naming(self, requester: Requester) -> Naming:
        """How the statement names a requester. An identity's own policy has no principal and is the identity's."""
        if self.principals is None:
            return Naming.DIRECT
        if not self.not_principal:
            return self.principals.naming(requester)
        spared = self.principals.spares(requester) if self.effect == DENY else self.principals.naming(requester)
        return Naming.NOT if spared else Naming.DIRECT

    def about_action(self, action: str) -> Verdict:
        """Whether the statement is about an action."""
        named = any_of(covers(each.lower(), action.lower()) for each in self.actions)
        return negated(named) if self.not_action else named

    def about(self, request: AccessRequest) -> Verdict:
        """Whether the statement is about a request's action and resource, and the request meets its conditions."""
        lookup = request.context.variable if self.variables else None
        resource = any_of(_covers_resource(each, request.resource, lookup) for each in self.resources)
        return all_of(
            (
                self.about_action(request.action),
                negated(resource) if self.not_resource else resource,
                *(condition.met(request.context, self.variables) for condition in self.conditions),
            )
        )

    def applies(self, request: AccessRequest) -> bool:
        """Whether the statement takes effect. A doubt lets nobody in: an Allow has no effect, a Deny has."""
        verdict = self.about(request)
        return self.effect == DENY if isinstance(verdict, Doubt) else verdict


@dataclass(frozen=True)
class PolicyDocument:
    """A policy document."""

    statements: tuple[Statement, ...]
    id: str | None = None
    version: str = VERSIONS[1]
    _by_action: dict[str, tuple[Statement, ...]] = field(default_factory=dict, compare=False, repr=False)

    def about_action(self, action: str) -> tuple[Statement, ...]:
        """The statements that are about an action, looked for once: a policy of AWS's own has hundreds of actions."""
        found = self._by_action.get(action)
        if found is None:
            found = tuple(each for each in self.statements if each.about_action(action) is not False)
            if len(self._by_action) < MAX_KEPT:
                self._by_action[action] = found
        return found

    @classmethod
    def parse(cls, document: Any) -> "PolicyDocument":
        """A policy from JSON, from JSON in percent signs, or from parsed JSON. Raises PolicyError."""
        if isinstance(document, bytes):
            document = document.decode(errors="replace")
        if isinstance(document, str):
            try:
                document = json.loads(unquote(document) if document.lstrip().startswith("%7B") else document)
            except (ValueError, RecursionError):
                raise PolicyError("Policies must be valid JSON.") from None
        if not isinstance(document, Mapping):
            raise PolicyError("Policies must be valid JSON and the first byte must be '{'")
        version = document.get("Version", VERSIONS[1])
        if version not in VERSIONS:
            raise PolicyError(f"The policy must contain a valid version string: {' or '.join(VERSIONS)}.")
        statements = tuple(Statement.parse(each, version) for each in _listed(document.get("Statement", ())))
        return cls(statements, document.get("Id"), version)


def _either(given: Mapping[str, Any], element: str, required: bool) -> tuple[tuple[str, ...], bool]:
    """The values of an element or of its Not-form, and whether it is the Not-form."""
    found = [name for name in (element, f"Not{element}") if name in given]
    if len(found) > 1:
        raise PolicyError(f"A statement cannot have both {element} and Not{element}.")
    if not found:
        if required:
            raise PolicyError(f"Missing required field {element}")
        return (), False
    values = tuple(_listed(given[found[0]]))
    if not all(isinstance(each, str) for each in values):
        raise PolicyError(f"{found[0]} must be text or a list of texts.")
    return values, found[0] != element


def _conditions(given: Any) -> list[Condition]:
    if not isinstance(given or {}, Mapping) or not all(isinstance(keys, Mapping) for keys in (given or {}).values()):
        raise PolicyError("Condition must have operators with keys.")
    return [
        Condition(operator, key, tuple(_text(each) for each in _listed(expected)))
        for operator, keys in (given or {}).items()
        for key, expected in keys.items()
    ]


def _covers_resource(text: str, resource: str, lookup: Lookup | None) -> Verdict:
    """Whether a Resource element covers a resource: each part of an ARN by itself, with variables in the last."""
    wanted, given = text.split(":", 5), resource.split(":", 5)
    if len(wanted) < 6 or len(given) < 6:
        return covers(text, resource)
    head = all_of(covers(each, part) for each, part in zip(wanted[:5], given[:5], strict=True))
    return all_of((head, covers(wanted[5], given[5], lookup)))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
