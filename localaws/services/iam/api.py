"""IAM and STS: moto's, with AWS's managed policies, simulations, and sessions that their policies limit.

Two addresses are this server's own: the credentials of its processes, and what `make permissions` shows.
"""

import json
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.iam import urls as iam_urls
from moto.iam.exceptions import IAMException, NotFoundException
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.sts import urls as sts_urls
from moto.sts.responses import TokenResponse

from localaws.context import ACCOUNT_ID
from localaws.errors import Answer, status_line
from localaws.services.iam import authorization, grants, identities, managed
from localaws.services.iam.evaluation import Policies
from localaws.services.iam.policies import PolicyError
from localaws.services.iam.service_roles import CREDENTIALS_PATH, credentials_of
from localaws.services.iam.sigv4 import Caller, find_caller, sessions_of_users
from localaws.services.iam.simulation import SIMULATED_USER, simulate

SETTINGS: dict[str, str] = {}  # what the server's health page shows

log = logging.getLogger("localaws")

PERMISSIONS_PATH = "/_localaws/permissions"


class InvalidInput(IAMException):
    code = "InvalidInput"


class STSAccessDenied(ServiceException):
    code = "AccessDenied"


class STSMalformedPolicy(ServiceException):
    code = "MalformedPolicyDocument"


class LocalIAMResponse(IamResponse):
    """One request to IAM."""

    def create_user(self) -> ActionResult:
        answer = super().create_user()
        if boundary := self._get_param("PermissionsBoundary"):
            self._bind(boundary)
        return answer

    def put_user_permissions_boundary(self) -> EmptyResult:
        return self._bind(self._get_param("PermissionsBoundary"))

    def delete_user_permissions_boundary(self) -> EmptyResult:
        return self._bind(None)

    def _bind(self, arn: str | None) -> EmptyResult:
        """Give a user a boundary, which moto keeps for roles only, or take it away."""
        user = self.backend.get_user(self._get_param("UserName"))
        if arn is not None:
            self.backend.get_policy(arn)  # which raises NoSuchEntity
        kind = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}
        vars(user).update(permissions_boundary_arn=arn, permissions_boundary=kind if arn else None)
        return EmptyResult()

    def simulate_principal_policy(self) -> ActionResult:
        arn = self._get_param("PolicySourceArn")
        try:
            policies = identities.policies_of_arn(arn)
        except KeyError:
            raise NotFoundException(f"The entity {arn} cannot be found.") from None
        return self._simulate(policies, self._get_param("CallerArn") or arn)

    def simulate_custom_policy(self) -> ActionResult:
        return self._simulate(Policies(), self._get_param("CallerArn") or SIMULATED_USER)

    def _simulate(self, policies: Policies, caller: str) -> ActionResult:
        try:
            results = simulate(policies, caller, self.params)
        except PolicyError as error:
            raise InvalidInput(str(error)) from None
        begin = int(self._get_param("Marker") or 0)
        end = begin + int(self._get_param("MaxItems") or 100)
        page: dict[str, Any] = {"EvaluationResults": results[begin:end], "IsTruncated": end < len(results)}
        return ActionResult({**page, "Marker": str(end)} if end < len(results) else page)


class LocalTokenResponse(TokenResponse):
    """One request to STS."""

    def assume_role(self) -> ActionResult:
        """Keys of a session. The root may assume any role here, which AWS refuses: but not one that does not exist."""
        role, policy = self._get_param("RoleArn"), self._get_param("Policy")
        if identities.trust_of(role) is None:
            caller = self._caller()
            name = caller.arn if caller else f"arn:aws:iam::{ACCOUNT_ID}:root"
            raise STSAccessDenied(f"User: {name} is not authorized to perform: sts:AssumeRole on resource: {role}")
        try:
            if policy:
                identities.parsed(policy)
        except PolicyError as error:
            raise STSMalformedPolicy(str(error)) from None
        answer = super().assume_role()
        session = answer.result["Credentials"]
        session.policy_arns = tuple(each["arn"] for each in self._get_param("PolicyArns") or [])
        return answer

    def get_session_token(self) -> ActionResult:
        """Temporary keys of the user who asks, or of the root."""
        caller = self._caller()
        if caller is None or identities.requester(caller).is_role_session or caller.token is not None:
            raise STSAccessDenied("Cannot call GetSessionToken with session credentials")
        key = iam_backends[ACCOUNT_ID]["aws"].create_temp_access_key()
        expires = datetime.now(UTC) + timedelta(seconds=self._get_int_param("DurationSeconds", 43200))
        session = replace(
            caller,
            access_key=key.access_key_id,
            secret_key=key.secret_access_key,
            token=secrets.token_urlsafe(64),
            expires=expires,
        )
        sessions_of_users()[session.access_key] = session
        credentials = {
            "AccessKeyId": session.access_key,
            "SecretAccessKey": session.secret_key,
            "SessionToken": session.token,
            "Expiration": expires,
        }
        return ActionResult({"Credentials": credentials})

    def get_federation_token(self) -> ActionResult:
        raise STSAccessDenied("The local AWS has no federated users: use AssumeRole with a session policy.")

    def get_caller_identity(self) -> ActionResult:
        caller = self._caller()
        if caller is None:
            return super().get_caller_identity()
        return ActionResult({"UserId": caller.user_id, "Account": ACCOUNT_ID, "Arn": caller.arn})

    def _caller(self) -> Caller | None:
        key = authorization.access_key({"HTTP_AUTHORIZATION": self.headers.get("Authorization", "")})
        return find_caller(key) if key else None


def matches(environ: dict[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] in (CREDENTIALS_PATH, PERMISSIONS_PATH)


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    """Answer with credentials, or with the permissions that are granted and used."""
    status, told = credentials_of(environ) if environ["PATH_INFO"] == CREDENTIALS_PATH else (200, grants.report())
    body = json.dumps(told).encode()
    start_response(status_line(status), [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def refusal(service: str, environ: dict[str, Any], request: Any) -> Answer | None:
    """The answer to a request that its caller may not make: the gate of every service."""
    return authorization.refusal(service, environ, request)


def install() -> None:
    SETTINGS["iam"] = "on" if authorization.enforced() else "off"
    if not authorization.enforced():
        log.warning("LOCALAWS_IAM=off: every call is allowed, and processes run as the account's root")
    managed.install()
    iam_urls.url_paths = dict.fromkeys(iam_urls.url_paths, LocalIAMResponse.dispatch)
    sts_urls.url_paths = dict.fromkeys(sts_urls.url_paths, LocalTokenResponse.dispatch)
