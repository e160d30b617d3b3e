"""Who may do what with S3: the policies of callers and of buckets, evaluated for every request.

moto evaluates a bucket's policy for objects only, takes the method for the action, and ignores `Condition`. Here the
whole policy is evaluated. Roles and users need a permission, of their own or from the bucket. The account's root, and
requests without a signature, pass if the bucket's policy does not deny it.
"""

import functools
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from moto.iam.access_control import PermissionResult
from moto.s3 import models, responses
from moto.s3.exceptions import BucketAccessDeniedError, S3ClientError

from localaws import errors
from localaws.context import ACCESS_KEY, ACCOUNT_ID
from localaws.services.iam import authorization, identities
from localaws.services.iam.conditions import RequestContext
from localaws.services.iam.evaluation import AccessDecision, evaluate, said_by_resource
from localaws.services.iam.patterns import covers
from localaws.services.iam.policies import AccessRequest, PolicyDocument, PolicyError
from localaws.services.iam.sigv4 import Caller, find_caller
from localaws.services.s3.requests import IN_PARTS, KNOWN_KEYS, action_of, facts_of

# What the account itself may always do: without it nobody could correct a policy that denies everything.
ROOT_MAY = ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy")

_RESOURCE = re.compile(r"arn:aws[a-z-]*:s3:::([^/]+)")
_asking: ContextVar[responses.S3Response | None] = ContextVar("asking", default=None)
_moto_authorizes = responses.S3Response._authenticate_and_authorize_s3_action
_moto_stores = models.S3Backend.put_bucket_policy


class Denied(BucketAccessDeniedError):
    """A denial by a bucket's policy, in AWS's words; without a signature it is only "Access Denied"."""

    def __init__(self, bucket: str, decision: AccessDecision):
        super().__init__(bucket)
        if decision.request.requester.arn:
            self.message = decision.message(quoted=True)


class MalformedPolicy(S3ClientError):
    """A document that AWS does not accept as a bucket's policy."""

    code = "MalformedPolicy"


def check(bucket: str, document: bytes) -> None:
    """Raise MalformedPolicy for a document that is not a policy, or not one about this bucket."""
    try:
        policy = PolicyDocument.parse(document)
    except PolicyError as error:
        raise MalformedPolicy(str(error)) from None
    for statement in policy.statements:
        if statement.principals is None:
            raise MalformedPolicy("Missing required field Principal")
        if not all(_about(bucket, each) for each in statement.resources):
            raise MalformedPolicy("Policy has invalid resource")


def _about(bucket: str, resource: str) -> bool:
    """Whether a Resource element can be about a bucket or its objects."""
    found = _RESOURCE.match(resource)
    return resource == "*" or (found is not None and covers(found[1], bucket) is True)


def decide(
    response: responses.S3Response, name: str | None, key: str | None = None, operation: str | None = None
) -> AccessDecision | None:
    """The decision on a request to a bucket of this name; None if no policy allows or denies what is open to its
    caller anyhow.

    Without `key` the request is about the bucket, without `name` about none. `operation` replaces the request's own.
    """
    environ = response.normalized_request.environ
    bucket = response.backend.buckets.get(name) if name else None
    caller = _caller(environ)
    requester = identities.requester(caller)
    signs_as_other = caller is not None and not requester.is_root and authorization.enforced()
    if operation is None:
        by_path = environ
        if name and not environ["PATH_INFO"].startswith(f"/{name}"):  # the name is in the host
            path = f"/{name}/key" if key else f"/{name}"
            by_path = {**environ, "PATH_INFO": path, "RAW_URI": path, "REQUEST_URI": path, "localaws.matched": None}
        operation = errors.operation_of("s3", by_path) or response.data.get("Action", "")
    if operation.endswith("CORSPreflightCheck"):  # a browser sends it without a signature
        return None
    query = environ.get("QUERY_STRING", "")
    action = action_of(operation, "" if operation == "DeleteObjects" else query)
    resource = "*" if name is None else f"arn:aws:s3:::{name}/{key}" if key else f"arn:aws:s3:::{name}"
    if caller is not None and requester.is_root:
        authorization.record(AccessDecision(AccessRequest(requester, action, resource), True))
    policy = bucket.policy if bucket is not None else None
    if (policy is None and not signs_as_other) or (requester.is_root and action in ROOT_MAY):
        return None
    facts = facts_of(operation, query, dict(response.headers.items()), ACCOUNT_ID)
    facts["aws:SourceIp"] = environ.get("REMOTE_ADDR", "127.0.0.1")
    facts["aws:RequestedRegion"] = bucket.region_name if bucket is not None else authorization.region_of(environ)
    if (
        bucket is not None
        and operation in IN_PARTS
        and (upload := bucket.multiparts.get(response.querystring.get("uploadId", [""])[0]))
    ):
        # The parts of an upload are encrypted as its beginning asked.
        asked = {"": upload.sse_encryption, "-aws-kms-key-id": upload.kms_key_id}
        facts |= {f"s3:x-amz-server-side-encryption{name}": value for name, value in asked.items() if value}
    context = RequestContext({**identities.facts_of(caller), **facts}, KNOWN_KEYS)
    request = AccessRequest(requester, action, resource, context, ACCOUNT_ID)
    if caller is None or not signs_as_other:
        return said_by_resource(request, _parsed(policy))
    own = identities.policies_of(caller)
    decision = evaluate(request, replace(own, resource=_parsed(policy) if policy else None))
    authorization.record(decision)
    return decision


def policy_of(arn: str) -> PolicyDocument | None:
    """The policy of the bucket that an ARN is about."""
    bucket = models.s3_backends[ACCOUNT_ID]["aws"].buckets.get(arn.rpartition(":::")[2].partition("/")[0])
    return _parsed(bucket.policy) if bucket is not None and bucket.policy is not None else None


@functools.lru_cache(maxsize=64)
def _parsed(document: bytes) -> PolicyDocument:
    return PolicyDocument.parse(document)


def _caller(environ: dict[str, Any]) -> Caller | None:
    """Whose key a request names; None for a request without one. The server has refused keys that nobody has."""
    key = authorization.access_key(environ)
    return (find_caller(key) or find_caller(ACCESS_KEY)) if key else None


def _authorize(response: responses.S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
    """Refuse what the bucket's policy denies. moto calls this before it carries out any operation of S3."""
    deletes_many = key_name is None and response.data.get("Action") == "DeleteObject"  # asked for one by one
    if not deletes_many:
        _refuse(response, bucket_name, key_name or response.form_data.get("key"))
    if source := response.headers.get("x-amz-copy-source"):
        name, _, key = unquote(source).partition("?")[0].lstrip("/").partition("/")
        _refuse(response, name, key, operation="GetObject")
    _moto_authorizes(response, bucket_name=bucket_name, key_name=key_name)


def _refuse(response: responses.S3Response, name: str | None, key: str | None, operation: str | None = None) -> None:
    decision = decide(response, name, key, operation)
    if decision is not None and not decision.allowed:
        raise Denied(name or "", decision)


def _permission(bucket: models.FakeBucket, _action: str, resource: str) -> PermissionResult:
    """The decision on a single object, for moto: one of many to delete, or one that somebody reads unsigned.

    `_authorize` raises every other denial.
    """
    response = _asking.get()
    decision = decide(response, bucket.name, resource.partition("/")[2]) if response is not None else None
    if decision is None:
        return PermissionResult.NEUTRAL
    if decision.allowed:
        return PermissionResult.PERMITTED
    return PermissionResult.DENIED if response.is_delete_keys() else PermissionResult.NEUTRAL


def _asked_by(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a response, with the response as `_asking` during its call."""

    @functools.wraps(method)
    def asking(response: responses.S3Response, *arguments: Any, **named: Any) -> Any:
        token = _asking.set(response)
        try:
            return method(response, *arguments, **named)
        finally:
            _asking.reset(token)

    return asking


def _store(backend: models.S3Backend, bucket_name: str, policy: bytes) -> None:
    check(bucket_name, policy)
    _moto_stores(backend, bucket_name, policy)


def install() -> None:
    authorization.resource_policies("s3", policy_of)
    models.FakeBucket.get_permission = _permission
    models.S3Backend.put_bucket_policy = _store
    responses.S3Response._authenticate_and_authorize_s3_action = _authorize
    for name in ("_key_response", "_bucket_response_delete_keys"):
        setattr(responses.S3Response, name, _asked_by(getattr(responses.S3Response, name)))
