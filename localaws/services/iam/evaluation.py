"""The decision on a request: allowed, or denied, and by what.

Sources, in the IAM user guide: "Policy evaluation logic", "Cross-account policy evaluation logic" and "Troubleshoot
access denied error messages". Service control policies are left out: there is no organization here.
"""

import functools
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from localaws.services.iam.patterns import Doubt
from localaws.services.iam.policies import ALLOW, DENY, AccessRequest, PolicyDocument, Statement
from localaws.services.iam.principals import Naming

log = logging.getLogger(__name__)


class Kind(Enum):
    """A kind of policy: its article and its name in AWS's messages."""

    IDENTITY = ("an", "identity-based policy")
    RESOURCE = ("a", "resource-based policy")
    TRUST = ("the", "role trust policy")
    BOUNDARY = ("a", "permissions boundary")
    SESSION = ("a", "session policy")


@dataclass(frozen=True)
class Policies:
    """The policies that are about a request.

    `boundary` and `session` are None if there is none; without a statement they do not allow anything. With `trust`
    the resource's policy is a role's trust policy: it must allow a request, even of its own account.
    """

    identity: tuple[PolicyDocument, ...] = ()
    resource: PolicyDocument | None = None
    boundary: PolicyDocument | None = None
    session: tuple[PolicyDocument, ...] | None = None
    trust: bool = False

    @property
    def resource_kind(self) -> Kind:
        return Kind.TRUST if self.trust else Kind.RESOURCE

    def by_kind(self) -> list[tuple[Kind, tuple[PolicyDocument, ...]]]:
        resource = () if self.resource is None else (self.resource,)
        boundary = () if self.boundary is None else (self.boundary,)
        return [
            (Kind.IDENTITY, self.identity),
            (self.resource_kind, resource),
            (Kind.BOUNDARY, boundary),
            (Kind.SESSION, self.session or ()),
        ]


@dataclass(frozen=True)
class AccessDecision:
    """What became of a request.

    `kind` is the kind of policy that decided, None for the account's root user, who needs none. `statement` is the
    statement that allowed or denied, None for an implicit denial.
    """

    request: AccessRequest
    allowed: bool
    kind: Kind | None = None
    statement: Statement | None = None

    @property
    def explicit(self) -> bool:
        """Whether a statement denies the request."""
        return not self.allowed and self.statement is not None

    def message(self, quoted: bool = False) -> str:
        """A denial as AWS words it. S3 puts the resource in quotes."""
        request = self.request
        who = request.requester.arn or request.requester.service or request.requester.provider or "anonymous"
        resource = f'"{request.resource}"' if quoted else request.resource
        said = f"User: {who} is not authorized to perform: {request.action} on resource: {resource}"
        article, name = (self.kind or Kind.IDENTITY).value
        if self.explicit:
            return f"{said} with an explicit deny in {article} {name}"
        return f"{said} because no {name} allows the {request.action} action"


def evaluate(request: AccessRequest, policies: Policies) -> AccessDecision:
    """Decide on a request as AWS does."""
    by_kind = policies.by_kind()
    warn_of_doubts(request, (policy for _, each in by_kind for policy in each))
    for kind, each in by_kind:
        if (found := denying(request, each)) is not None:
            return AccessDecision(request, False, kind, found)
    granted, naming = granting(request, policies.resource)
    direct = AccessDecision(request, True, policies.resource_kind, granted)
    requester = request.requester
    if requester.arn is None:  # a service, an outside user or nobody: only the resource's policy counts
        return direct if naming else AccessDecision(request, False, policies.resource_kind)
    if (request.crosses_accounts or policies.trust) and not naming:
        return AccessDecision(request, False, policies.resource_kind)
    if requester.is_root:
        return AccessDecision(request, True)
    if not request.crosses_accounts and naming is Naming.DIRECT:
        return direct
    own = direct
    if request.crosses_accounts or naming is not Naming.BASE:
        found = next(_allowing(request, policies.identity), None)
        if found is None:
            return AccessDecision(request, False, Kind.IDENTITY)
        own = AccessDecision(request, True, Kind.IDENTITY, found)
    if policies.boundary is not None and not any(_allowing(request, (policies.boundary,))):
        return AccessDecision(request, False, Kind.BOUNDARY)
    # Unlike a role's session, a federated user may not do anything without a session policy.
    session = () if policies.session is None and requester.is_federated_user else policies.session
    if session is not None and not any(_allowing(request, session)):
        return AccessDecision(request, False, Kind.SESSION)
    return own


def said_by_resource(request: AccessRequest, policy: PolicyDocument) -> AccessDecision | None:
    """The decision of a resource's policy alone; None if it neither allows nor denies."""
    warn_of_doubts(request, (policy,))
    if (found := denying(request, (policy,))) is not None:
        return AccessDecision(request, False, Kind.RESOURCE, found)
    granted, naming = granting(request, policy)
    return AccessDecision(request, True, Kind.RESOURCE, granted) if naming is not Naming.NOT else None


def denying(request: AccessRequest, policies: Iterable[PolicyDocument]) -> Statement | None:
    """The first Deny that takes effect."""
    return next(
        (
            statement
            for policy in policies
            for statement in policy.about_action(request.action)
            if statement.effect == DENY and statement.naming(request.requester) and statement.applies(request)
        ),
        None,
    )


def granting(request: AccessRequest, policy: PolicyDocument | None) -> tuple[Statement | None, Naming]:
    """The Allow of a resource's policy that names the requester most directly, and how it does."""
    best: tuple[Statement | None, Naming] = (None, Naming.NOT)
    for statement in policy.about_action(request.action) if policy else ():
        if statement.effect != ALLOW or statement.principals is None:
            continue  # a statement without a principal is not a resource policy's
        naming = statement.naming(request.requester)
        if naming > best[1] and statement.applies(request):
            best = (statement, naming)
    return best


def _allowing(request: AccessRequest, policies: Iterable[PolicyDocument]) -> Iterable[Statement]:
    return (
        statement
        for policy in policies
        for statement in policy.about_action(request.action)
        if statement.effect == ALLOW and statement.applies(request)
    )


def warn_of_doubts(request: AccessRequest, policies: Iterable[PolicyDocument]) -> None:
    """Log the keys, operators and values that are not understood: their statements let nobody in."""
    for policy in policies:
        for statement in policy.about_action(request.action):
            verdict = statement.about(request)
            if isinstance(verdict, Doubt):
                _warn(verdict.reason, statement.effect, statement.sid)


@functools.lru_cache(maxsize=1024)
def _warn(reason: str, effect: str, sid: str | None) -> None:
    """Once for each: a policy is evaluated with every object of an upload."""
    consequence = "denies" if effect == DENY else "does not allow"
    log.warning("%s is not understood here: the statement %s %s", reason, sid or "without Sid", consequence)
