"""Operations that are stored: a request that fits the model is never answered with a failure of the local AWS.

moto answers these operations. Each gets its smallest valid request, a fuller one, and one for each of its optional
members. What makes something comes first, and what the answers name is used by the other requests, so that they find
what they ask for. A refusal is an answer too: what moto cannot do is refused in words (`localaws.failures`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.core.utils import get_service_model

from localaws.conformance import wire
from localaws.conformance.answers import read
from localaws.conformance.generate import value_for
from localaws.conformance.refusals import read_refusal
from localaws.errors import MOTO_FAILED, NOT_RUN
from localaws.operations import STORED, level
from localaws.validation import Member, compiled

FIRST = ("Create", "Put", "Register", "Allocate", "Run", "Request", "Import", "Start", "Upload")
LAST = ("Delete", "Deregister", "Release", "Terminate", "Detach", "Disassociate", "Remove", "Revoke", "Disable")

# What stored operations are about, where operations that run make it.
BEFORE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "logs": [
        ("CreateLogGroup", {"logGroupName": "a"}),
        ("CreateLogStream", {"logGroupName": "a", "logStreamName": "a"}),
    ],
    "s3": [
        ("CreateBucket", {"Bucket": "aaa"}),
        ("PutObject", {"Bucket": "aaa", "Key": "a", "Body": b"a"}),
    ],
}

HEAD = (
    "| service | operations that are stored | that moto lacks | valid requests | answered | refused | not run here |\n"
    "|---|---|---|---|---|---|---|"
)


def stored(service: str) -> list[str]:
    """The operations of a service that are stored: what makes something first, what removes it last."""
    names = [each for each in get_service_model(service).operation_names if level(service, each) == STORED]
    first = [each for each in names if each.startswith(FIRST)]
    last = [each for each in names if each.startswith(LAST)]
    # What is made may need what an operation after it makes: a subnet needs a network.
    return [*first, *first, *(each for each in names if each not in (*first, *last)), *last]


@dataclass
class StoredChecks:
    """The requests to one service's stored operations, and what became of them."""

    service: str
    connection: wire.Wire
    operations: set[str] = field(default_factory=set)
    answered: int = 0
    refused: int = 0
    lacking: set[str] = field(default_factory=set)  # the operations that moto does not have
    not_run: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)  # what answers named, by the member's name in small letters

    def run(self) -> "StoredChecks":
        for operation, params in BEFORE.get(self.service, []):
            self.connection.send(self.service, operation, params)
            self.known |= {name.lower(): str(value) for name, value in params.items() if name != "Body"}
        for operation in stored(self.service):
            self.operations.add(operation)
            member = compiled(get_service_model(self.service).operation_model(operation))
            for params in _requests(member):
                if not self._ask(operation, _with_known(params, self.known)):
                    break
        return self

    def _ask(self, operation: str, params: dict[str, Any]) -> bool:
        """Send one request. Whether moto has the operation at all."""
        model = get_service_model(self.service).operation_model(operation)
        protocol = wire.protocols(self.service)[0]
        answer = self.connection.send(self.service, operation, params, protocol)
        about = f"{self.service} {operation} with {params}"
        if answer.status >= 500:
            self.faults.append(f"{about}: {answer.status} {answer.body[:300]!r}")
        elif answer.status >= 300:
            refusal = read_refusal(model, protocol, answer)
            if refusal.code == NOT_RUN and MOTO_FAILED not in refusal.message:
                self.lacking.add(operation)
                return False
            self.refused += 1
            if refusal.code == NOT_RUN:
                self.not_run.append(f"{about}: {refusal.message}")
        else:
            self.answered += 1
            if operation.startswith(FIRST):
                self._learn(read(model, protocol, answer)[0])
        return True

    def _learn(self, value: Any, name: str = "") -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                self._learn(each, key)
        elif isinstance(value, list):
            for each in value[:1]:
                self._learn(each, name[:-1] if name.endswith("s") else name)
        elif isinstance(value, str) and value and name.endswith(("Id", "Arn", "ARN", "Name")):
            self.known.setdefault(name.lower(), value)

    def row(self) -> str:
        """The counts, as a row of the table."""
        asked = self.answered + self.refused + len(self.faults)
        has = len(self.operations) - len(self.lacking)
        counts = has, len(self.lacking), asked, self.answered, self.refused - len(self.not_run), len(self.not_run)
        return f"| {self.service} | {' | '.join(f'{each:,}' for each in counts)} |"


def _requests(member: Member | None) -> Iterator[dict[str, Any]]:
    """The smallest valid request, a fuller one, and the smallest one with each optional member alone."""
    if member is None:
        yield {}
        return
    smallest, fuller = value_for(member), value_for(member, True)
    fuller.pop("DryRun", None)  # of EC2: moto would not see the request
    yield smallest
    yield fuller
    for name in member.members:
        if name in fuller and name not in smallest:
            yield {**smallest, name: fuller[name]}


def _with_known(value: Any, known: dict[str, str], name: str = "") -> Any:
    """The parameters, with what answers named in place of what was made up."""
    if isinstance(value, dict):
        return {key: _with_known(each, known, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_known(each, known, name[:-1] if name.endswith("s") else name) for each in value]
    return known.get(name.lower(), value) if isinstance(value, str) else value


def stored_table(outcomes: list[StoredChecks]) -> str:
    """The second table of docs/LOCALAWS.md, in Markdown."""
    return "\n".join([HEAD, *(each.row() for each in outcomes)])
