"""The deployer's policy is made from what was used, for any account and region."""

from __future__ import annotations

import json

import pytest

from deploy import permissions
from deploy.permissions import (
    MAX_POLICY_CHARACTERS,
    POLICY,
    STEPS,
    PrincipalReport,
    deployer_policy,
    generalised,
    missing_steps,
    size,
)


def used(action: str, resource: str, allowed: int = 1) -> dict:
    return {"action": action, "resource": resource, "allowed": allowed, "denied": 1 - allowed}


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        ("*", "*"),
        ("arn:aws:sagemaker:eu-west-1:123456789012:endpoint/pets-1", "arn:aws:sagemaker:*:*:endpoint/pets*"),
        ("arn:aws:iam::123456789012:role/pets-training", "arn:aws:iam::*:role/pets*"),
        ("arn:aws:iam::aws:policy/X", "arn:aws:iam::aws:policy/X"),
        ("arn:aws:s3:::pets-artifacts-1/datasets/*", "arn:aws:s3:::pets*/*"),
        ("arn:aws:s3:::pets-artifacts-1", "arn:aws:s3:::pets*"),
        ("arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0", "arn:aws:ec2:*:*:instance/*"),
        ("arn:aws:ssm:us-east-1::document/AWS-RunShellScript", "arn:aws:ssm:*::document/AWS-RunShellScript"),
        (
            "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/TrainingJobs:log-stream:*",
            "arn:aws:logs:*:*:log-group:/aws/sagemaker/TrainingJobs:*",
        ),
    ],
)  # fmt: skip
def test_an_arn_counts_for_any_account_region_and_run(arn: str, expected: str):
    assert generalised(arn, "pets") == expected


def test_the_policy_has_what_was_allowed_and_nothing_else():
    role = "arn:aws:iam::123456789012:role/pets-training"
    policy = deployer_policy(
        [used("sagemaker:CreateModel", "*"), used("sagemaker:DeleteModel", "*", 0), used("iam:PassRole", role)], "pets"
    )
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert "sagemaker:CreateModel" in actions
    assert "sagemaker:DeleteModel" not in actions
    [passing] = [statement for statement in policy["Statement"] if "iam:PassRole" in statement["Action"]]
    assert "sagemaker.amazonaws.com" in passing["Condition"]["StringEquals"]["iam:PassedToService"]


def test_targets_that_have_not_run_are_known():
    seen = [used(action, "*") for target, action in STEPS.items() if target != "tune"]
    assert missing_steps(seen) == ["tune"]


def test_grants_are_told_apart():
    grants = [
        {"used": 1, "possible": True},
        {"used": 0, "possible": True},
        {"used": 0, "possible": False},
    ]
    report = PrincipalReport("arn:aws:iam::123456789012:role/r", tuple(grants), (used("s3:GetObject", "*", 0),))
    assert report.name == "role/r"
    assert [len(report.used_grants), len(report.unused_grants), len(report.impossible_grants)] == [1, 1, 1]
    assert len(report.denials) == 1


def test_the_policy_in_the_repository_covers_every_target_and_fits_into_iam():
    policy = json.loads(POLICY.read_text())
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert actions >= set(STEPS.values())
    assert not any("*" in action for action in actions)
    assert size(policy) <= MAX_POLICY_CHARACTERS


def test_the_policy_of_the_options_is_current_and_fits_into_a_managed_one():
    kept = json.loads(permissions.OPTIONS_POLICY.read_text())
    assert kept == permissions.options_policy("pawprint")
    assert permissions.size(kept) < 6_144  # of a managed policy
    assert all("*" not in action for statement in kept["Statement"] for action in statement["Action"])
    assert "arn:aws:iam:*" not in json.dumps([kept, json.loads(permissions.POLICY.read_text())])
