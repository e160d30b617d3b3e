"""Checks the AWS Signature Version 4 of a request, as a function URL with AWS_IAM does.

Source of the contract: "Signature Version 4 signing process" in the IAM user guide. Like AWS's own services other
than S3, the path is encoded once more than it was sent. The body counts by its own hash: where the request declares
one in `X-Amz-Content-Sha256`, the two must agree, and UNSIGNED-PAYLOAD is refused, as Lambda refuses it. Signatures
in the query ("presigned" addresses) are those of S3: see `presigned`.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from localaws.context import ACCESS_KEY, ACCOUNT_ID, SECRET_KEY

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=5)
DATE_FORMAT = "%Y%m%dT%H%M%SZ"

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<key>[^/,\s]+)/(?P<date>\d{{8}})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request"
    r",\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})\s*"
)


class SignatureError(Exception):
    """A signature that is there and does not hold; the message is what AWS answers with."""


@dataclass(frozen=True)
class Caller:
    """Whose key signed a request. `token` is what must come with temporary keys; None: any is accepted.

    `session_policy` and `session_policy_arns` are what AssumeRole was given to limit the session.
    """

    access_key: str
    secret_key: str
    arn: str
    user_id: str
    token: str | None = None
    session_policy: str | None = None
    session_policy_arns: tuple[str, ...] = ()
    expires: datetime | None = None

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= datetime.now(UTC)


@dataclass(frozen=True)
class SignedRequest:
    """An HTTP request as it was sent: path and query still encoded, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def find_caller(access_key: str) -> Caller | None:
    """The holder of a key: the account itself (`test`), a user of IAM, or a role that was assumed."""
    if access_key == ACCESS_KEY:
        return Caller(ACCESS_KEY, SECRET_KEY, f"arn:aws:iam::{ACCOUNT_ID}:root", ACCOUNT_ID)
    if session := sessions_of_users().get(access_key):
        return session
    for role in reversed(sts_backends[ACCOUNT_ID]["aws"].assumed_roles):
        if role.access_key_id == access_key:
            return Caller(
                access_key,
                role.secret_access_key,
                role.arn,
                role.user_id,
                role.session_token,
                role.policy,
                getattr(role, "policy_arns", ()),
                role.expiration.replace(tzinfo=UTC),
            )
    for user in iam_backends[ACCOUNT_ID]["aws"].list_users("/", None, None):
        for key in user.access_keys:
            if key.access_key_id == access_key and key.status == "Active":
                return Caller(access_key, key.secret_access_key, user.arn, user.id)
    return None


def sessions_of_users() -> dict[str, Caller]:
    """The temporary keys of GetSessionToken, in the backend that is pickled for them: moto's of STS."""
    sessions: dict[str, Caller] = vars(sts_backends[ACCOUNT_ID]["aws"]).setdefault("localaws_sessions", {})
    return sessions


def verify(
    request: SignedRequest,
    region: str,
    service: str,
    now: datetime | None = None,
    find: Callable[[str], Caller | None] = find_caller,
) -> Caller | None:
    """Whose signature the request carries; None where it carries none. Raises SignatureError where it is wrong."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    match = _AUTHORIZATION.fullmatch(authorization.strip())
    if match is None:
        raise SignatureError(f"Authorization header is not a well-formed {ALGORITHM} signature.")
    moment = _moment(request.headers, match["date"], now or datetime.now(UTC))
    if match["region"] != region:
        raise SignatureError("Credential should be scoped to a valid region.")
    if match["service"] != service:
        raise SignatureError(f"Credential should be scoped to correct service: '{service}'.")
    caller = find(match["key"])
    if caller is None or caller.token not in (None, request.headers.get("x-amz-security-token")):
        raise SignatureError("The security token included in the request is invalid.")
    if caller.expired:
        raise SignatureError("The security token included in the request is expired.")
    signed = match["headers"].split(";")
    _check_signed(signed, request.headers)
    expected = signature(request, signed, moment, region, service, caller.secret_key)
    if not hmac.compare_digest(expected, match["signature"]):
        raise SignatureError(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details."
        )
    return caller


def signature(
    request: SignedRequest, signed: list[str], moment: datetime, region: str, service: str, secret_key: str
) -> str:
    """The signature, in hexadecimal, that a request must carry."""
    canonical = "\n".join(
        [
            request.method,
            quote(request.path or "/", safe="/~"),
            canonical_query(request.query),
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    return sign(canonical, moment, region, service, secret_key)


def sign(canonical: str, moment: datetime, region: str, service: str, secret_key: str) -> str:
    """The signature of a canonical request, in hexadecimal."""
    day = moment.strftime("%Y%m%d")
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, moment.strftime(DATE_FORMAT), scope, hashed])
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def _moment(headers: Mapping[str, str], day: str, now: datetime) -> datetime:
    """When the request was signed. Raises SignatureError where that is missing, or more than five minutes away."""
    try:
        moment = datetime.strptime(headers.get("x-amz-date", ""), DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("Authorization header requires existence of an 'X-Amz-Date' header.") from None
    if moment.strftime("%Y%m%d") != day:
        raise SignatureError(f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: {day}.")
    if abs(now - moment) > MAX_SKEW:
        relation = "expired" if moment < now else "not yet current"
        raise SignatureError(
            f"Signature {relation}: {moment:{DATE_FORMAT}} against {now:{DATE_FORMAT}}, 5 min allowed."
        )
    return moment


def _check_signed(signed: list[str], headers: Mapping[str, str]) -> None:
    """What must be signed is: the host, and every x-amz header that is sent; what is signed was sent."""
    required = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    missing = sorted(required.difference(signed)) or sorted(set(signed).difference(headers))
    if missing:
        raise SignatureError(f"The headers {', '.join(missing)} must be sent and be part of SignedHeaders.")


def canonical_query(query: str, left_out: str = "") -> str:
    """The parameters as they are signed. The one named `left_out` is not."""
    pairs = (part.partition("=")[::2] for part in query.split("&") if part)
    encoded = sorted((quote(unquote(name), safe="~"), quote(unquote(value), safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded if name != left_out)
