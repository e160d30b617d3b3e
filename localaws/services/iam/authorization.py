"""Gate 3: the caller may do it.

Every request names a key. The key is the account's own (`test`, which is never refused), a user's, or that of a
session of a role. Unknown and expired keys are refused first. Then each permission that the request takes is decided
on by the caller's policies, the resource's policy, the boundary and the session's policies. S3 is checked where its
bucket is found, see `services.s3.bucket_policy`; here only its presigned addresses are.

`LOCALAWS_IAM=off` lets everything pass.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from localaws import errors
from localaws.context import ACCOUNT_ID, DEFAULT_REGION
from localaws.requests import ApiRequest
from localaws.services.iam import identities, presigned, usage
from localaws.services.iam.conditions import RequestContext
from localaws.services.iam.evaluation import AccessDecision, Policies, evaluate
from localaws.services.iam.permissions import KNOWN_KEYS, Permission, needed
from localaws.services.iam.policies import AccessRequest, PolicyDocument
from localaws.services.iam.sigv4 import Caller, find_caller

_KEY = re.compile(r"(?:Credential=|AWSAccessKeyId=|^AWS )([^/&:]+)")
_ROLE = re.compile(r"(arn:[^:]+):sts::(\d+):assumed-role/([^/]+)/.*")

ResourcePolicyOf = Callable[[str], PolicyDocument | None]
_resource_policies: dict[str, ResourcePolicyOf] = {}

# How each kind of service says that a key is not known, or no longer: code, status, words.
_INVALID = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_UNKNOWN_KEY = {
    "s3": ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
    "ec2": ("AuthFailure", 401, "AWS was not able to validate the provided access credentials"),
    "query": ("InvalidClientTokenId", 403, _INVALID),
    "rest-json": ("UnrecognizedClientException", 403, _INVALID),
    "json": ("UnrecognizedClientException", 400, _INVALID),
}
_EXPIRED_KEY = {
    "s3": ("ExpiredToken", 400, "The provided token has expired."),
    "ec2": ("RequestExpired", 400, "Request has expired."),
    "query": ("ExpiredToken", 403, _EXPIRED),
    "rest-json": ("ExpiredTokenException", 403, _EXPIRED),
    "json": ("ExpiredTokenException", 400, _EXPIRED),
}
_BAD_TOKEN = {**_UNKNOWN_KEY, "s3": ("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")}


def enforced() -> bool:
    """Whether anything is refused. Raises SystemExit for a setting that is neither on nor off."""
    setting = os.environ.get("LOCALAWS_IAM") or "on"
    if setting not in ("on", "off"):
        raise SystemExit(f"LOCALAWS_IAM is {setting!r}: it must be on or off.")
    return setting == "on"


def resource_policies(service: str, policy_of: ResourcePolicyOf) -> None:
    """Have the policies of a service's resources count: `policy_of` gives that of an ARN."""
    _resource_policies[service] = policy_of


def access_key(environ: Mapping[str, Any]) -> str | None:
    """The key that a request names; None for a request without a signature."""
    found = _KEY.search(environ.get("HTTP_AUTHORIZATION", "")) or _KEY.search(unquote(environ.get("QUERY_STRING", "")))
    return found[1] if found else None


def refusal(service: str, environ: Mapping[str, Any], request: ApiRequest | None) -> errors.Answer | None:
    """The answer to a request that its caller may not make; None if the caller may, or if S3 decides later."""
    key = access_key(environ)
    if key is None or not enforced():
        return None
    caller = find_caller(key)
    protocol = errors.protocol_of(service, dict(environ))
    if refused := _stranger(caller, environ):
        return _answer(service, protocol, *refused[_kind(service, protocol)])
    if caller is not None and service == "s3":
        return presigned.refusal(environ, caller)
    if caller is None or request is None:
        return None
    region = region_of(environ)
    facts = _request_facts(environ, region)
    for permission in needed(service, request.operation.name, request.params, region):
        decision = decide(caller, permission, facts)
        if not decision.allowed:
            return _denied(service, protocol, decision)
    return None


def decide(caller: Caller, permission: Permission, facts: Mapping[str, str]) -> AccessDecision:
    """The decision on one permission, recorded as used or denied. The account's root may do everything."""
    requester = identities.requester(caller)
    request = AccessRequest(requester, permission.action, permission.resource, account=ACCOUNT_ID)
    if requester.is_root:
        decision = AccessDecision(request, True)
    else:
        context = RequestContext({**identities.facts_of(caller), **facts, **permission.facts}, KNOWN_KEYS)
        decision = evaluate(replace(request, context=context), _policies(caller, permission))
    record(decision)
    return decision


def record(decision: AccessDecision) -> None:
    """Keep that a caller used a permission, or was denied it."""
    request = decision.request
    usage.record(principal_of(request.requester.arn or ""), request.action, request.resource, decision.allowed)


def principal_of(arn: str) -> str:
    """The role of a session, by its name; any other caller as it is."""
    match = _ROLE.fullmatch(arn)
    return f"{match[1]}:iam::{match[2]}:role/{match[3]}" if match else arn


def region_of(environ: Mapping[str, Any]) -> str:
    return errors.region_of(dict(environ)) or DEFAULT_REGION


def _policies(caller: Caller, permission: Permission) -> Policies:
    own = identities.policies_of(caller)
    service = permission.action.partition(":")[0]
    if permission.action.startswith("sts:AssumeRole"):
        return replace(own, resource=identities.trust_of(permission.resource), trust=True)
    policy_of = _resource_policies.get(service) if permission.resource != "*" else None  # no resource, no policy
    return replace(own, resource=policy_of(permission.resource)) if policy_of else own


def _stranger(caller: Caller | None, environ: Mapping[str, Any]) -> dict[str, tuple[str, int, str]] | None:
    """The refusal of a key that does not exist, has expired, or came without its token."""
    if caller is None:
        return _UNKNOWN_KEY
    query = unquote(environ.get("QUERY_STRING", ""))
    token = re.search(r"X-Amz-Security-Token=([^&]*)", query)
    if caller.token is not None and caller.token != environ.get("HTTP_X_AMZ_SECURITY_TOKEN", token and token[1]):
        return _BAD_TOKEN
    return _EXPIRED_KEY if caller.expired else None


def _request_facts(environ: Mapping[str, Any], region: str) -> dict[str, str]:
    """The condition keys of the connection. On AWS it is TLS; here the request never leaves the machine."""
    facts = {
        "aws:RequestedRegion": region,
        "aws:SecureTransport": "true",
        "aws:SourceIp": environ.get("REMOTE_ADDR", "127.0.0.1"),
    }
    sent = {"aws:UserAgent": environ.get("HTTP_USER_AGENT"), "aws:Referer": environ.get("HTTP_REFERER")}
    return facts | {key: value for key, value in sent.items() if value}


def _kind(service: str, protocol: str) -> str:
    if service in ("s3", "ec2"):
        return service
    return protocol if protocol in ("query", "rest-json") else "json"


def _denied(service: str, protocol: str, decision: AccessDecision) -> errors.Answer:
    message, kind = decision.message(), _kind(service, protocol)
    if kind == "ec2":
        # AWS adds a message that only sts:DecodeAuthorizationMessage can read; there is nothing to decode here.
        message = f"You are not authorized to perform this operation. {message}"
        return _answer(service, protocol, "UnauthorizedOperation", 403, message)
    if kind == "query":
        return _answer(service, protocol, "AccessDenied", 403, message)
    return _answer(service, protocol, "AccessDeniedException", 403 if kind == "rest-json" else 400, message)


def _answer(service: str, protocol: str, code: str, status: int, message: str) -> errors.Answer:
    return errors.answer(service, code, message, status, protocol)
