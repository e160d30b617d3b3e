"""Who makes a request, and whether a policy's Principal or NotPrincipal names them.

Source: "AWS JSON policy elements: Principal" and "NotPrincipal" in the IAM user guide. `*` stands for everybody and is
not a wildcard within a name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

KINDS = ("AWS", "Service", "Federated", "CanonicalUser")

_ACCOUNT = re.compile(r"(?:arn:[^:]+:iam::)?(\d{12})(?::root)?")
_ROLE = re.compile(r"arn:[^:]+:iam::(\d{12}):role/(?:.*/)?([^/]+)")
_SESSION = re.compile(r"arn:[^:]+:sts::(\d{12}):assumed-role/([^/]+)/.+")
_FEDERATED_USER = re.compile(r"arn:([^:]+):sts::(\d{12}):federated-user/(.+)")


class Naming(IntEnum):
    """How a policy names a requester. Other policies limit a grant less, the more exact the name is."""

    NOT = 0
    ACCOUNT = 1  # by the account: the requester's own policies decide then
    BASE = 2  # by the role of a session, or by the user of a federated session
    DIRECT = 3  # by the requester's own name, or as everybody


@dataclass(frozen=True)
class Requester:
    """Who makes a request: an ARN, a service, an identity provider's user or a canonical user. Nobody signed: none."""

    arn: str | None = None
    service: str | None = None
    provider: str | None = None  # the provider that vouches for a web identity or a SAML user
    canonical: str | None = None

    @property
    def account(self) -> str | None:
        return self.arn.split(":")[4] if self.arn else None

    @property
    def is_root(self) -> bool:
        return self.arn is not None and self.arn.endswith(":root")

    @property
    def is_role_session(self) -> bool:
        return bool(self.arn and _SESSION.fullmatch(self.arn))

    @property
    def is_federated_user(self) -> bool:
        return bool(self.arn and _FEDERATED_USER.fullmatch(self.arn))

    def named_by(self, name: str) -> Naming:
        """How an entry of `AWS` names the requester."""
        if name == "*":
            return Naming.DIRECT
        if self.arn is None:
            return Naming.NOT
        if account := _ACCOUNT.fullmatch(name):
            mine = account[1] == self.account
            return (Naming.DIRECT if self.is_root else Naming.ACCOUNT) if mine else Naming.NOT
        if name == self.arn:
            return Naming.DIRECT
        session, role = _SESSION.fullmatch(self.arn), _ROLE.fullmatch(name)
        if session and role and session.groups() == role.groups():  # names of roles differ without their paths, too
            return Naming.BASE
        user = _FEDERATED_USER.fullmatch(self.arn)
        if user and name == f"arn:{user[1]}:iam::{user[2]}:user/{user[3]}":
            return Naming.BASE
        return Naming.NOT


@dataclass(frozen=True)
class Principals:
    """A Principal or NotPrincipal element: pairs of a kind and a name. The kind of `"Principal": "*"` is `*`."""

    names: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, element: Any) -> "Principals":
        """Raises ValueError if an element is not a Principal element."""
        if element == "*":
            return cls((("*", "*"),))
        if not isinstance(element, Mapping) or not element or not set(KINDS).issuperset(element):
            raise ValueError("Principal must be * or an object with AWS, Service, Federated or CanonicalUser.")
        listed = {kind: [names] if isinstance(names, str) else names for kind, names in element.items()}
        pairs = tuple((kind, name) for kind, names in listed.items() for name in names)
        if not pairs or not all(isinstance(name, str) for _, name in pairs):
            raise ValueError("Principal must name its principals by text.")
        return cls(pairs)

    def naming(self, requester: Requester) -> Naming:
        """How the element names a requester, by the most exact entry."""
        return max(self._naming(kind, name, requester) for kind, name in self.names)

    def spares(self, requester: Requester) -> bool:
        """Whether NotPrincipal with Deny spares a requester: it must name a session and the role of the session."""
        namings = {self._naming(kind, name, requester) for kind, name in self.names}
        whole = {Naming.DIRECT, Naming.BASE} if requester.is_role_session or requester.is_federated_user else set()
        everybody = any(name == "*" and self._naming(kind, name, requester) for kind, name in self.names)
        return everybody or (Naming.DIRECT in namings and whole <= namings)

    @staticmethod
    def _naming(kind: str, name: str, requester: Requester) -> Naming:
        if kind == "*":
            return Naming.DIRECT
        if kind == "AWS":
            return requester.named_by(name)
        own = {"Service": requester.service, "Federated": requester.provider, "CanonicalUser": requester.canonical}
        return Naming.DIRECT if own[kind] is not None and name in ("*", own[kind]) else Naming.NOT
