"""Roles that services act for: what SageMaker, Lambda and EC2 may do, and the credentials of their processes.

A service assumes the role as any caller does, so the role must exist and its trust policy must name the service. What
the service then does itself (downloads, uploads, logs) is decided on as a request by that session.

Processes get credentials in one of AWS's two ways: in their environment with an expiry (Lambda), or from an address on
this server that gives fresh ones for the token of a process (containers, notebooks and instances). The SDKs ask
that address by themselves.
"""

import logging
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, sts_backends

from localaws import state
from localaws.context import ACCOUNT_ID, DEFAULT_REGION, OWN_AGENT, context
from localaws.services.iam import identities
from localaws.services.iam.authorization import decide, enforced
from localaws.services.iam.conditions import RequestContext
from localaws.services.iam.evaluation import AccessDecision, Policies, evaluate
from localaws.services.iam.permissions import KNOWN_KEYS, Permission
from localaws.services.iam.policies import AccessRequest
from localaws.services.iam.principals import Requester
from localaws.services.iam.sigv4 import Caller, sessions_of_users

SAGEMAKER, LAMBDA, EC2 = "sagemaker.amazonaws.com", "lambda.amazonaws.com", "ec2.amazonaws.com"
CREDENTIALS_PATH = "/_localaws/credentials"
CONTAINER_SECONDS = 3600  # SDKs ask again some minutes before the end
ENVIRONMENT_SECONDS = 12 * 3600  # of an environment that cannot ask again

log = logging.getLogger(__name__)

_REGISTRY = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<name>[^:@]+)")

_holders: dict[str, Callable[[], "ServiceRole | None"]] = {}  # by token: whose credentials its process gets


class CannotAssume(Exception):
    """A service may not assume a role: there is none of this ARN, or its trust policy does not name the service."""


class ServiceDenied(Exception):
    """A service may not do something for its role; the message is AWS's."""


@dataclass(frozen=True)
class ServiceRole:
    """A role that a service acts for, under the name that its sessions have."""

    arn: str
    service: str
    session: str
    region: str = DEFAULT_REGION

    @property
    def _limits(self) -> bool:
        """Whether anything is refused. Models without a role have no ARN, and older records have none.

        A role whose trust policy has no statement is a stand-in for tests: AWS would not have made it.
        """
        if not self.arn or not enforced():
            return False
        trust = identities.trust_of(self.arn)
        return trust is None or bool(trust.statements)

    @property
    def session_arn(self) -> str:
        return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{self.arn.rpartition('/')[2]}/{self.session}"

    def require_trust(self, source_arn: str | None = None) -> None:
        """Raise CannotAssume unless the role exists and lets the service assume it."""
        if not self._limits:
            return
        trust = identities.trust_of(self.arn)
        facts = {"aws:SourceAccount": ACCOUNT_ID, "aws:PrincipalIsAWSService": "true"}
        if source_arn:
            facts["aws:SourceArn"] = source_arn
        request = AccessRequest(
            Requester(service=self.service), "sts:AssumeRole", self.arn, RequestContext(facts, KNOWN_KEYS), ACCOUNT_ID
        )
        if trust is None or not evaluate(request, Policies(resource=trust, trust=True)).allowed:
            raise CannotAssume(self.arn)

    def decide(self, action: str, resource: str, facts: Mapping[str, str] | None = None) -> AccessDecision:
        """Whether the session may do something. Recorded as what the role has used."""
        if not self._limits:
            return AccessDecision(AccessRequest(Requester(self.session_arn), action, resource), True)
        caller = Caller("", "", self.session_arn, f"AROA:{self.session}")
        base = {"aws:RequestedRegion": self.region, "aws:SecureTransport": "true", "aws:SourceIp": "127.0.0.1"}
        return decide(caller, Permission(action, resource, facts or {}), base)

    def require(self, permissions: Iterable[tuple[str, str]], facts: Mapping[str, str] | None = None) -> None:
        """Raise ServiceDenied for the first action on a resource that the session may not do."""
        for action, resource in permissions:
            decision = self.decide(action, resource, facts)
            if not decision.allowed:
                raise ServiceDenied(decision.message(quoted=action.startswith("s3:")))

    def may_log(self, group: str, stream: str, group_exists: bool) -> bool:
        """Whether the session may write to a log stream, which it makes, with its group, if it is not there."""
        arn = f"arn:aws:logs:{self.region}:{ACCOUNT_ID}:log-group:{group}:log-stream:"
        actions = [("logs:CreateLogStream", arn + stream), ("logs:PutLogEvents", arn + stream)]
        if not group_exists:
            actions.insert(0, ("logs:CreateLogGroup", arn))
        for action, resource in actions:
            decision = self.decide(action, resource)
            if not decision.allowed:
                log.warning("no lines in %s: %s", group, decision.message())
                return False
        return True

    # --- credentials ---

    def open_session(self, seconds: int = CONTAINER_SECONDS) -> AssumedRole:
        """Temporary credentials. Raises CannotAssume."""
        self.require_trust()
        backend = sts_backends[ACCOUNT_ID]["aws"]
        _forget_expired()
        session = backend.assume_role(
            region_name=self.region,
            role_session_name=self.session,
            role_arn=self.arn,
            policy=None,  # ty: ignore[invalid-argument-type]  moto's own default
            duration=seconds,
            external_id=None,  # ty: ignore[invalid-argument-type]
        )
        state.touch()
        return session

    def client(self, name: str) -> Any:
        """A client of this local AWS with credentials of the role. Raises CannotAssume."""
        if not self._limits:
            return context().client(name, self.region)
        session = self.open_session()
        return boto3.session.Session().client(
            name,
            region_name=self.region,
            endpoint_url=context().endpoint_url,
            aws_access_key_id=session.access_key_id,
            aws_secret_access_key=session.secret_access_key,
            aws_session_token=session.session_token,
            config=Config(
                user_agent_extra=OWN_AGENT,
                s3={"addressing_style": "path"},
                read_timeout=90,
                retries={"total_max_attempts": 2},
            ),
        )

    def variables(self) -> dict[str, str]:
        """The credentials of an environment that cannot ask again, as Lambda gives them. Raises CannotAssume."""
        if not self._limits:
            return {}
        session = self.open_session(ENVIRONMENT_SECONDS)
        return {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
        }


def permissions_to_pull(image: str) -> list[tuple[str, str]]:
    """The permissions that pulling an image takes, in ECR's order; none for an image that is not in ECR.

    Source: "SageMaker AI roles" in its developer guide, the permissions of an execution role.
    """
    match = _REGISTRY.match(image)
    if match is None:
        return []
    repository = f"arn:aws:ecr:{match['region']}:{match['account']}:repository/{match['name']}"
    actions = ("BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage")
    return [("ecr:GetAuthorizationToken", "*"), *((f"ecr:{action}", repository) for action in actions)]


def no_access_to_model(url: str, role_arn: str, region: str) -> str:
    """What SageMaker says if it cannot read a model's archive (philschmid/llm-sagemaker-sample #2)."""
    return (
        f'Could not access model data at {url}. Please ensure that the role "{role_arn}" exists and that its trust '
        f'relationship policy allows the action "sts:AssumeRole" for the service principal "{SAGEMAKER}". Also ensure '
        f'that the role has "s3:GetObject" permissions and that the object is located in {region}. If your Model uses '
        'multiple models or uncompressed models, please ensure that the role has "s3:ListBucket" permission.'
    )


def credentials_address(holder: Callable[[], ServiceRole | None]) -> dict[str, str]:
    """The variables with which a process finds its credentials: those of the role that `holder` gives when it asks."""
    if not enforced():
        return {}
    token = secrets.token_urlsafe(32)
    _holders[token] = holder
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{context().endpoint_url}{CREDENTIALS_PATH}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }


def credentials_of(environ: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The answer to the holder of a token: its credentials, in the form of the SDKs' container credential provider."""
    holder = _holders.get(environ.get("HTTP_AUTHORIZATION", ""))
    role = holder() if holder else None
    status, told = 404, {"code": "NoCredentials", "message": "There is no role for this process."}
    if holder is None:
        status, told = 403, {"code": "AccessDenied", "message": "The authorization token is not known."}
    elif role is not None:
        try:
            session = role.open_session()
            status, told = (
                200,
                {
                    "RoleArn": role.arn,
                    "AccessKeyId": session.access_key_id,
                    "SecretAccessKey": session.secret_access_key,
                    "Token": session.session_token,
                    "Expiration": f"{session.expiration:%Y-%m-%dT%H:%M:%SZ}",
                },
            )
        except CannotAssume:
            told = {"code": "AssumeRoleUnauthorizedAccess", "message": f"{role.service} may not assume {role.arn}."}
    return status, told


def _forget_expired() -> None:
    """Remove the sessions that are no longer good, which moto never removes."""
    backend, now = sts_backends[ACCOUNT_ID]["aws"], datetime.now(UTC)
    expired = [each for each in backend.assumed_roles if each.expiration.replace(tzinfo=UTC) <= now]
    for each in expired:
        backend.assumed_roles.remove(each)
        iam_backends[ACCOUNT_ID]["aws"].access_keys.pop(each.access_key_id, None)
    for key in [key for key, caller in sessions_of_users().items() if caller.expired]:
        del sessions_of_users()[key]
