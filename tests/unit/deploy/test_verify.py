"""`make verify`: what AWS answers is compared with each assumption, and the report can be sent in."""

from __future__ import annotations

import re
import types
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.commands.verify import ASSUMPTIONS
from deploy.deployment import Deployment
from deploy.environment import ROOT
from deploy.verify import answers, looks, report
from deploy.verify.assumption import Assumption, Observation, values

NAMES = [each.name for each in ASSUMPTIONS]


def refused(code: str, message: str) -> Any:
    def call(**request: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": message}}, "Operation")

    return call


class Stack:
    """A deployment whose clients all have these operations."""

    region, endpoint_name, function_log_group, endpoint_log_group = "us-east-1", "pawprint", "/f", "/e"
    outputs = types.MappingProxyType({})

    def __init__(self, **operations: Any):
        self.operations = operations
        self.env = self

    def client(self, service: str, region: str | None = None) -> Any:
        return type("Client", (), {name: staticmethod(call) for name, call in self.operations.items()})


def named(name: str) -> Assumption:
    return next(each for each in ASSUMPTIONS if each.name == name)


@pytest.mark.parametrize(
    ("code", "message", "holds"),
    [
        ("ValidationError", "Endpoint x of account 1 not found.", True),
        ("ValidationError", "no", False),
        ("ResourceNotFoundException", "Endpoint not found", False),
    ],
)
def test_an_error_holds_only_with_its_code_and_its_words(code: str, message: str, holds: bool):
    seen = named("missing-endpoint").examine(Stack(invoke_endpoint=refused(code, message)))
    assert (seen.holds, seen.seen) == (holds, f"{code}: {message}")


def test_a_call_that_is_not_refused_does_not_hold():
    assert named("missing-job").examine(Stack(describe_training_job=lambda **_: {})).holds is False


def test_what_may_not_be_asked_is_not_seen_rather_than_false():
    seen = named("last-deployment-config").examine(Stack(describe_endpoint=refused("AccessDeniedException", "no")))
    assert seen.holds is None
    assert "AccessDeniedException" in seen.seen


def test_a_part_that_is_not_deployed_is_not_seen(account):
    assert named("instance-agent").examine(Deployment(account.env, {"region": "us-east-1"})).holds is None


@pytest.mark.parametrize(("answer", "holds"), [({}, False), ({"LastDeploymentConfig": {}}, True)])
def test_the_deployment_config_of_an_endpoint_is_looked_for(answer: dict, holds: bool):
    assert looks.last_deployment_config(Stack(describe_endpoint=lambda **_: answer)).holds is holds


@pytest.mark.parametrize(("periods", "holds"), [((3, 15), True), ((3, 10), False), ((), False)])
def test_the_alarms_of_the_policy_have_their_periods(periods: tuple, holds: bool):
    alarms = [{"AlarmName": f"a{each}", "EvaluationPeriods": each, "Period": 60} for each in periods]
    assert looks.scaling_alarms(Stack(describe_alarms=lambda **_: {"MetricAlarms": alarms})).holds is holds


def test_the_report_says_who_was_asked_and_hides_the_account(account):
    deployment = account.deployed(endpoint_name="pawprint")
    observed = [(ASSUMPTIONS[0], Observation(True, "123456789012 | x")), (ASSUMPTIONS[1], Observation(None, "no\nway"))]
    text = report.without_account(report.report(deployment, "the rehearsal's local AWS", observed), "123456789012")
    assert "Asked: **the rehearsal's local AWS**" in text
    assert "1 holds, 0 does not hold, 1 not seen" in text
    assert "<account> \\| x" in text and "123456789012" not in text
    assert "no way" in text, "a cell is one line"


def test_every_command_is_complete(account):
    deployment = account.deployed()
    for each in ASSUMPTIONS:
        assert "{" not in each.shown_command(deployment)
    assert set(re.findall(r"\{(\w+)\}", " ".join(each.command for each in ASSUMPTIONS))) <= values(deployment).keys()
    assert answers.NOWHERE in named("missing-job").shown_command(deployment)


# --- SURPRISES.md ---


def rows() -> list[str]:
    text = (ROOT / "SURPRISES.md").read_text().partition("## Not checked on AWS")[2]
    return [line for line in text.splitlines() if line.startswith("| 2")]


def test_every_assumption_in_the_document_has_a_command():
    assert rows()
    assert [row[:80] for row in rows() if "`" not in row.partition("To check: ")[2]] == []


def test_the_document_names_every_check_and_no_other():
    written = {name for row in rows() for name in re.findall(r"make verify ONLY=([\w-]+)", row)}
    assert written == set(NAMES)
