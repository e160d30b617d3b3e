"""The checks of one service: valid calls, refusals, and requests that break one constraint each."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from botocore.model import OperationModel
from moto.core.utils import get_service_model

from localaws import refusals
from localaws.conformance import wire
from localaws.conformance.answers import read
from localaws.conformance.generate import mutants, sendable, unwritten, value_for
from localaws.conformance.refusals import codes_of, read_refusal
from localaws.conformance.undeclared import UNDECLARED
from localaws.operations import OPERATIONS, RUNS
from localaws.requests import form_name
from localaws.validation import Member, compiled

T = TypeVar("T")
POLL_SECONDS, PATIENCE_SECONDS = 0.05, 240

# The codes for a request that breaks the model of a service; some services have several.
BROKEN = {
    **{service: {code} for service, code in refusals.CODES.items()},
    "cloudwatch": {"ValidationException", "ValidationError"},
    "ec2": {"MissingParameter", "InvalidParameterValue"},
    "lambda": {"ValidationException", "InvalidParameterValueException", "InvalidRequestContentException"},
    "s3": {"MalformedXML", "InvalidArgument", "InvalidRequest", "MissingRequestBodyError", "InvalidStorageClass"},
}
UNREADABLE = {"SerializationException", "MalformedInput", "InvalidParameterValue", "InvalidArgument", "MalformedXML"}
UNKNOWN = {"ec2": "UnknownParameter", "s3": "MalformedXML"}  # the other services ignore what they do not know


def runs(service: str) -> list[str]:
    """The operations of a service that run, in the order of the table."""
    return [name for name, worth in OPERATIONS[service].items() if worth == RUNS]


@dataclass
class Checks:
    """One service on one local AWS, with what was checked and what was found."""

    service: str
    connection: wire.Wire
    valid: set[str] = field(default_factory=set)
    invalid: int = 0
    provoked: set[tuple[str, str]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)  # the values of required members, by the member's name

    def model(self, operation: str) -> OperationModel:
        return get_service_model(self.service).operation_model(operation)

    def params(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """The smallest valid parameters with the given ones; None leaves a member out."""
        member = compiled(self.model(operation))
        required = set() if member is None else member.required - set(given)
        minimal = {
            name: self.names[name] if name in self.names else value_for(member.members[name]) for name in required
        }
        return {name: value for name, value in {**minimal, **given}.items() if value is not None}

    def call(self, operation: str, protocol: str = "", **given: Any) -> dict[str, Any]:
        """Make a valid call, check its raw answer, and give what it says."""
        protocol = protocol or wire.protocols(self.service)[0]
        params = self.params(operation, given)
        answer = self.connection.send(self.service, operation, params, protocol)
        found, faults = read(self.model(operation), protocol, answer)
        self.faults += [f"{self.service} {operation} ({protocol}): {each}" for each in faults]
        self.valid.add(operation)
        return found

    def refused(self, operation: str, code: str, **given: Any) -> None:
        """Make a call that the service refuses with this code."""
        answer = self.connection.send(self.service, operation, self.params(operation, given))
        known = {*codes_of(self.model(operation)), *UNDECLARED.get(self.service, {})}
        if code not in known:
            self.faults.append(f"{self.service} {operation}: neither the model nor UNDECLARED has the code {code}")
        self._check(operation, answer, {code}, wire.protocols(self.service)[0], f"{code} with {given}")

    def each_refused(self, code: str, **given: Any) -> None:
        """Make this call to every operation that has these members and declares the code, or has no declared errors."""
        for operation in runs(self.service):
            shape = self.model(operation).input_shape
            creates = operation == "CreateFunction"  # the one whose name need not exist
            if not creates and code in codes_of(self.model(operation)) and shape and set(given) <= set(shape.members):
                self.refused(operation, code, **given)

    def _check(self, operation: str, answer: wire.RawAnswer, codes: set[str], protocol: str, about: str) -> None:
        refusal = read_refusal(self.model(operation), protocol, answer)
        faults = refusal.faults
        # CloudWatch's protocols name an error by its shape or by its code.
        named = {each.name: each.metadata.get("error", {}).get("code") for each in self.model(operation).error_shapes}
        code = named.get(refusal.code) or refusal.code
        if not faults and answer.body and not {code, refusal.code} & codes:  # the answer to a HEAD has no code
            faults = [f"has the code {refusal.code} ({refusal.message}), not {' or '.join(sorted(codes))}"]
        self.faults += [f"{self.service} {operation} ({about}): {each}" for each in faults]
        if not faults:
            self.provoked.add((operation, code))

    # --- what is generated ---

    def never_fails(self) -> None:
        """Send the smallest generated request and a fuller one to every operation: no answer is an internal error."""
        for operation in runs(self.service):
            member = compiled(self.model(operation))
            for fuller in (False, True):
                params = {} if member is None else value_for(member, fuller)
                answer = self.connection.send(self.service, operation, params)
                if answer.status >= 500:
                    self.faults.append(f"{self.service} {operation} with {params}: {answer.body[:300]!r}")

    def refuses_what_breaks_the_model(self) -> None:
        """Send each request that breaks one constraint, to every operation that runs, in every protocol."""
        for operation in runs(self.service):
            member = compiled(self.model(operation))
            for protocol in wire.protocols(self.service):
                for about, codes, params, tamper in () if member is None else self.broken(member, operation, protocol):
                    answer = self.connection.send(self.service, operation, params, protocol, tamper)
                    self._check(operation, answer, codes, protocol, f"{about}, {protocol}")
                    self.invalid += 1

    def broken(
        self, member: Member, operation: str, protocol: str
    ) -> Iterator[tuple[str, set[str], dict[str, Any], wire.Tamper | None]]:
        """Requests that break one constraint each: its name, the codes for it, parameters, a change to the request."""
        params = value_for(member, True)
        for kind, where, broken in mutants(member, params):
            unsaid = protocol in ("ec2", "query") and unwritten(broken)
            if sendable(member, kind, where, broken) and not unsaid:
                yield f"{kind} of {where}", BROKEN[self.service], broken, None
        minimal = value_for(member)
        for name, each in member.members.items():
            is_payload = member.shape.serialization.get("payload") == name
            if not is_payload and (tamper := _of_another_type(each, name, protocol)):
                yield f"type of {name}", UNREADABLE, minimal, tamper
        if protocol == "ec2":
            yield "unknown parameter", {UNKNOWN["ec2"]}, minimal, wire.field_of_a_form("NoSuchParameter", "a")
        if protocol == "rest-xml" and _has_body_in_xml(member, minimal):
            yield "unknown element", {UNKNOWN["s3"]}, minimal, wire.unknown_element

    # --- waiting ---

    def until(self, condition: Callable[[], T], what: str) -> T:
        """Poll until a condition is true and give its value. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.service}: not yet after {PATIENCE_SECONDS} s: {what}")
            time.sleep(POLL_SECONDS)
        return value


def _of_another_type(member: Member, name: str, protocol: str) -> wire.Tamper | None:
    """A change that gives a member of a body a value of another type; None if its form knows no types."""
    place = member.shape.serialization
    if "location" in place:
        return None
    if protocol in ("json", "rest-json"):
        name = place.get("name", name)
        value: Any = "a" if member.kind in ("structure", "list", "map") else {"a": "b"}
        return wire.member_of_another_type(name, value)
    if protocol in ("query", "ec2") and member.kind in ("integer", "long", "float", "double", "boolean"):
        return wire.field_of_a_form(form_name(member.shape, name, protocol), "many")
    return None


def _has_body_in_xml(member: Member, params: dict[str, Any]) -> bool:
    payload = member.shape.serialization.get("payload")
    return payload in params and member.members[payload].kind == "structure"
