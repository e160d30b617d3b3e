"""All checks of a service, and the table of their counts: `python -m localaws conformance` prints it.

The counts are of the checks, so they are the same on every machine; what a check finds is in `Conformity.faults`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from localaws.conformance.checks import Checks, runs
from localaws.conformance.refusals import codes_of
from localaws.conformance.stored import StoredChecks, stored, stored_table
from localaws.conformance.stories import account, functions, learning, machines, observing, storage
from localaws.conformance.wire import Wire
from localaws.operations import OPERATIONS
from localaws.ports import free_port

T = TypeVar("T")


@dataclass(frozen=True)
class Story:
    """How a service is told, and why some declared errors are not: by code, or by operation and code."""

    tell: Callable[[Checks], None]
    not_provoked: dict[str, str] = field(default_factory=dict)


STORIES = {
    "application-autoscaling": Story(observing.autoscaling, observing.AUTOSCALING_NOT_PROVOKED),
    "cloudwatch": Story(observing.cloudwatch, observing.CLOUDWATCH_NOT_PROVOKED),
    "ec2": Story(machines.ec2),
    "freetier": Story(account.freetier, account.FREETIER_NOT_PROVOKED),
    "iam": Story(account.iam, account.IAM_NOT_PROVOKED),
    "lambda": Story(functions.lambda_, functions.NOT_PROVOKED),
    "logs": Story(storage.logs, storage.LOGS_NOT_PROVOKED),
    "s3": Story(storage.s3, storage.S3_NOT_PROVOKED),
    "sagemaker": Story(learning.sagemaker, learning.SAGEMAKER_NOT_PROVOKED),
    "sagemaker-runtime": Story(learning.runtime, learning.RUNTIME_NOT_PROVOKED),
    "service-quotas": Story(account.quotas, account.QUOTAS_NOT_PROVOKED),
    "ssm": Story(machines.ssm, machines.SSM_NOT_PROVOKED),
    "sts": Story(account.sts, account.STS_NOT_PROVOKED),
}


@dataclass(frozen=True)
class Conformity:
    """What the checks of a service counted and found."""

    service: str
    operations: int
    invalid: int
    declared: int
    provoked: int
    undeclared: int
    faults: tuple[str, ...]

    def row(self) -> str:
        counts = (self.operations, self.invalid, self.provoked, self.declared - self.provoked, self.undeclared)
        return f"| {self.service} | {' | '.join(f'{each:,}' for each in counts)} |"


def run(service: str, port: int) -> Conformity:
    """Run all checks of a service against the local AWS on this port."""
    connection = Wire(f"http://127.0.0.1:{port}")
    checks = Checks(service, connection)
    account.make_role(checks, "conformance")
    try:
        checks.refuses_what_breaks_the_model()
        checks.never_fails()
        STORIES[service].tell(checks)
    finally:
        connection.close()
    checks.faults += [f"{service} {each} is in no story" for each in runs(service) if each not in checks.valid]
    pairs = [(operation, code) for operation in runs(service) for code in codes_of(checks.model(operation))]
    provoked = [pair for pair in pairs if pair in checks.provoked]
    reasons = STORIES[service].not_provoked
    checks.faults += [
        f"{service} {operation}: the story neither provokes {code} nor says why not"
        for operation, code in pairs
        if (operation, code) not in checks.provoked and code not in reasons and f"{operation} {code}" not in reasons
    ]
    counts = len(runs(service)), checks.invalid, len(pairs), len(provoked), len(checks.provoked - set(pairs))
    return Conformity(service, *counts, tuple(checks.faults))


HEAD = (
    "| service | operations, each with a valid call | invalid requests | declared errors provoked | not provoked "
    "| other errors |\n|---|---|---|---|---|---|"
)


def table(outcomes: list[Conformity]) -> str:
    """The table of docs/LOCALAWS.md, in Markdown."""
    return "\n".join([HEAD, *(each.row() for each in outcomes)])


def run_stored(service: str, port: int) -> StoredChecks:
    """Run the checks of a service's stored operations against the local AWS on this port."""
    connection = Wire(f"http://127.0.0.1:{port}")
    try:
        return StoredChecks(service, connection).run()
    finally:
        connection.close()


def report() -> str:
    """Run everything, against local AWSs of its own; the two tables. Raises SystemExit with the faults."""
    outcomes = _each(run, list(STORIES))
    kept = _each(run_stored, [service for service in OPERATIONS if stored(service)])
    faults = [fault for each in (*outcomes, *kept) for fault in each.faults]
    if faults:
        raise SystemExit("\n".join([*faults, f"{len(faults)} faults."]))
    return f"{table(outcomes)}\n\n{stored_table(kept)}"


def _each(check: Callable[[str, int], T], services: list[str]) -> list[T]:
    """Check services on a local AWS that is started for it: what is in it is counted."""
    from localaws.__main__ import down, up

    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder) / "home", free_port()
        up(home, port)
        try:
            return [check(service, port) for service in services]
        finally:
            down(home)
