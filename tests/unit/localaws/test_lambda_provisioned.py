"""Concurrency, counted: reserved, provisioned, spilled over and throttled, to the request."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws.supervisor import start_time
from tests.unit.localaws.lambda_helpers import CODE, Burst, Function, Gate, refusal
from tests.unit.localaws.metric_helpers import total, totals

PROVISIONED, ON_DEMAND = "provisioned-concurrency", "on-demand"


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.close()


@pytest.fixture
def function(localaws, request) -> Iterator[Function]:
    made = Function(localaws, re.sub(r"\W+", "-", request.node.name)[-60:].strip("-")).live()
    yield made
    made.client.delete_function(FunctionName=made.name)


def test_exactly_as_many_as_reserved_are_let_in_and_the_rest_is_told_so(function, gate, wait_until):
    function.call("put_function_concurrency", ReservedConcurrentExecutions=3)
    burst = Burst(function, gate, 8)
    entered, refused = burst.settle(wait_until)
    assert len({each["pid"] for each in entered}) == len(entered) == 3, "one request an environment"
    assert len(refused) == 5
    for answer in refused:
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-errortype"] == "TooManyRequestsException"
        assert answer["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
        assert (answer["Reason"], answer["Type"]) == ("ReservedFunctionConcurrentInvocationLimitExceeded", "User")
    gate.open()
    assert len(burst.results()) == 3
    counted = totals(function, "Invocations", "Throttles", "Errors", Resource=function.name)
    assert counted == {"Invocations": 3, "Throttles": 5, "Errors": 0}
    assert total(function, "ConcurrentExecutions", "Maximum", Resource=function.name) == 3


def test_environments_are_there_before_the_first_request(function, wait_until):
    answer = function.provision(2)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["Status"] == "IN_PROGRESS"
    ready = function.ready(wait_until)
    numbers = {name.partition("Prov")[0]: value for name, value in ready.items() if name.endswith("Executions")}
    assert numbers == {"Requested": 2, "Available": 2, "Allocated": 2}
    assert ready["Status"] == "READY"
    waiting = function.pids()
    assert len(waiting) == 2
    served = function.invoke(Qualifier="live")
    assert served["pid"] in waiting
    assert (served["type"], served["version"]) == (PROVISIONED, "1")
    (listed,) = function.call("list_provisioned_concurrency_configs")["ProvisionedConcurrencyConfigs"]
    assert listed["FunctionArn"].endswith(f":{function.name}:live")


def test_their_start_is_logged_and_no_request_reports_it(function, wait_until):
    function.provision(1)
    function.ready(wait_until)
    function.invoke(Qualifier="live")
    logs, group = function.server.client("logs"), f"/aws/lambda/{function.name}"
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
    lines = [event["message"] for event in events["events"]]
    assert lines[0].startswith("INIT_START")
    assert lines[1] == "imported"
    assert re.fullmatch(r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init", lines[2])
    assert lines[3].startswith("START")
    assert "Init Duration" not in lines[-1]


def test_provisioned_slots_fill_first_then_on_demand_then_nothing(function, gate, wait_until):
    function.call("put_function_concurrency", ReservedConcurrentExecutions=5)
    function.provision(2)
    function.ready(wait_until)
    burst = Burst(function, gate, 9, Qualifier="live")
    entered, refused = burst.settle(wait_until)
    assert Counter(each["type"] for each in entered) == {PROVISIONED: 2, ON_DEMAND: 3}
    assert len(refused) == 4
    gate.open()
    burst.results()
    names = ("Invocations", "Throttles", "ProvisionedConcurrencyInvocations")
    live = {"Resource": f"{function.name}:live"}
    counted = totals(function, *names, "ProvisionedConcurrencySpilloverInvocations", **live)
    assert list(counted.values()) == [5, 4, 2, 3]
    assert total(function, "ProvisionedConcurrencyUtilization", "Maximum", **live) == 1.0
    assert total(function, "ProvisionedConcurrentExecutions", "Maximum", **live) == 2
    assert totals(function, *names) == dict(zip(names, [5, 4, 2], strict=True)), "and of the function as a whole"


def test_what_is_provisioned_is_taken_out_of_what_is_reserved(function, gate, wait_until):
    """Requests to $LATEST may not use it, even while it is idle."""
    function.call("put_function_concurrency", ReservedConcurrentExecutions=3)
    function.provision(2)
    function.ready(wait_until)
    burst = Burst(function, gate, 4)
    entered, refused = burst.settle(wait_until)
    assert ([each["type"] for each in entered], len(refused)) == ([ON_DEMAND], 3)
    more = Burst(function, gate, 3, Qualifier="live")
    entered, refused = more.settle(wait_until)
    assert ([each["type"] for each in entered], len(refused)) == ([PROVISIONED] * 2, 1)
    gate.open()
    burst.results(), more.results()


def test_another_number_starts_and_ends_environments(function, gate, wait_until):
    function.provision(1)
    function.ready(wait_until)
    (first,) = function.pids()
    function.provision(3)
    assert function.ready(wait_until)["AvailableProvisionedConcurrentExecutions"] == 3
    assert first in function.pids()
    assert len(function.pids()) == 3
    burst = Burst(function, gate, 2, Qualifier="live")
    busy = {each["pid"] for each in burst.settle(wait_until)[0]}
    function.provision(1)
    wait_until(lambda: set(function.pids()) == busy, "the idle one has ended, those that serve have not")
    gate.open()
    assert {each["pid"] for each in burst.results()} == busy, "a request is never cut short"
    wait_until(lambda: len(function.pids()) == 1, "one is left")
    function.call("delete_provisioned_concurrency_config", Qualifier="live")
    wait_until(lambda: not function.pids(), "none is left")
    assert refusal(function.provisioned)[0] == "ProvisionedConcurrencyConfigNotFoundException"


def test_an_environment_that_ends_is_replaced(function, wait_until):
    function.provision(1)
    function.ready(wait_until)
    (first,) = function.pids()
    function.call("invoke", Qualifier="live", Payload='{"exit": true}')
    wait_until(lambda: function.pids() not in ([], [first]), "another one is started")
    assert function.ready(wait_until)["Status"] == "READY"
    served = function.invoke(Qualifier="live")
    assert served["type"] == PROVISIONED
    assert served["pid"] != first


def test_a_function_that_cannot_start_fails_with_the_reason(function, wait_until):
    function.update("raise RuntimeError('no model here')")
    function.provision(2, qualifier="2")
    failed = function.ready(wait_until, qualifier="2")
    assert failed["Status"] == "FAILED"
    assert failed["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE: RuntimeError: no model here"
    assert failed["AvailableProvisionedConcurrentExecutions"] == 0
    wait_until(lambda: not function.pids(), "nothing of it is left running")


def test_an_alias_serves_its_old_version_until_the_new_one_is_ready(function, gate, wait_until):
    function.provision(2)
    function.ready(wait_until)
    old = set(function.pids())
    # The new version's start waits at the gate, and with it the alias.
    waiting = (
        f"import socket\nlink = socket.create_connection(('127.0.0.1', {gate.port}))\n"
        "link.sendall(b'{}\\n')\nlink.recv(1)\n"
    )
    function.update(waiting + CODE % "two")
    function.call("update_alias", Name="live", FunctionVersion="2")
    wait_until(lambda: len(gate.entered) == 2, "both environments of the new version are starting")
    alias = function.call("get_alias", Name="live")
    assert alias["RoutingConfig"]["AdditionalVersionWeights"] == {"1": 1.0}
    assert function.provisioned()["Status"] == "IN_PROGRESS"
    served = function.invoke(Qualifier="live")
    assert (served["word"], served["type"]) == ("one", PROVISIONED)
    assert "weights" in refusal(function.provision, 3)[1]
    gate.open()
    function.ready(wait_until)
    wait_until(lambda: "RoutingConfig" not in function.call("get_alias", Name="live"), "the alias has moved")
    served = function.invoke(Qualifier="live")
    assert (served["word"], served["type"], served["version"]) == ("two", PROVISIONED, "2")
    wait_until(lambda: not old & set(function.pids()), "the old version's environments have ended")
    assert len(function.pids()) == 2


def test_a_new_version_that_cannot_start_leaves_the_old_one_serving(function, wait_until):
    function.provision(1)
    function.ready(wait_until)
    function.update("1 / 0")
    function.call("update_alias", Name="live", FunctionVersion="2")
    assert "ZeroDivisionError" in function.ready(wait_until)["StatusReason"]
    assert function.invoke(Qualifier="live")["type"] == PROVISIONED
    function.call("update_alias", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {}})
    assert function.ready(wait_until)["Status"] == "READY"
    assert "RoutingConfig" not in function.call("get_alias", Name="live")


def version_of(pid: int) -> str:
    """Which version of its function a process runs."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    (found,) = [each for each in variables if each.startswith(b"AWS_LAMBDA_FUNCTION_VERSION=")]
    return found.partition(b"=")[2].decode()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system does not show what a process runs")
def test_an_alias_with_weights_shares_its_environments_out(function, wait_until):
    function.update(CODE % "two")
    function.provision(4)
    function.ready(wait_until)
    routing = {"AdditionalVersionWeights": {"2": 0.25}}
    function.call("update_alias", Name="live", RoutingConfig=routing)
    function.ready(wait_until)
    wait_until(lambda: len(function.pids()) == 4, "the one too many has ended")
    assert Counter(version_of(pid) for pid in function.pids()) == {"1": 3, "2": 1}
    served = [function.invoke(Qualifier="live") for _ in range(10)]
    assert {each["type"] for each in served} == {PROVISIONED}
    assert "weights" in refusal(function.provision, 1)[1]
    moving = {"Name": "live", "FunctionVersion": "2", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}
    assert "Invalid alias configuration" in refusal(function.call, "update_alias", **moving)[1]


def test_the_limits_are_those_of_aws(function):
    function.update(CODE % "two")

    def put(qualifier: str, count: int) -> tuple[str, str]:
        return refusal(function.provision, count, qualifier)

    assert "unpublished" in put("$LATEST", 1)[1]
    assert put("nowhere", 1)[0] == "ResourceNotFoundException"
    function.call("put_function_concurrency", ReservedConcurrentExecutions=3)
    assert "should not be greater than the reservedConcurrentExecution" in put("live", 4)[1]
    function.provision(2)
    assert "reservedConcurrentExecution" in put("2", 2)[1]
    assert "pointed" in put("1", 1)[1]
    assert (
        "provisioned concurrency [2]"
        in refusal(function.call, "put_function_concurrency", ReservedConcurrentExecutions=1)[1]
    )
    function.provision(1, "2")
    assert "already Provisioned version" in refusal(function.call, "update_alias", Name="live", FunctionVersion="2")[1]


def test_environments_are_started_again_with_the_server(own_server, wait_until):
    function = Function(own_server.start(), "kept").live()
    function.provision(2)
    function.ready(wait_until)
    before = function.pids()
    own_server.stop()
    assert [start_time(pid) for pid in before] == [None, None]
    own_server.start()
    assert function.ready(wait_until)["AvailableProvisionedConcurrentExecutions"] == 2
    served = function.invoke(Qualifier="live")
    assert served["type"] == PROVISIONED
    assert served["pid"] not in before
