"""The same requests to AWS and to a local AWS: `python -m localaws conformance --target aws`.

Only operations that read are asked, so nothing is created and nothing is billed: each request that breaks one
constraint of the model, and the smallest valid one, which names things that do not exist. The answers of AWS are
written to a file, without the account's number and without the texts of refusals that name an identity.
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.core.utils import get_service_model

from localaws.conformance import wire
from localaws.conformance.checks import Checks, runs
from localaws.conformance.generate import value_for
from localaws.conformance.refusals import read_refusal
from localaws.operations import OPERATIONS
from localaws.ports import free_port
from localaws.validation import compiled

READS = re.compile(r"(Describe|List|Get|Head|Filter)")
# These read nothing of the account, or give keys.
LEFT_OUT = {"GetSessionToken", "GetCallerIdentity"}
# The names in the smallest valid requests may exist in S3, because all accounts share them.
SHARED_NAMES = {"s3"}
NOT_ALLOWED = re.compile(
    r"AccessDenied|Unauthorized|NotAuthorized|InvalidClientToken|ExpiredToken|SignatureDoesNotMatch"
)
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Said:
    """One answer: its status, and of a refusal its code and message."""

    status: int
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class AnswerPair:
    """One request and the two answers to it."""

    service: str
    operation: str
    protocol: str
    about: str
    params: dict[str, Any]
    aws: Said
    local: Said

    @property
    def allowed(self) -> bool:
        """Whether the caller's permissions let AWS answer."""
        return not NOT_ALLOWED.search(self.aws.code)

    @property
    def same(self) -> bool:
        """Whether a program could not tell the two apart: status and code. A person may: the message."""
        return (self.aws.status, self.aws.code) == (self.local.status, self.local.code)


def requests(service: str) -> Iterator[tuple[str, str, str, dict[str, Any], wire.Tamper | None]]:
    """Operation, protocol, what the request is about, parameters, and a change to what is written."""
    checks = Checks(service, connection=None)  # type: ignore[arg-type]
    for operation in runs(service):
        member = compiled(checks.model(operation))
        if not READS.match(operation) or operation in LEFT_OUT or member is None:
            continue
        for protocol in wire.protocols(service):
            for about, _, params, tamper in checks.broken(member, operation, protocol):
                yield operation, protocol, about, params, tamper
        if service not in SHARED_NAMES:
            yield operation, wire.protocols(service)[0], "the smallest valid request", value_for(member), None


def compare(service: str, aws: wire.Wire, local: wire.Wire, account: str) -> Iterator[AnswerPair]:
    """Send each request of a service to both."""
    model = get_service_model(service)
    for operation, protocol, about, params, tamper in requests(service):
        answers = []
        for connection in (aws, local):
            answer = connection.send(service, operation, params, protocol, tamper)
            if answer.status < 400:
                answers.append(Said(answer.status))
                continue
            refusal = read_refusal(model.operation_model(operation), protocol, answer)
            message = "" if NOT_ALLOWED.search(refusal.code) else refusal.message.replace(account, ACCOUNT)
            answers.append(Said(answer.status, refusal.code, message))
        yield AnswerPair(service, operation, protocol, about, params, *answers)


def table(found: list[AnswerPair]) -> str:
    """Counts by service, and each request that AWS answers in another way."""
    lines = [f"{'service':<26}{'asked':>7}{'same':>7}{'worded otherwise':>18}{'different':>11}{'not allowed':>13}"]
    for service in dict.fromkeys(each.service for each in found):
        own = [each for each in found if each.service == service]
        count = Counter(outcome(each) for each in own)
        same = count["same"] + count["worded otherwise"]
        lines.append(
            f"{service:<26}{len(own):>7,}{same:>7,}{count['worded otherwise']:>18,}{count['different']:>11,}"
            f"{count['not allowed']:>13,}"
        )
    for each in found:
        if outcome(each) == "different":
            lines += [
                f"{each.service} {each.operation} ({each.protocol}, {each.about})",
                f"  AWS        {each.aws.status} {each.aws.code} {each.aws.message}",
                f"  local AWS  {each.local.status} {each.local.code} {each.local.message}",
            ]
    return "\n".join(lines)


def outcome(each: AnswerPair) -> str:
    """How AWS's answer compares with the local one, in a word of the table."""
    if not each.allowed:
        return "not allowed"
    if not each.same:
        return "different"
    return "same" if each.aws.message == each.local.message else "worded otherwise"


def report(record: Path, services: list[str]) -> str:
    """Ask AWS, with the caller's credentials and region, and a local AWS of its own. Writes `record`, JSON lines.

    Raises SystemExit if there are no credentials.
    """
    from localaws.__main__ import down, up

    session = boto3.Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise SystemExit("There are no AWS credentials. Set AWS_PROFILE, or: aws configure")
    region = session.region_name or wire.REGION
    account = session.client("sts", region).get_caller_identity()["Account"]
    found: list[AnswerPair] = []
    with tempfile.TemporaryDirectory() as folder, record.open("w") as output:
        home, port = Path(folder) / "home", free_port()
        up(home, port)
        try:
            for service in services or list(OPERATIONS):
                aws = wire.Wire(session.client(service, region).meta.endpoint_url, credentials, region)
                local = wire.Wire(f"http://127.0.0.1:{port}", region=region)
                for each in compare(service, aws, local, account):
                    output.write(json.dumps(asdict(each), default=str) + "\n")
                    found.append(each)
                aws.close()
                local.close()
        finally:
            down(home)
    return f"{table(found)}\nThe answers of AWS: {record}"
