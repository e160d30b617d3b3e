"""AWS Signature Version 4, for requests whose path needs no encoding. Standard library only.

Source of the contract: "Signature Version 4 signing process" in the IAM user guide.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str | None = None  # part of the temporary keys of a role, such as a function's role


def signed(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """The headers plus the date, the token and the signature. All headers are signed. `now` is UTC."""
    moment, scope = _scope(region, service, now)
    sent = {**headers, "X-Amz-Date": moment}
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    canonical = _canonical(sent)
    request = _request(method, path, "", canonical, hashlib.sha256(body).hexdigest())
    signature = _signature(request, moment, scope, credentials.secret_key)
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(canonical)}, Signature={signature}"
    )
    return sent


def presigned(
    method: str,
    path: str,
    headers: Mapping[str, str],
    credentials: Credentials,
    region: str,
    service: str,
    now: datetime,
    seconds: int,
) -> str:
    """The query of an address that needs no other signature for `seconds`. All headers are signed, so a request must
    send the same ones; its body is not. Source: "Authenticating Requests: Using Query Parameters" in S3's reference.
    """
    moment, scope = _scope(region, service, now)
    canonical = _canonical(headers)
    parameters = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": ";".join(canonical),
        **({"X-Amz-Security-Token": credentials.token} if credentials.token else {}),
    }
    query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(parameters.items()))
    request = _request(method, path, query, canonical, "UNSIGNED-PAYLOAD")
    return f"{query}&X-Amz-Signature={_signature(request, moment, scope, credentials.secret_key)}"


def _scope(region: str, service: str, now: datetime) -> tuple[str, str]:
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    return moment, "/".join((moment[:8], region, service, "aws4_request"))


def _canonical(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): " ".join(headers[name].split()) for name in sorted(headers, key=str.lower)}


def _request(method: str, path: str, query: str, headers: Mapping[str, str], body_hash: str) -> str:
    lines = [f"{name}:{value}" for name, value in headers.items()]
    return "\n".join([method, path, query, *lines, "", ";".join(headers), body_hash])


def _signature(request: str, moment: str, scope: str, secret_key: str) -> str:
    text = "\n".join([ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()
