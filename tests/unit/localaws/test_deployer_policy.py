"""The policy of a user who deploys, with one of its actions removed at a time: the error names action and resource.

This is a replay on an empty local AWS, not a run of the make targets: tests/e2e runs all of them as such a user. Each
action of terraform/deployer-policy.json is there because a rehearsal used it. Real requests are sent over HTTP with the
keys of a user who has the policy: with it, the action is not denied; without the action, it is.
"""

import json
from collections.abc import Iterator

import pytest

from localaws.context import REPOSITORY
from tests.e2e import permissions
from tests.unit.localaws.conftest import Server, policy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("deployer")).start()
    yield server
    server.close()


def test_each_action_of_the_deployer_is_needed_and_named(empty: Server):
    statements = json.loads((REPOSITORY / "terraform" / "deployer-policy.json").read_text())["Statement"]
    iam = empty.client("iam")
    arn = iam.create_user(UserName="deployer")["User"]["Arn"]
    for number in (0, 1):  # in two, as a managed policy takes 6,144 characters
        half = iam.create_policy(PolicyName=f"deployer-{number}", PolicyDocument=policy(*statements[number::2]))
        iam.attach_user_policy(UserName="deployer", PolicyArn=half["Policy"]["Arn"])
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    passed = iam.create_role(RoleName="pawprint-passed", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    used = [
        {"action": action, "resource": passed if action == "iam:PassRole" else resource, "allowed": 1}
        for statement in statements
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]

    found = permissions.sweep(empty.client, empty.port, arn, used, control=True)

    assert found.faults == [], "\n".join(found.faults)
    assert found.not_tried == [(arn, "lambda:InvokeFunctionUrl")]
    assert len(found.tried) == len({each["action"] for each in used}) - 1
