"""Versions, aliases, concurrency and policies of functions."""

import io
import json
import re
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator

import pytest

from localaws.services.lambda_.api import route
from localaws.supervisor import start_time
from tests.unit.localaws.lambda_helpers import refusal
from tests.unit.localaws.metric_helpers import total, totals

CODE = """
import os, pathlib, time
def handler(event, context):
    if "here" in event:
        pathlib.Path(event["here"]).touch()
        while not pathlib.Path(event["until"]).exists():
            time.sleep(0.01)
    return ["%s", os.getpid()]
"""


def package(word: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("handler.py"), CODE % word)  # the same bytes at any time
    return buffer.getvalue()


class Function:
    """A function that answers with a word and its process; each call of the API has the function's name."""

    def __init__(self, server, name: str):
        self.server = server
        self.name = name
        self.client = server.client("lambda")
        self.client.create_function(
            FunctionName=name,
            Role="arn:aws:iam::123456789012:role/lambda",
            Runtime="python3.13",
            Handler="handler.handler",
            Code={"ZipFile": package("one")},
            Timeout=300,
        )

    def call(self, operation: str, **arguments) -> dict:
        return getattr(self.client, operation)(FunctionName=self.name, **arguments)

    def invoke(self, event: object = None, **arguments) -> list:
        answer = self.call("invoke", Payload=json.dumps(event or {}), **arguments)
        return json.loads(answer["Payload"].read())

    def publish(self) -> str:
        return self.call("publish_version")["Version"]

    def update(self, word: str) -> None:
        self.call("update_function_code", ZipFile=package(word))


@pytest.fixture
def function(localaws, request) -> Iterator[Function]:
    made = Function(localaws, re.sub(r"\W+", "-", request.node.name)[-60:].strip("-"))
    yield made
    made.client.delete_function(FunctionName=made.name)


def test_an_update_reaches_the_next_request_and_ends_the_old_environment(function, wait_until):
    word, pid = function.invoke()
    assert word == "one"
    function.update("two")
    assert function.invoke()[0] == "two"
    wait_until(lambda: start_time(pid) is None, "the old environment has ended")


def test_a_request_that_runs_during_an_update_is_finished(function, tmp_path, wait_until):
    here, until = tmp_path / "here", tmp_path / "until"
    results: list = []
    event = {"here": str(here), "until": str(until)}
    thread = threading.Thread(target=lambda: results.append(function.invoke(event)))
    thread.start()
    wait_until(here.exists, "the request is being served")
    function.update("two")
    assert function.invoke()[0] == "two"
    until.touch()
    thread.join()
    word, pid = results[0]
    assert word == "one"
    wait_until(lambda: start_time(pid) is None, "the old environment has ended")


def test_a_version_keeps_its_code_and_configuration(function):
    function.call("update_function_configuration", Environment={"Variables": {"AB": "1"}}, MemorySize=256)
    assert function.publish() == "1"
    function.update("two")
    function.call("update_function_configuration", Environment={"Variables": {}}, MemorySize=512)
    assert function.invoke(Qualifier="1")[0] == "one"
    version = function.call("get_function_configuration", Qualifier="1")
    assert version["MemorySize"] == 256
    assert version["Environment"]["Variables"] == {"AB": "1"}
    assert "Environment" not in function.call("get_function_configuration")


def test_the_same_code_and_configuration_is_the_same_version(function):
    assert function.publish() == function.publish() == "1"
    function.update("one")
    assert function.publish() == "1"
    function.update("two")
    assert function.publish() == "2"
    function.call("update_function_configuration", Timeout=31)
    assert function.publish() == "3"


def test_no_version_number_comes_twice(function):
    function.publish()
    function.update("two")
    function.publish()
    function.call("delete_function", Qualifier="2")
    function.update("three")
    assert function.publish() == "3"
    assert [each["Version"] for each in function.call("list_versions_by_function")["Versions"]] == ["$LATEST", "1", "3"]


def test_a_version_in_use_is_not_deleted(function):
    function.publish()
    function.call("create_alias", Name="live", FunctionVersion="1")
    code, message = refusal(function.call, "delete_function", Qualifier="1")
    assert (code, "live" in message) == ("ResourceConflictException", True)
    function.call("delete_alias", Name="live")
    function.call("delete_function", Qualifier="1")


def test_an_alias_follows_what_it_points_to_and_routes_by_weight(function):
    function.publish()
    function.update("two")
    function.publish()
    function.call("create_alias", Name="live", FunctionVersion="1")
    assert function.invoke(Qualifier="live")[0] == "one"
    function.call("update_alias", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}})
    assert function.invoke(Qualifier="live")[0] == "two"
    function.call("update_alias", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.0}})
    assert function.invoke(Qualifier="live")[0] == "one"
    function.call("update_alias", Name="live", FunctionVersion="2", RoutingConfig={})
    assert function.invoke(Qualifier="live")[0] == "two"


def test_weights_are_kept_to_exactly():
    """Of a thousand points spread evenly, each version gets its share: none is lost to rounding, none counted twice."""
    weights = {"2": 0.25, "3": 0.1}
    drawn = Counter(route("1", weights, (number + 0.5) / 1000) for number in range(1000))
    assert drawn == {"1": 650, "2": 250, "3": 100}
    assert {route("1", {"2": 1.0}, number / 1000) for number in range(1000)} == {"2"}
    assert {route("1", {"2": 0.0}, number / 1000) for number in range(1000)} == {"1"}


def test_with_weights_each_version_has_its_numbers(function):
    function.publish()
    function.update("two")
    function.publish()
    function.call("create_alias", Name="live", FunctionVersion="1")
    function.call("update_alias", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    served = Counter(function.invoke(Qualifier="live")[0] for _ in range(20))
    live = {"Resource": f"{function.name}:live"}
    assert total(function, "Invocations", **live) == 20
    for version, word in (("1", "one"), ("2", "two")):
        assert total(function, "Invocations", **live, ExecutedVersion=version) == (served[word] or None)


def test_a_failure_is_counted_as_an_error(function):
    function.call("update_function_configuration", Handler="handler.nothing")
    function.invoke()
    assert totals(function, "Invocations", "Errors") == {"Invocations": 1, "Errors": 1}


def test_a_reservation_of_nothing_switches_the_function_off(function):
    function.call("put_function_concurrency", ReservedConcurrentExecutions=0)
    assert function.call("get_function")["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    assert function.call("get_function_concurrency")["ReservedConcurrentExecutions"] == 0
    assert refusal(function.invoke)[0] == "TooManyRequestsException"
    function.call("delete_function_concurrency")
    assert "Concurrency" not in function.call("get_function")
    assert function.invoke()[0] == "one"


def test_each_qualifier_has_a_policy_of_its_own(function):
    function.publish()
    function.call("create_alias", Name="live", FunctionVersion="1")
    grant = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    function.call("add_permission", **grant, SourceArn="arn:aws:s3:::b", SourceAccount="123456789012", Qualifier="live")
    assert refusal(function.call, "get_policy")[0] == "ResourceNotFoundException"
    (statement,) = json.loads(function.call("get_policy", Qualifier="live")["Policy"])["Statement"]
    assert statement == {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}:live",
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": "123456789012"},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
        },
    }
    assert refusal(function.call, "add_permission", **grant, Qualifier="live")[0] == "ResourceConflictException"
    function.call("remove_permission", StatementId="s", Qualifier="live")
    assert (
        refusal(function.call, "remove_permission", StatementId="s", Qualifier="live")[0] == "ResourceNotFoundException"
    )


@pytest.mark.parametrize(
    ("action", "condition", "written"),
    [
        (
            "InvokeFunctionUrl",
            {"FunctionUrlAuthType": "NONE"},
            {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        ),
        ("InvokeFunction", {"InvokedViaFunctionUrl": True}, {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}),
    ],
)
def test_what_opens_a_url_is_written_as_a_condition(function, action, condition, written):
    function.call("add_permission", StatementId="s", Action=f"lambda:{action}", Principal="*", **condition)
    (statement,) = json.loads(function.call("get_policy")["Policy"])["Statement"]
    assert (statement["Principal"], statement["Condition"]) == ("*", written)


@pytest.mark.parametrize(
    ("action", "condition"),
    [("InvokeFunction", {"FunctionUrlAuthType": "NONE"}), ("InvokeFunctionUrl", {"InvokedViaFunctionUrl": True})],
)
def test_a_condition_belongs_to_its_action(function, action, condition):
    arguments = {"StatementId": "s", "Action": f"lambda:{action}", "Principal": "*", **condition}
    assert refusal(function.call, "add_permission", **arguments)[0] == "InvalidParameterValueException"


def test_a_stack_adds_its_permission_and_takes_it_away_again(function, localaws):
    function.publish()
    alias = function.call("create_alias", Name="live", FunctionVersion="1")["AliasArn"]
    stacks = localaws.client("cloudformation")

    def template(principal: str) -> str:
        properties = {
            "FunctionName": alias,
            "Action": "lambda:InvokeFunction",
            "Principal": principal,
            "InvokedViaFunctionUrl": True,
        }
        return json.dumps({"Resources": {"Open": {"Type": "AWS::Lambda::Permission", "Properties": properties}}})

    def statement() -> dict:
        (only,) = json.loads(function.call("get_policy", Qualifier="live")["Policy"])["Statement"]
        return only

    stacks.create_stack(StackName=function.name, TemplateBody=template("*"))
    assert statement()["Principal"] == "*"
    assert statement()["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    assert statement()["Resource"] == alias
    stacks.update_stack(StackName=function.name, TemplateBody=template("210987654321"))
    assert statement()["Principal"] == {"AWS": "arn:aws:iam::210987654321:root"}
    stacks.delete_stack(StackName=function.name)
    assert refusal(function.call, "get_policy", Qualifier="live")[0] == "ResourceNotFoundException"
