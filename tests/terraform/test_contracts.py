"""The Terraform modules' plan contracts, as `make test-terraform` checks them: here, so that they share the time that
other tests wait. And what the stack calls and describes in EC2, held against the characters that EC2 takes.

The provider does not check those at plan, and moto takes any: EC2 is the first to refuse them, in the middle of an
apply. The rules are read from the text of EC2's own service model, the texts from a plan of the whole stack.
"""

from __future__ import annotations

import html
import json
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import botocore.session
import pytest

from deploy import terraform_checks
from tests.conftest import ROOT


def test_the_plan_contracts_hold():
    checks = [sys.executable, "-m", "deploy.commands.test_terraform"]
    result = subprocess.run(checks, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert result.returncode == 0, result.stdout


# ---- names and descriptions in EC2 ----------------------------------------------------------------------------

# Members of EC2's model whose documentation states the rule, by what a resource of the provider has of them.
STATED_IN = {
    "name": [("CreateSecurityGroupRequest", "GroupName")],
    "description": [
        ("CreateSecurityGroupRequest", "Description"),
        ("IpRange", "Description"),
        ("Ipv6Range", "Description"),
        ("PrefixListId", "Description"),
        ("UserIdGroupPair", "Description"),
    ],
}
# The services of the stack whose texts have rules of their own. All other types are EC2's: security groups, rules,
# interfaces, launch templates and what may be added.
OTHERS = ("aws_appautoscaling_", "aws_cloudformation_", "aws_cloudwatch_", "aws_iam_", "aws_lambda_", "aws_s3_")
OTHERS += ("aws_sagemaker_", "terraform_data")
FILTER = "-filter=tests/ec2_texts.tftest.hcl"


@dataclass(frozen=True)
class Rule:
    characters: frozenset[str]
    longest: int

    def broken_by(self, text: str) -> str | None:
        wrong = sorted(set(text) - self.characters)
        if wrong:
            return f"has {' '.join(map(repr, wrong))}, which EC2 refuses"
        return f"has {len(text)} characters, and EC2 takes {self.longest}" if len(text) > self.longest else None


def read(documentation: str) -> Rule:
    """The rule in a text such as: Up to 255 characters in length. Allowed characters are a-z, A-Z, 0-9, spaces, and
    ._-:/()#,@[]+=&;{}!$*"""
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", documentation)).split())
    marks = re.search(r"a-z, A-Z, 0-9, spaces, and (\S+)", text)[1].rstrip()
    longest = int(re.search(r"Up to (\d+) characters in length", text)[1])
    return Rule(frozenset(string.ascii_letters + string.digits + " " + marks), longest)


@cache
def rule(what: str) -> Rule:
    """What all the places take: the provider's resources do not tell which of them a text goes to."""
    ec2 = botocore.session.get_session().get_service_model("ec2")
    rules = [read(ec2.shape_for(shape).members[member].documentation) for shape, member in STATED_IN[what]]
    return Rule(frozenset.intersection(*(each.characters for each in rules)), min(each.longest for each in rules))


def texts(change: object, key: str = "") -> Iterator[tuple[str, str]]:
    """(name or description, text) of all that a planned resource holds, nested blocks included."""
    if isinstance(change, dict):
        for name, value in change.items():
            yield from texts(value, name)
    elif isinstance(change, list):
        for value in change:
            yield from texts(value, key)
    elif isinstance(change, str) and key in ("description", "name", "name_prefix"):
        yield ("description" if key == "description" else "name"), change


@pytest.fixture(scope="module")
def planned() -> list[dict]:
    """The resource changes of the plan in terraform/tests/ec2_texts.tftest.hcl."""
    with terraform_checks.initialised() as environment:
        result = subprocess.run(
            ["terraform", "test", "-json", "-verbose", FILTER],
            cwd=ROOT / "terraform",
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert result.returncode == 0, result.stderr or result.stdout[-4000:]
    events = [json.loads(line) for line in result.stdout.splitlines()]
    return [
        change for event in events if event["type"] == "test_plan" for change in event["test_plan"]["resource_changes"]
    ]


def test_ec2_takes_every_name_and_description_of_the_stack(planned):
    seen, wrong = set(), set()
    for resource in planned:
        if resource["type"].startswith(OTHERS):
            continue
        for what, text in texts(resource["change"]["after"]):
            seen.add((resource["type"], what))
            if broken := rule(what).broken_by(text):
                wrong.add(f"{resource['address']}: the {what} {text!r} {broken}")
    assert not wrong, "\n".join(sorted(wrong))
    assert {("aws_security_group", "description"), ("aws_security_group", "name")} <= seen
    assert ("aws_vpc_security_group_egress_rule", "description") in seen


@pytest.mark.parametrize(
    ("text", "refused"), [("AWS's services", '"\'"'), ("café", "'é'"), ("a" * 256, "256"), ("a", None)]
)
def test_the_rule_is_that_of_the_model(text, refused):
    broken = rule("description").broken_by(text)
    assert broken is None if refused is None else refused in broken
    assert rule("description").longest == rule("name").longest == 255
    assert set("a Z9._-:/()#,@[]+=;{}!$*") <= rule("description").characters


def test_nested_blocks_are_read_too():
    change = {"ingress": [{"description": "a", "from_port": 1}], "name_prefix": "b-", "tags": {"Name": "it's"}}
    assert set(texts(change)) == {("description", "a"), ("name", "b-")}
