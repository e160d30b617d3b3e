"""Lambda functions that run: what they see, how they fail, what their log says."""

import base64
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ClientError

from localaws.supervisor import start_time

CODE = """
import json, os, sys, time, pathlib

print("imported")

def handler(event, context):
    print("event", json.dumps(event))
    match event.get("do"):
        case "raise": raise ValueError("no such breed")
        case "exit": os._exit(event["code"])
        case "sleep": time.sleep(event["seconds"])
        case "big": return "x" * 7_000_000
        case "odd": return {1, 2}
        case "wait":
            pathlib.Path(event["here"]).touch()
            while not pathlib.Path(event["until"]).exists():
                time.sleep(0.01)
    return {
        "pid": os.getpid(), "environment": dict(os.environ), "version": context.function_version,
        "arn": context.invoked_function_arn, "request_id": context.aws_request_id,
        "left": context.get_remaining_time_in_millis(), "client": getattr(context.client_context, "custom", None),
        "path": sys.path, "cwd": os.getcwd(),
    }
"""


def package(code: str = CODE) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", code)
    return buffer.getvalue()


class Function:
    """A function on a local AWS."""

    def __init__(self, server, name: str, role: str):
        self.server = server
        self.name = name
        self.role = role
        self.client = server.client("lambda")

    def create(self, code: str = CODE, **settings) -> "Function":
        given = {"Runtime": "python3.13", "Handler": "handler.handler", "Timeout": 300, **settings}
        self.client.create_function(FunctionName=self.name, Role=self.role, Code={"ZipFile": package(code)}, **given)
        return self

    def invoke(self, event: object = None, **arguments) -> dict:
        answer = self.client.invoke(FunctionName=self.name, Payload=json.dumps(event or {}), **arguments)
        return {**answer, "Payload": answer["Payload"].read()}

    def result(self, event: object = None, **arguments):
        answer = self.invoke(event, **arguments)
        assert "FunctionError" not in answer, answer["Payload"]
        return json.loads(answer["Payload"])

    def failure(self, event: object, **arguments) -> dict:
        answer = self.invoke(event, **arguments)
        assert answer["FunctionError"] == "Unhandled"
        return json.loads(answer["Payload"])

    def log(self) -> dict[str, list[str]]:
        """The messages of each stream of the function's log group."""
        logs, group = self.server.client("logs"), f"/aws/lambda/{self.name}"
        streams = [stream["logStreamName"] for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]]
        return {
            stream: [
                event["message"]
                for event in logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
            ]
            for stream in streams
        }

    def lines(self) -> list[str]:
        return [line for lines in self.log().values() for line in lines]


def role(server) -> str:
    """A role that every server of the tests has."""
    return server.client("iam").get_role(RoleName="lambda")["Role"]["Arn"]


@pytest.fixture
def function(localaws, request) -> Iterator[Function]:
    name = re.sub(r"\W+", "-", request.node.name)[-60:].strip("-")
    made = Function(localaws, name, role(localaws))
    yield made
    made.client.delete_function(FunctionName=name)


def gone(pid: int) -> bool:
    return start_time(pid) is None


def in_background(call: Callable) -> tuple[threading.Thread, list]:
    results: list = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    return thread, results


def test_a_function_sees_the_environment_that_aws_gives_it_and_nothing_of_the_caller(function):
    function.create(MemorySize=256, Environment={"Variables": {"BREEDS": "20"}})
    seen = function.result()
    environment = seen["environment"]
    assert environment["BREEDS"] == "20"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == function.name
    assert environment["AWS_LAMBDA_FUNCTION_VERSION"] == seen["version"] == "$LATEST"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{function.name}"
    assert environment["AWS_LAMBDA_LOG_STREAM_NAME"] in function.log()
    assert environment["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_ENDPOINT_URL"] == function.server.url
    assert environment["TZ"] == ":UTC"
    assert environment["LAMBDA_TASK_ROOT"] == seen["cwd"]
    assert "PYTEST_CURRENT_TEST" not in environment
    assert "VIRTUAL_ENV" not in environment
    assert seen["left"] <= 300_000


def test_the_function_s_own_code_comes_first(function):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package_file:
        package_file.writestr("handler.py", "import colorsys\ndef handler(e, c): return colorsys.__file__")
        package_file.writestr("colorsys.py", "")
    function.create()
    function.client.update_function_code(FunctionName=function.name, ZipFile=archive.getvalue())
    assert str(function.server.home) in function.result()


def test_an_environment_is_used_again(function):
    function.create()
    assert function.result()["pid"] == function.result()["pid"]
    assert len(function.log()) == 1


def test_requests_at_once_have_an_environment_each(function, tmp_path, wait_until):
    function.create()
    here, until = tmp_path / "here", tmp_path / "until"
    thread, results = in_background(lambda: function.result({"do": "wait", "here": str(here), "until": str(until)}))
    wait_until(here.exists, "the first request is being served")
    other = function.result()["pid"]
    until.touch()
    thread.join()
    assert results[0]["pid"] != other


@pytest.mark.parametrize("qualified", ["name", "arn", "version", "version in the name", "alias", "alias in the arn"])
def test_a_function_is_invoked_by_any_of_its_names(function, qualified):
    function.create(Publish=True)
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}"
    function.client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    name, qualifier, expected_arn, version = {
        "name": (function.name, None, arn, "$LATEST"),
        "arn": (arn, None, arn, "$LATEST"),
        "version": (function.name, "1", f"{arn}:1", "1"),
        "version in the name": (f"{function.name}:1", None, f"{arn}:1", "1"),
        "alias": (function.name, "live", f"{arn}:live", "1"),
        "alias in the arn": (f"{arn}:live", None, f"{arn}:live", "1"),
    }[qualified]
    arguments = {"Qualifier": qualifier} if qualifier else {}
    answer = function.client.invoke(FunctionName=name, Payload=b"{}", **arguments)
    seen = json.loads(answer["Payload"].read())
    assert (seen["arn"], seen["version"], answer["ExecutedVersion"]) == (expected_arn, version, version)


def test_the_client_context_reaches_the_function(function):
    function.create()
    context = base64.b64encode(json.dumps({"custom": {"a": "b"}}).encode()).decode()
    assert function.result(ClientContext=context)["client"] == {"a": "b"}


def test_an_exception_is_the_answer_and_the_environment_lives_on(function):
    function.create()
    pid = function.result()["pid"]
    failure = function.failure({"do": "raise"})
    assert (failure["errorType"], failure["errorMessage"]) == ("ValueError", "no such breed")
    assert "handler.py" in failure["stackTrace"][0]
    assert function.result()["pid"] == pid
    assert any(line.startswith("[ERROR] ValueError: no such breed\nTraceback") for line in function.lines())


def test_a_function_out_of_time_is_ended(function, wait_until):
    function.create(Timeout=4)
    pid = function.result()["pid"]
    failure = function.failure({"do": "sleep", "seconds": 60})
    assert failure["errorType"] == "Sandbox.Timedout"
    assert failure["errorMessage"].endswith("Task timed out after 4.00 seconds")
    assert gone(pid)
    assert function.result()["pid"] != pid
    lines = function.lines()
    assert any(line.endswith("Task timed out after 4.00 seconds") for line in lines)
    assert any("Status: timeout" in line for line in lines)


@pytest.mark.parametrize(("code", "reason"), [(3, "exit status 3"), (0, "exited without providing a reason")])
def test_a_process_that_ends_is_reported_and_replaced(function, code, reason):
    function.create()
    failure = function.failure({"do": "exit", "code": code})
    assert failure["errorType"] == "Runtime.ExitError"
    assert reason in failure["errorMessage"]
    assert function.result()["version"] == "$LATEST"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import nothing_of_that_name", "Runtime.ImportModuleError"),
        ("def handler(:", "Runtime.UserCodeSyntaxError"),
        ("x = 1", "Runtime.HandlerNotFound"),
        ("1 / 0", "ZeroDivisionError"),
        ("import os; os._exit(7)", "Runtime.ExitError"),
    ],
)
def test_a_function_that_cannot_start_says_why(function, code, error):
    function.create(code)
    assert function.failure({})["errorType"] == error
    (reported,) = [line for line in function.lines() if line.startswith("INIT_REPORT")]
    assert reported.endswith(f"\tPhase: init\tStatus: error\tError Type: {error}")


def test_a_result_that_json_cannot_hold_is_an_error(function):
    function.create()
    assert function.failure({"do": "odd"})["errorType"] == "Runtime.MarshalError"


def test_a_result_over_six_megabytes_is_an_error(function):
    function.create()
    assert function.failure({"do": "big"})["errorType"] == "Function.ResponseSizeTooLarge"


def test_an_event_over_six_megabytes_is_refused(function):
    function.create()
    with pytest.raises(ClientError) as caught:
        function.invoke("x" * (6 * 1024 * 1024))
    assert caught.value.response["Error"]["Code"] == "RequestTooLargeException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_an_event_that_is_no_json_is_refused(function):
    function.create()
    with pytest.raises(ClientError, match="Could not parse request body"):
        function.client.invoke(FunctionName=function.name, Payload=b"{")


def test_the_log_has_the_lines_of_each_request(function):
    function.create()
    request_id = function.result({"breed": "beagle"})["request_id"]
    ((stream, lines),) = function.log().items()
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    assert lines[0].startswith("INIT_START Runtime Version: python")
    assert lines[1:5] == [
        "imported",
        f"START RequestId: {request_id} Version: $LATEST",
        'event {"breed": "beagle"}',
        f"END RequestId: {request_id}",
    ]
    assert re.match(
        rf"REPORT RequestId: {request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB"
        r"(\tMax Memory Used: \d+ MB)?\tInit Duration: [\d.]+ ms$",
        lines[5],
    )


def test_the_tail_of_the_log_comes_with_the_answer(function):
    function.create()
    answer = function.invoke({"breed": "pug"}, LogType="Tail")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert 'event {"breed": "pug"}' in tail
    assert "REPORT RequestId" in tail
    assert "LogResult" not in function.invoke()


def test_an_event_invocation_runs_later_and_a_dry_run_does_not(function, wait_until):
    function.create()
    assert function.invoke({"n": 1}, InvocationType="DryRun")["StatusCode"] == 204
    answer = function.invoke({"n": 2}, InvocationType="Event")
    assert (answer["StatusCode"], answer["Payload"]) == (202, b"")
    logs = function.server.client("logs")

    def ran() -> bool:
        try:
            return any('event {"n": 2}' in lines for lines in function.log().values())
        except logs.exceptions.ResourceNotFoundException:
            return False

    wait_until(ran, "the event is handled")
    assert not any('event {"n": 1}' in lines for lines in function.log().values())


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "AWS_REGION"),
        ({"Runtime": "nodejs22.x"}, "Python"),
        ({"PackageType": "Image", "Runtime": "python3.13"}, "zip"),
    ],
)
def test_what_cannot_run_here_is_refused_at_once(localaws, settings, word):
    with pytest.raises(ClientError, match=word):
        Function(localaws, "refused", role(localaws)).create(**settings)


def test_an_archive_that_is_none_is_refused(localaws):
    with pytest.raises(ClientError, match="Could not unzip"):
        localaws.client("lambda").create_function(
            FunctionName="refused",
            Role=role(localaws),
            Runtime="python3.13",
            Handler="a.b",
            Code={"ZipFile": b"no archive"},
        )


def test_code_comes_from_s3_too(function):
    s3 = function.server.client("s3")
    s3.create_bucket(Bucket="lambda-code")
    s3.put_object(Bucket="lambda-code", Key="f.zip", Body=package())
    function.create()
    function.client.update_function_code(FunctionName=function.name, S3Bucket="lambda-code", S3Key="f.zip")
    assert function.result()["version"] == "$LATEST"
    kept = function.client.get_function_configuration(FunctionName=function.name)["CodeSha256"]
    with pytest.raises(ClientError, match="key does not exist"):
        function.client.update_function_code(FunctionName=function.name, S3Bucket="lambda-code", S3Key="no.zip")
    assert function.client.get_function_configuration(FunctionName=function.name)["CodeSha256"] == kept


def test_functions_survive_a_restart_and_their_processes_do_not(own_server):
    own_server.start()
    function = Function(own_server, "keeps", role(own_server)).create(Publish=True)
    function.client.create_alias(FunctionName="keeps", Name="live", FunctionVersion="1")
    url = function.client.create_function_url_config(FunctionName="keeps", Qualifier="live", AuthType="AWS_IAM")
    pid = function.result()["pid"]
    own_server.stop()
    assert gone(pid)
    own_server.start()
    assert function.result(Qualifier="live")["version"] == "1"
    again = function.client.get_function_url_config(FunctionName="keeps", Qualifier="live")
    assert again["FunctionUrl"] == url["FunctionUrl"]
    pid = function.result()["pid"]
    own_server.kill()
    own_server.start()
    assert gone(pid)
    assert function.result(Qualifier="live")["version"] == "1"


def test_a_deleted_function_leaves_nothing(localaws, wait_until):
    function = Function(localaws, "leaves-nothing", role(localaws)).create()
    pid = function.result()["pid"]
    function.client.delete_function(FunctionName=function.name)
    wait_until(lambda: gone(pid), "the environment has ended")
    assert not (localaws.home / "lambda" / "us-east-1" / function.name).exists()
    with pytest.raises(ClientError, match="Function not found"):
        function.invoke()


def test_a_function_in_subnets_names_their_vpc(function):
    ec2 = function.server.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.create_security_group(GroupName="of-a-function", Description="x", VpcId=subnet["VpcId"])["GroupId"]
    function.create(VpcConfig={"SubnetIds": [subnet["SubnetId"]], "SecurityGroupIds": [group]})
    described = function.client.get_function_configuration(FunctionName=function.name)["VpcConfig"]
    assert described["VpcId"] == subnet["VpcId"]
    assert described["SubnetIds"] == [subnet["SubnetId"]]
