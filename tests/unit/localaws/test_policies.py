"""The policy engine, against AWS's documented examples.

Each table names the page of the IAM user guide that its examples are from.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localaws.services.iam.conditions import OPERATORS, RequestContext
from localaws.services.iam.evaluation import Kind, Policies, evaluate, said_by_resource
from localaws.services.iam.policies import AccessRequest, PolicyDocument, PolicyError
from localaws.services.iam.principals import Requester

ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/JohnDoe"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/example"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/example/session"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
FEDERATED = f"arn:aws:sts::{ACCOUNT}:federated-user/JohnDoe"
ELSEWHERE = "arn:aws:iam::999999999999:user/JohnDoe"
OBJECT = "arn:aws:s3:::bucket/home/photo.jpg"


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> PolicyDocument:
    return PolicyDocument.parse({"Version": version, "Statement": list(statements)})


def allow(action: str | list[str] = "s3:*", resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str] = "s3:*", resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def request(
    who: str | None = USER, action: str = "s3:GetObject", resource: str = OBJECT, **facts: Any
) -> AccessRequest:
    context = RequestContext({key.replace("__", ":"): value for key, value in facts.items()})
    return AccessRequest(Requester(who), action, resource, context, ACCOUNT)


def identity_allows(statement: dict[str, Any], asked: AccessRequest, version: str = "2012-10-17") -> bool:
    return evaluate(asked, Policies((policy(statement, version=version),))).allowed


# --- Action and Resource ---


@pytest.mark.parametrize(
    ("element", "action", "covered"),
    [
        ({"Action": "sqs:SendMessage"}, "sqs:SendMessage", True),
        ({"Action": "SQS:sendmessage"}, "sqs:SendMessage", True),
        ({"Action": "iam:*AccessKey*"}, "iam:UpdateAccessKey", True),
        ({"Action": "iam:*AccessKey*"}, "iam:CreateUser", False),
        ({"Action": "s3:Get?bject"}, "s3:GetObject", True),
        ({"Action": "s3:Get?bject"}, "s3:GetObjectAcl", False),
        ({"Action": "*"}, "ec2:RunInstances", True),
        ({"Action": ["ec2:*", "s3:GetObject"]}, "s3:GetObject", True),
        ({"NotAction": "s3:DeleteBucket"}, "s3:GetObject", True),
        ({"NotAction": "s3:deletebucket"}, "s3:DeleteBucket", False),
        ({"NotAction": ["iam:*", "sts:*"]}, "iam:CreateUser", False),
    ],
)
def test_actions_as_in_the_pages_on_action_and_notaction(element: dict, action: str, covered: bool):
    """ "IAM JSON policy elements: Action" and "NotAction"."""
    assert identity_allows({"Effect": "Allow", "Resource": "*", **element}, request(action=action)) is covered


@pytest.mark.parametrize(
    ("element", "resource", "covered"),
    [
        ({"Resource": "arn:aws:s3:::bucket/*"}, "arn:aws:s3:::bucket/1/2/3/object.jpg", True),
        ({"Resource": "arn:aws:s3:::bucket/*/test/*"}, "arn:aws:s3:::bucket/1/2/test/3/object.jpg", True),
        ({"Resource": "arn:aws:s3:::bucket/*/test/*"}, "arn:aws:s3:::bucket/1-test/object.jpg", False),
        ({"Resource": "arn:aws:s3:::bucket/???/test/*"}, "arn:aws:s3:::bucket/abc/test/object.jpg", True),
        ({"Resource": "arn:aws:s3:::bucket/???/test/*"}, "arn:aws:s3:::bucket/abcd/test/object.jpg", False),
        ({"Resource": "arn:aws:s3:::*log*"}, "arn:aws:s3:::carlossalazar-logs/file", True),
        ({"Resource": "arn:aws:s3:::Bucket/*"}, "arn:aws:s3:::bucket/photo", False),
        (
            {"Resource": "arn:aws:lambda:*:123456789012:function:f*"},
            "arn:aws:lambda:eu-west-1:123456789012:function:f:2",
            True,
        ),
        ({"Resource": "arn:aws:lambda:*:1:finance/*"}, "arn:aws:lambda:x:9:store/abc:1:finance/a", False),
        ({"NotResource": "arn:aws:s3:::bucket/*"}, "arn:aws:s3:::bucket/photo", False),
        ({"NotResource": ["arn:aws:s3:::a", "arn:aws:s3:::a/*"]}, "arn:aws:s3:::b/photo", True),
    ],
)
def test_resources_as_in_the_pages_on_resource_and_notresource(element: dict, resource: str, covered: bool):
    """ "IAM JSON policy elements: Resource", "Using wildcards in resource ARNs", and "NotResource"."""
    assert identity_allows({"Effect": "Allow", "Action": "*", **element}, request(resource=resource)) is covered


@pytest.mark.parametrize("length", [200, 2000])
def test_a_pattern_of_many_wildcards_takes_no_longer_than_its_length(length: int):
    pattern, resource = "arn:aws:s3:::" + "a*" * 40 + "b", "arn:aws:s3:::" + "a" * length
    assert not identity_allows(allow(resource=pattern), request(resource=resource))


# --- variables ---

TEAM = "aws__PrincipalTag/team"


@pytest.mark.parametrize(
    ("resource", "asked", "facts", "covered"),
    [
        ("mybucket/${aws:username}/*", "mybucket/JohnDoe/a", {"aws__username": "JohnDoe"}, True),
        ("mybucket/${AWS:UserName}/*", "mybucket/JohnDoe/a", {"aws__username": "JohnDoe"}, True),
        ("mybucket/${aws:username}/*", "mybucket/Mary/a", {"aws__username": "JohnDoe"}, False),
        ("b-${aws:PrincipalTag/team, 'company-wide'}", "b-yellow", {TEAM: "yellow"}, True),
        ("b-${aws:PrincipalTag/team, 'company-wide'}", "b-company-wide", {TEAM: "yellow"}, False),
        ("b-${aws:PrincipalTag/team, 'company-wide'}", "b-company-wide", {TEAM: ()}, True),
        ("b-${aws:PrincipalTag/team}", "b-", {TEAM: ()}, False),
        ("b-${aws:PrincipalTag/team}", "b-anything", {TEAM: "*"}, False),
        ("b-${aws:PrincipalTag/team}", "b-*", {TEAM: "*"}, True),
        ("b-${aws:TagKeys}", "b-x", {"aws__TagKeys": ["x", "y"]}, False),
        ("b/${*}", "b/*", {}, True),
        ("b/${*}", "b/x", {}, False),
        ("b/${?}${$}", "b/?$", {}, True),
    ],
)
def test_variables_as_in_the_page_on_variables(resource: str, asked: str, facts: dict, covered: bool):
    """ "IAM policy elements: Variables and tags"."""
    named, wanted = f"arn:aws:s3:::{asked}", f"arn:aws:s3:::{resource}"
    assert identity_allows(allow(resource=wanted), request(resource=named, **facts)) is covered


def test_variables_are_literal_in_the_language_of_2008_and_before_the_fifth_colon():
    asked = request(resource="arn:aws:s3:::b/JohnDoe", aws__username="JohnDoe")
    assert not identity_allows(allow(resource="arn:aws:s3:::b/${aws:username}"), asked, version="2008-10-17")
    literal = request(resource="arn:aws:s3:::b/${aws:username}", aws__username="JohnDoe")
    assert identity_allows(allow(resource="arn:aws:s3:::b/${aws:username}"), literal, version="2008-10-17")
    queue = request(action="sqs:SendMessage", resource=f"arn:aws:sqs:r:{ACCOUNT}:q", aws__PrincipalAccount=ACCOUNT)
    assert not identity_allows(allow("sqs:*", "arn:aws:sqs:r:${aws:PrincipalAccount}:q"), queue)


@pytest.mark.parametrize(
    ("operator", "met"),
    [("StringEquals", False), ("StringLike", False), ("StringNotEquals", True), ("ArnNotLike", True)],
)
def test_a_variable_without_a_value_equals_nothing(operator: str, met: bool):
    """ "Policy variables with no value", on the same page."""
    condition = {operator: {"s3:ExistingObjectTag/Team": "${aws:PrincipalTag/Team}"}}
    facts = {"s3__ExistingObjectTag/Team": "red", "aws__PrincipalTag/Team": ()}
    assert identity_allows(allow(Condition=condition), request(**facts)) is met


# --- conditions ---

OPERATOR_EXAMPLES = [
    ("StringEquals", "finance", "finance", True),
    ("StringEquals", "finance", "Finance", False),
    ("StringEquals", "fin*", "finance", False),
    ("StringNotEquals", "finance", "Finance", True),
    ("StringEqualsIgnoreCase", "finance", "Finance", True),
    ("StringNotEqualsIgnoreCase", "finance", "Finance", False),
    ("StringLike", "home/*", "home/JohnDoe/", True),
    ("StringLike", "t?.micro", "t2.micro", True),
    ("StringLike", "Home/*", "home/JohnDoe/", False),
    ("StringNotLike", "home/*", "home/JohnDoe/", False),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericLessThanEquals", "10", "11", False),
    ("NumericLessThan", "10", "9.5", True),
    ("NumericGreaterThan", "10", "10", False),
    ("NumericGreaterThanEquals", "1.2", "1.20", True),
    ("NumericEquals", "10", "10.0", True),
    ("NumericNotEquals", "10", "10.0", False),
    ("DateGreaterThan", "2020-01-01T00:00:01Z", "2020-01-01T00:00:02Z", True),
    ("DateGreaterThan", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z", False),
    ("DateGreaterThanEquals", "1577836801", "2020-01-01T00:00:01Z", True),
    ("DateLessThan", "2020-01-01T01:00:00+01:00", "2019-12-31T23:59:59Z", True),
    ("DateLessThanEquals", "2020-01-01", "2020-01-01T00:00:00Z", True),
    ("DateLessThan", "2020", "2019-12-31T23:59:59.999Z", True),
    ("DateEquals", "2020-01-01T00:00:00Z", "1577836800", True),
    ("DateNotEquals", "2020-01-01T00:00:00Z", "1577836800", False),
    ("Bool", "false", "false", True),
    ("Bool", "true", "false", False),
    ("Bool", "TRUE", "true", True),
    ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
    ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QQ==", False),
    ("IpAddress", "203.0.113.0/24", "203.0.113.255", True),
    ("IpAddress", "203.0.113.0/24", "203.0.114.0", False),
    ("IpAddress", "203.0.113.7", "203.0.113.7", True),
    ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::1", True),
    ("IpAddress", "2001:DB8:1234:5678::/64", "203.0.113.7", False),
    ("NotIpAddress", "203.0.113.0/24", "203.0.113.255", False),
    ("NotIpAddress", "203.0.113.0/24", "2001:db8::1", True),
    ("ArnEquals", "arn:aws:sns:*:123456789012:topic-?", "arn:aws:sns:us-east-1:123456789012:topic-1", True),
    ("ArnNotEquals", "arn:aws:sns:*:123456789012:topic-?", "arn:aws:sns:us-east-1:123456789012:topic-1", False),
    (
        "StringLike",
        "arn:aws:someservice:*:111122223333:finance/*",
        "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
        True,
    ),
    (
        "ArnLike",
        "arn:aws:someservice:*:111122223333:finance/*",
        "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
        False,
    ),
]


@pytest.mark.parametrize(("operator", "expected", "value", "met"), OPERATOR_EXAMPLES)
def test_operators_as_in_the_page_on_condition_operators(operator: str, expected: str, value: str, met: bool):
    """ "IAM JSON policy elements: Condition operators"."""
    statement = allow(Condition={operator: {"AWS:Key": expected}})
    assert identity_allows(statement, request(aws__kEY=value)) is met


def test_every_operator_has_an_example():
    assert {name.lower() for name, *_ in OPERATOR_EXAMPLES} | {"arnnotlike"} == set(OPERATORS)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_a_key_that_the_request_lacks_meets_negated_operators_only(operator: str):
    """ "If the key is not present, the values do not match", on the same page; with IfExists it is met."""
    absent = request(aws__key=())
    assert identity_allows(allow(Condition={operator: {"aws:key": "1"}}), absent) is ("not" in operator)
    assert identity_allows(allow(Condition={f"{operator}IfExists": {"aws:key": "1"}}), absent)
    assert identity_allows(allow(Condition={f"ForAllValues:{operator}": {"aws:key": "1"}}), absent)
    assert not identity_allows(allow(Condition={f"ForAnyValue:{operator}": {"aws:key": "1"}}), absent)


@pytest.mark.parametrize(
    ("expected", "value", "met"), [("true", (), True), ("false", (), False), ("true", "x", False), ("false", "x", True)]
)
def test_null_asks_whether_a_key_is_absent(expected: str, value: Any, met: bool):
    """ "Condition operator to check existence of condition keys", on the same page."""
    statement = allow(Condition={"Null": {"aws:TokenIssueTime": expected}})
    assert identity_allows(statement, request(aws__TokenIssueTime=value)) is met


ATTRIBUTES = ["ID", "Message", "Tags"]


@pytest.mark.parametrize(
    ("operator", "expected", "values", "met"),
    [
        ("ForAllValues:StringEquals", ATTRIBUTES, ["Message", "Tags", "ID"], True),
        ("ForAllValues:StringEquals", ATTRIBUTES, ["Message", "UserName"], False),
        ("ForAllValues:StringEquals", ATTRIBUTES, [], True),
        ("ForAllValues:StringEquals", ATTRIBUTES, "", True),
        ("ForAnyValue:StringEquals", ["ID", "PostDateTime"], ["UserName", "Message", "PostDateTime"], True),
        ("ForAnyValue:StringEquals", ["ID", "PostDateTime"], ["UserName"], False),
        ("ForAnyValue:StringEquals", ATTRIBUTES, [], False),
        ("ForAnyValue:StringEquals", ATTRIBUTES, "", False),
        ("ForAllValues:StringNotEquals", ["ID"], ["UserName", "Message"], True),
        ("ForAllValues:StringNotEquals", ["ID"], ["UserName", "ID"], False),
        ("ForAnyValue:StringNotEquals", ["ID"], ["UserName", "ID"], True),
        ("ForAnyValue:StringNotEquals", ["ID"], ["ID"], False),
        ("ForAllValues:StringLike", ["M*"], ["Message"], True),
        ("StringEquals", ATTRIBUTES, ["Message", "Tags"], False),
        ("StringEquals", ATTRIBUTES, "Tags", True),
        ("StringNotEquals", ATTRIBUTES, "Tags", False),
        ("StringNotEquals", ATTRIBUTES, "UserName", True),
    ],
)
def test_sets_of_values_as_in_the_page_on_several_values(operator: str, expected: list, values: Any, met: bool):
    """ "Creating a condition with multiple keys or values"."""
    statement = allow("dynamodb:GetItem", Condition={operator: {"dynamodb:Attributes": expected}})
    assert identity_allows(statement, request(action="dynamodb:GetItem", dynamodb__Attributes=values)) is met


def test_all_operators_and_keys_must_be_met():
    """The condition block at the head of the same page."""
    condition = {
        "StringEqualsIgnoreCase": {
            "aws:PrincipalTag/department": ["finance", "hr", "legal"],
            "aws:PrincipalTag/role": ["audit", "security"],
        },
        "StringEquals": {"aws:PrincipalAccount": ACCOUNT},
    }
    tags = {"aws__PrincipalTag/department": "HR", "aws__PrincipalTag/role": "audit"}
    assert identity_allows(allow(Condition=condition), request(**tags, aws__PrincipalAccount=ACCOUNT))
    assert not identity_allows(allow(Condition=condition), request(**tags, aws__PrincipalAccount="999999999999"))
    assert not identity_allows(
        allow(Condition=condition), request(**{**tags, "aws__PrincipalTag/role": "dev"}, aws__PrincipalAccount=ACCOUNT)
    )


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:NoSuchKey": "x"}},
        {"StringNotEquals": {"aws:NoSuchKey": "x"}},
        {"StringEqualsIfExists": {"aws:NoSuchKey": "x"}},
        {"ForAllValues:StringEquals": {"aws:NoSuchKey": "x"}},
        {"Null": {"aws:NoSuchKey": "true"}},
        {"StringMatches": {"aws:username": "x"}},
        {"ForSomeValues:StringEquals": {"aws:username": "x"}},
        {"NullIfExists": {"aws:username": "true"}},
        {"NumericEquals": {"aws:username": "1"}},
        {"StringEquals": {"aws:username": "${aws:NoSuchKey}"}},
    ],
)
def test_what_is_not_understood_lets_nobody_in(condition: dict, caplog: pytest.LogCaptureFixture):
    sid = json.dumps(condition)  # a warning is given once for each statement
    asked = request(aws__username="JohnDoe")
    with caplog.at_level(logging.WARNING):
        assert not identity_allows(allow(Condition=condition, Sid=sid), asked)
        decision = evaluate(asked, Policies((policy(allow(), deny(Condition=condition, Sid=sid)),)))
    assert decision.explicit, "a Deny takes effect"
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert all("is not understood here" in record.message and sid in record.message for record in caplog.records)


def test_a_key_that_is_known_and_absent_is_understood(caplog: pytest.LogCaptureFixture):
    context = RequestContext({}, known=["aws:SourceVpce", "aws:PrincipalTag/*"])
    asked = AccessRequest(Requester(USER), "s3:GetObject", OBJECT, context)
    conditions = {"StringNotEquals": {"AWS:sourcevpce": "vpce-1"}, "Null": {"aws:PrincipalTag/team": "true"}}
    assert identity_allows(allow(Condition=conditions), asked)
    assert not caplog.records


def test_an_unknown_condition_that_another_one_rules_out_is_no_doubt():
    """A Deny whose other conditions are not met does not deny."""
    condition = {"StringEquals": {"aws:NoSuchKey": "x", "aws:username": "Mary"}}
    assert evaluate(request(aws__username="JohnDoe"), Policies((policy(allow(), deny(Condition=condition)),))).allowed


# --- principals ---


@pytest.mark.parametrize(
    ("principal", "requester", "named"),
    [
        ("*", Requester(), True),
        ({"AWS": "*"}, Requester(), True),
        ({"AWS": USER}, Requester(), False),
        ({"AWS": USER}, Requester(USER), True),
        ({"AWS": USER}, Requester(USER.lower()), False),
        ({"AWS": [ELSEWHERE, USER]}, Requester(USER), True),
        ({"AWS": USER[:-3] + "*"}, Requester(USER), False),
        ({"AWS": ROLE}, Requester(SESSION), True),
        ({"AWS": ROLE.replace("/service", "")}, Requester(SESSION), True),
        ({"AWS": SESSION}, Requester(SESSION), True),
        ({"AWS": SESSION + "2"}, Requester(SESSION), False),
        ({"AWS": ACCOUNT}, Requester(ROOT), True),
        ({"AWS": ROOT}, Requester(ROOT), True),
        ({"AWS": ROOT}, Requester(USER), False),
        ({"Service": "lambda.amazonaws.com"}, Requester(service="lambda.amazonaws.com"), True),
        ({"Service": "lambda.amazonaws.com"}, Requester(service="ec2.amazonaws.com"), False),
        ({"Service": "lambda.amazonaws.com"}, Requester(USER), False),
        ({"Federated": "accounts.google.com"}, Requester(provider="accounts.google.com"), True),
        ({"CanonicalUser": "79a59df9"}, Requester(canonical="79a59df9"), True),
    ],
)
def test_principals_as_in_the_page_on_principal(principal: Any, requester: Requester, named: bool):
    """ "AWS JSON policy elements: Principal". An account leaves it to the policies of its users."""
    asked = AccessRequest(requester, "s3:GetObject", OBJECT, account=ACCOUNT)
    trusting = Policies(resource=policy(allow(Principal=principal)), trust=True)  # even the account needs to be named
    assert evaluate(asked, trusting).allowed is named


BOB, AUDIT = "arn:aws:iam::444455556666:user/Bob", "arn:aws:sts::444455556666:assumed-role/read-only/audit-app"
BOBS = ["arn:aws:iam::444455556666:user/Bob", "arn:aws:iam::444455556666:root"]
AUDITS = [AUDIT, "arn:aws:iam::444455556666:role/read-only", "arn:aws:iam::444455556666:root"]


@pytest.mark.parametrize(
    ("excepted", "who", "denied"),
    [
        (BOBS, BOB, False),
        (BOBS, BOB.replace("Bob", "Mary"), True),
        (BOBS, None, True),
        (AUDITS, AUDIT, False),
        (AUDITS, AUDIT.replace("audit-app", "other"), True),
        (AUDITS[1:], AUDIT, True),
        ([AUDITS[0], AUDITS[2]], AUDIT, True),
    ],
)
def test_notprincipal_with_deny_as_in_its_page(excepted: list[str], who: str | None, denied: bool):
    """ "AWS JSON policy elements: NotPrincipal": the session, its role and the account are to be named."""
    bucket = policy(allow(Principal="*"), {**deny(), "NotPrincipal": {"AWS": excepted}})
    said = said_by_resource(request(who), bucket)
    assert said is not None and said.explicit is denied


def test_notprincipal_with_allow_excepts_those_it_names():
    bucket = policy({**allow(), "NotPrincipal": {"AWS": [USER]}})
    assert said_by_resource(request(), bucket) is None
    assert said_by_resource(request(ELSEWHERE), bucket).allowed


# --- the decision ---

READ, READ_ALL = policy(allow("s3:GetObject")), policy(allow("s3:GetObject", Principal="*"))
NOTHING = policy()


def to(who: str) -> PolicyDocument:
    return policy(allow("s3:GetObject", Principal={"AWS": who}))


@pytest.mark.parametrize(
    ("who", "policies", "allowed", "kind"),
    [
        # One account: an identity's or the resource's policy is enough.
        (USER, Policies(), False, Kind.IDENTITY),
        (USER, Policies((READ,)), True, Kind.IDENTITY),
        (USER, Policies(resource=to(USER)), True, Kind.RESOURCE),
        (USER, Policies(resource=READ_ALL), True, Kind.RESOURCE),
        (USER, Policies(resource=to(ROOT)), False, Kind.IDENTITY),
        (USER, Policies((READ,), resource=to(ROOT)), True, Kind.IDENTITY),
        (ROOT, Policies(), True, None),
        # A boundary limits what a role's own policies grant, and what the resource's policy grants to the role.
        (USER, Policies((READ,), boundary=NOTHING), False, Kind.BOUNDARY),
        (USER, Policies((READ,), boundary=READ), True, Kind.IDENTITY),
        (USER, Policies(resource=to(USER), boundary=NOTHING), True, Kind.RESOURCE),
        (SESSION, Policies(resource=to(ROLE)), True, Kind.RESOURCE),
        (SESSION, Policies(resource=to(ROLE), boundary=NOTHING), False, Kind.BOUNDARY),
        (SESSION, Policies(resource=to(SESSION), boundary=NOTHING), True, Kind.RESOURCE),
        (SESSION, Policies(resource=READ_ALL, boundary=NOTHING), True, Kind.RESOURCE),
        # So does a session policy.
        (SESSION, Policies((READ,)), True, Kind.IDENTITY),
        (SESSION, Policies((READ,), session=(NOTHING,)), False, Kind.SESSION),
        (SESSION, Policies((READ,), session=(READ,)), True, Kind.IDENTITY),
        (SESSION, Policies(session=(READ,)), False, Kind.IDENTITY),
        (SESSION, Policies(resource=to(ROLE), session=(NOTHING,)), False, Kind.SESSION),
        (SESSION, Policies(resource=to(SESSION), session=(NOTHING,)), True, Kind.RESOURCE),
        (FEDERATED, Policies((READ,)), False, Kind.SESSION),
        (FEDERATED, Policies((READ,), session=(READ,)), True, Kind.IDENTITY),
        (FEDERATED, Policies(resource=to(FEDERATED)), True, Kind.RESOURCE),
        (FEDERATED, Policies(resource=to(USER)), False, Kind.SESSION),
        # Two accounts: both sides must allow.
        (ELSEWHERE, Policies((READ,)), False, Kind.RESOURCE),
        (ELSEWHERE, Policies(resource=to(ELSEWHERE)), False, Kind.IDENTITY),
        (ELSEWHERE, Policies(resource=READ_ALL), False, Kind.IDENTITY),
        (ELSEWHERE, Policies((READ,), resource=to(ELSEWHERE)), True, Kind.IDENTITY),
        (ELSEWHERE, Policies((READ,), resource=to("999999999999")), True, Kind.IDENTITY),
        (ELSEWHERE, Policies((READ,), resource=to(ELSEWHERE), boundary=NOTHING), False, Kind.BOUNDARY),
        ("arn:aws:iam::999999999999:root", Policies(resource=to("999999999999")), True, None),
        # A trust policy must allow, within an account, too.
        (USER, Policies((READ,), trust=True), False, Kind.TRUST),
        (USER, Policies((READ,), resource=to(ROOT), trust=True), True, Kind.IDENTITY),
        (USER, Policies(resource=to(ROOT), trust=True), False, Kind.IDENTITY),
        (USER, Policies(resource=to(USER), trust=True), True, Kind.TRUST),
        # Nobody: the resource's policy alone.
        (None, Policies(resource=READ_ALL), True, Kind.RESOURCE),
        (None, Policies(resource=to(ROOT)), False, Kind.RESOURCE),
    ],
)
def test_decisions_as_in_the_pages_on_evaluation_logic(
    who: str | None, policies: Policies, allowed: bool, kind: Kind | None
):
    """ "Policy evaluation logic" with its table on implicit denies, and "Cross-account policy evaluation logic"."""
    decision = evaluate(request(who), policies)
    assert (decision.allowed, decision.kind) == (allowed, kind)
    assert not decision.explicit


def test_the_example_of_carlos():
    """ "Example identity-based and resource-based policy evaluation", on the page "Policy evaluation logic"."""
    carlos = "arn:aws:iam::123456789012:user/carlossalazar"
    own = policy(
        allow(["s3:GetBucketLocation", "s3:ListAllMyBuckets"], "arn:aws:s3:::*", Sid="AllowS3ListRead"),
        allow("s3:*", ["arn:aws:s3:::carlossalazar/*", "arn:aws:s3:::carlossalazar"], Sid="AllowS3Self"),
        deny("s3:*", "arn:aws:s3:::*log*", Sid="DenyS3Logs"),
    )
    bucket = policy(
        allow("s3:*", ["arn:aws:s3:::carlossalazar/*", "arn:aws:s3:::carlossalazar"], Principal={"AWS": carlos})
    )
    logs = evaluate(request(carlos, "s3:PutObject", "arn:aws:s3:::carlossalazar-logs/file"), Policies((own,)))
    assert logs.explicit and logs.statement.sid == "DenyS3Logs"
    assert evaluate(
        request(carlos, "s3:PutObject", "arn:aws:s3:::carlossalazar/file"), Policies((own,), bucket)
    ).allowed
    assert evaluate(request(carlos, "s3:PutObject", "arn:aws:s3:::carlossalazar/file"), Policies((), bucket)).allowed


SAID = f"User: {USER} is not authorized to perform: s3:GetObject on resource: {OBJECT} "


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        (Policies(), "because no identity-based policy allows the s3:GetObject action"),
        (Policies((READ,), boundary=NOTHING), "because no permissions boundary allows the s3:GetObject action"),
        (Policies((READ,), session=(NOTHING,)), "because no session policy allows the s3:GetObject action"),
        (Policies(trust=True), "because no role trust policy allows the s3:GetObject action"),
        (Policies((policy(deny()),)), "with an explicit deny in an identity-based policy"),
        (Policies(resource=policy(deny(Principal="*"))), "with an explicit deny in a resource-based policy"),
        (Policies(boundary=policy(deny())), "with an explicit deny in a permissions boundary"),
        (Policies(session=(policy(deny()),)), "with an explicit deny in a session policy"),
        (Policies(resource=policy(deny(Principal="*")), trust=True), "with an explicit deny in the role trust policy"),
    ],
)
def test_denials_are_worded_as_in_the_page_on_access_denied(policies: Policies, words: str):
    """ "Troubleshoot access denied error messages"; the page has "sessions policy", which services do not say."""
    assert evaluate(request(), policies).message() == SAID + words


def test_across_accounts_the_resource_is_named_first():
    message = evaluate(request(ELSEWHERE), Policies((READ,))).message(quoted=True)
    assert f'on resource: "{OBJECT}" because no resource-based policy allows' in message


# --- documents ---


@pytest.mark.parametrize(
    "document",
    [
        "no JSON",
        "[]",
        {"Version": "2020-01-01", "Statement": []},
        {"Statement": [{"Action": "*", "Resource": "*"}]},
        {"Statement": [{"Effect": "allow", "Action": "*", "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Resource": "*"}]},
        {"Statement": [{**allow(), "NotAction": "*"}]},
        {"Statement": [{**allow(), "NotResource": "*"}]},
        {"Statement": [{**allow(Principal="*"), "NotPrincipal": "*"}]},
        {"Statement": [allow(Principal="arn:aws:iam::123456789012:root")]},
        {"Statement": [allow(Principal={"User": "x"})]},
        {"Statement": [allow(Condition={"Bool": "true"})]},
        {"Statement": ["Allow"]},
    ],
)
def test_what_is_no_policy_is_refused(document: Any):
    with pytest.raises(PolicyError):
        PolicyDocument.parse(document)


def test_a_document_may_be_text_or_in_percent_signs_and_its_statement_alone():
    document = {"Version": "2008-10-17", "Id": "own", "Statement": allow(Sid="one")}
    text = json.dumps(document)
    for given_as in (document, text, text.encode(), text.replace("{", "%7B").replace('"', "%22")):
        parsed = PolicyDocument.parse(given_as)
        assert (parsed.id, parsed.version, parsed.statements[0].sid) == ("own", "2008-10-17", "one")


# --- properties ---

NAMES = st.sampled_from(["s3:GetObject", "s3:*", "s3:Put*", "*", "sqs:SendMessage"])
PLACES = st.sampled_from(["*", OBJECT, "arn:aws:s3:::bucket/${aws:username}/*", "arn:aws:s3:::other/*"])
WHO = st.sampled_from(["*", {"AWS": USER}, {"AWS": ROOT}, {"AWS": ROLE}, {"Service": "lambda.amazonaws.com"}])
TESTS = st.sampled_from(
    [
        {},
        {"StringEquals": {"aws:username": "JohnDoe"}},
        {"StringNotEquals": {"aws:username": "JohnDoe"}},
        {"Bool": {"aws:SecureTransport": "false"}},
        {"StringEquals": {"aws:NoSuchKey": "x"}},
        {"ForAllValues:StringLike": {"aws:TagKeys": ["a*"]}},
    ]
)
STATEMENTS = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Action": NAMES,
        "Resource": PLACES,
        "Principal": WHO,
        "Condition": TESTS,
    }
)
LISTS = st.lists(STATEMENTS, max_size=4)
CALLERS = st.sampled_from([USER, SESSION, ROOT, ELSEWHERE, FEDERATED, None])
FACTS = {"aws__username": "JohnDoe", "aws__SecureTransport": "true", "aws__TagKeys": ["a", "b"]}


def own(statements: list[dict[str, Any]]) -> tuple[PolicyDocument, ...]:
    """The same statements, as an identity's policies."""
    return (policy(*({key: value for key, value in each.items() if key != "Principal"} for each in statements)),)


def decided(who: str | None, mine: list, theirs: list, boundary: list | None, session: list | None) -> Any:
    policies = Policies(
        identity=own(mine),
        resource=policy(*theirs),
        boundary=None if boundary is None else own(boundary)[0],
        session=None if session is None else own(session),
    )
    return evaluate(request(who, **FACTS), policies)


ALL = {"who": CALLERS, "mine": LISTS, "theirs": LISTS, "boundary": st.none() | LISTS, "session": st.none() | LISTS}


@settings(max_examples=300, deadline=None)
@given(**ALL, where=st.sampled_from(["mine", "theirs", "boundary", "session"]))
def test_a_deny_wins_wherever_it_stands(where: str, **asked: Any):
    statements = asked[where] or []
    assert decided(**{**asked, where: [*statements, deny("*", "*", Principal="*")]}).explicit


@settings(max_examples=300, deadline=None)
@given(**ALL, where=st.sampled_from(["mine", "theirs", "boundary", "session"]), more=STATEMENTS)
def test_another_allow_never_takes_a_permission_away(where: str, more: dict, **asked: Any):
    if asked[where] is None or not decided(**asked).allowed:
        return
    assert decided(**{**asked, where: [*asked[where], {**more, "Effect": "Allow"}]}).allowed


@settings(max_examples=300, deadline=None)
@given(**ALL, data=st.data())
def test_the_order_of_statements_does_not_matter(data: st.DataObject, **asked: Any):
    shuffled = {
        name: data.draw(st.permutations(value)) if isinstance(value, list) else value for name, value in asked.items()
    }
    one, other = decided(**asked), decided(**shuffled)
    assert (one.allowed, one.kind, one.explicit) == (other.allowed, other.kind, other.explicit)


@settings(max_examples=300, deadline=None)
@given(pattern=st.text("ab*?", max_size=8), value=st.text("ab", max_size=8))
def test_wildcards_match_as_regular_expressions_do(pattern: str, value: str):
    expression = pattern.replace("*", ".*").replace("?", ".")
    asked = request(resource=f"arn:aws:s3:::{value}")
    expected = re.fullmatch(expression, value) is not None
    assert identity_allows(allow(resource=f"arn:aws:s3:::{pattern}"), asked) is expected
