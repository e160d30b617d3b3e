"""Commands on instances: the process decides the status, the output is there while it runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

FINAL = ("Success", "Failed", "TimedOut", "Cancelled")
GROUP = "/test/ssm"


class Target:
    """A running instance, and commands to it."""

    def __init__(self, server, wait_until: Callable):
        self.server = server
        self.wait_until = wait_until
        self.ec2 = server.client("ec2")
        self.client = server.client("ssm")
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "trainer"}]}]
        made = self.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=tags)
        self.id = made["Instances"][0]["InstanceId"]
        self.root: Path = server.home / "instances" / self.id / "root"

    def state(self) -> str:
        return self.ec2.describe_instances(InstanceIds=[self.id])["Reservations"][0]["Instances"][0]["State"]["Name"]

    def send(self, *commands: str, **arguments) -> str:
        """Send a command with output to CloudWatch; gives its identifier."""
        parameters = {"commands": list(commands), **arguments.pop("parameters", {})}
        output = {"CloudWatchOutputEnabled": True, "CloudWatchLogGroupName": GROUP}
        arguments.setdefault("InstanceIds", [self.id])
        arguments.setdefault("DocumentName", "AWS-RunShellScript")
        made = self.client.send_command(Parameters=parameters, CloudWatchOutputConfig=output, **arguments)
        return made["Command"]["CommandId"]

    def invocation(self, command: str) -> dict:
        return self.client.get_command_invocation(CommandId=command, InstanceId=self.id)

    def end(self, command: str) -> dict:
        """Wait for a command's end and give its invocation."""
        self.wait_until(lambda: self.invocation(command)["Status"] in FINAL, "the command has ended")
        return self.invocation(command)

    def run(self, *commands: str, **arguments) -> dict:
        return self.end(self.send(*commands, **arguments))

    def log(self, command: str, name: str = "stdout") -> list[str]:
        logs = self.server.client("logs")
        stream = f"{command}/{self.id}/aws-runShellScript/{name}"
        try:
            events = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]


@pytest.fixture
def target(localaws, wait_until) -> Iterator[Target]:
    made = Target(localaws, wait_until)
    wait_until(lambda: made.state() == "running", "the instance runs")
    yield made
    made.ec2.terminate_instances(InstanceIds=[made.id])


def test_a_command_s_output_and_status_are_the_process_s_own(target):
    ended = target.run("echo out", "echo err >&2")
    assert (ended["Status"], ended["StatusDetails"], ended["ResponseCode"]) == ("Success", "Success", 0)
    assert (ended["StandardOutputContent"], ended["StandardErrorContent"]) == ("out\n", "err\n")
    assert ended["ExecutionElapsedTime"].startswith("PT")
    failed = target.run("echo before; exit 3")
    assert (failed["Status"], failed["ResponseCode"], failed["StandardOutputContent"]) == ("Failed", 3, "before\n")
    assert failed["StandardErrorContent"] == "failed to run commands: exit status 3"


def test_a_command_ends_as_the_agent_says(target):
    for line, status, code, error in (
        ("kill -9 $$", "Failed", -1, "failed to run commands: signal: killed"),
        ("exit 137", "TimedOut", 137, ""),  # the agent takes it for its own doing
        ("exit 194", "Failed", 194, "reboot"),
    ):
        ended = target.run(line)
        assert (ended["Status"], ended["ResponseCode"]) == (status, code)
        assert error in ended["StandardErrorContent"]


def test_a_command_has_the_agents_variables(target):
    said = target.run("env | grep SSM_ | sort")["StandardOutputContent"].split()
    names = ["INSTANCE_ID", "PLATFORM_NAME", "PLATFORM_VERSION", "REGION_NAME"]
    assert [each.partition("=")[0] for each in said] == [*(f"AWS_SSM_{name}" for name in names), "SSM_COMMAND_ID"]
    assert f"AWS_SSM_INSTANCE_ID={target.id}" in said


def test_what_holds_the_output_belongs_to_the_command_and_the_rest_lives_on(target):
    waits = "while [ ! -e go-on ]; do sleep 0.05; done"
    command = target.send(f"echo first; ({waits}; echo late) &")
    target.wait_until(lambda: target.log(command) == ["first"], "the first line is in the log")
    assert target.invocation(command)["Status"] == "InProgress", "a process in the background holds its output"
    (target.root / "go-on").touch()
    assert target.end(command)["StandardOutputContent"] == "first\nlate\n"
    started = target.run("sleep 600 > /dev/null 2>&1 & echo $!")
    assert started["Status"] == "Success"
    child = Path(f"/proc/{started['StandardOutputContent'].strip()}")
    assert child.exists(), "it goes on after the command"
    target.ec2.stop_instances(InstanceIds=[target.id])
    target.wait_until(lambda: target.state() == "stopped", "the instance is stopped")
    assert not child.exists(), "it ends with its instance"


def test_a_command_runs_in_the_instance_with_its_shutdown(target):
    (target.root / "opt").mkdir(exist_ok=True)
    parameters = {"workingDirectory": ["/opt"]}
    ended = target.run('echo "$PWD $HOME"; command -v shutdown; echo "$PYTEST_CURRENT_TEST"', parameters=parameters)
    assert ended["StandardOutputContent"] == f"{target.root}/opt {target.root}/root\n{target.root}/sbin/shutdown\n\n"


@pytest.mark.parametrize("directory", ["/nowhere", "../../.."])
def test_a_working_directory_that_is_not_in_the_instance_fails(target, directory):
    ended = target.run("echo no", parameters={"workingDirectory": [directory]})
    assert ended["Status"] == "Failed"
    assert "failed to run commands" in ended["StandardErrorContent"]


def test_a_shebang_chooses_the_interpreter(target):
    assert target.run("#!/usr/bin/env python3", "print(6 * 7)")["StandardOutputContent"] == "42\n"


def test_output_is_in_the_log_while_the_command_runs(target):
    command = target.send("echo begun; while [ ! -e go-on ]; do sleep 0.05; done; printf ended; printf oops >&2")
    target.wait_until(lambda: target.log(command) == ["begun"], "the first line is in the log")
    assert target.invocation(command)["Status"] == "InProgress"
    (target.root / "go-on").touch()
    assert target.end(command)["Status"] == "Success"
    assert target.log(command) == ["begun", "ended"], "all is there when the status says that it has ended"
    assert target.log(command, "stderr") == ["oops"]


def test_a_command_is_cancelled(target):
    command = target.send("trap 'echo saved; exit 0' TERM; echo $$ > pid; sleep 600 & wait")
    target.wait_until((target.root / "pid").exists, "the command runs")
    target.wait_until((target.root / "pid").read_text, "its number is written")
    target.client.cancel_command(CommandId=command)
    ended = target.end(command)
    assert (ended["Status"], ended["ResponseCode"], ended["StandardOutputContent"]) == ("Cancelled", 137, "")
    assert not Path(f"/proc/{(target.root / 'pid').read_text().strip()}").exists()
    (listed,) = target.client.list_commands(CommandId=command)["Commands"]
    assert listed["Status"] == "Cancelled"


def test_a_command_that_takes_too_long_is_ended(target):
    ended = target.run("sleep 600", parameters={"executionTimeout": ["1"]})
    assert (ended["Status"], ended["StatusDetails"], ended["ResponseCode"]) == ("TimedOut", "ExecutionTimedOut", 137)


def test_output_is_cut_where_aws_cuts_it(target):
    ended = target.run("head -c 30000 /dev/zero | tr '\\0' x; head -c 9000 /dev/zero | tr '\\0' y >&2")
    assert len(ended["StandardOutputContent"]) == 24_000
    assert ended["StandardOutputContent"].endswith("---Output truncated---")
    assert len(ended["StandardErrorContent"]) == 8_000


def test_an_instance_that_is_stopped_takes_no_command(target):
    command = target.send("sleep 600")
    target.ec2.stop_instances(InstanceIds=[target.id])
    target.wait_until(lambda: target.state() == "stopped", "the instance is stopped")
    assert target.end(command)["Status"] == "Failed"
    with pytest.raises(target.client.exceptions.InvalidInstanceId, match=target.id):
        target.send("echo no")
    (information,) = information_of(target)
    assert information["PingStatus"] == "ConnectionLost"
    target.ec2.start_instances(InstanceIds=[target.id])
    assert target.run("echo again")["StandardOutputContent"] == "again\n"


def information_of(target: Target, **extra) -> list[dict]:
    filters = [{"Key": "InstanceIds", "Values": [target.id]}]
    return target.client.describe_instance_information(Filters=filters, **extra)["InstanceInformationList"]


def test_a_running_instance_is_online(target):
    (information,) = information_of(target)
    assert (information["PingStatus"], information["ResourceType"]) == ("Online", "EC2Instance")
    target.ec2.terminate_instances(InstanceIds=[target.id])
    target.wait_until(lambda: not information_of(target), "SSM has forgotten the instance")


def test_targets_are_found_by_tag(target):
    command = target.send("echo tagged", InstanceIds=[], Targets=[{"Key": "tag:role", "Values": ["trainer"]}])
    assert target.end(command)["StandardOutputContent"] == "tagged\n"
    listed = target.client.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    assert {each["Status"] for each in listed} <= {*FINAL, "InProgress"}
    assert target.id in {each["InstanceId"] for each in listed}


def test_commands_are_listed_in_pages_and_by_filters(target):
    commands = [target.run(line)["CommandId"] for line in ("true", "false", "true")]
    list_commands = target.client.list_commands

    def listed(*filters: tuple[str, str], **arguments) -> list[str]:
        if filters:
            arguments["Filters"] = [{"key": key, "value": value} for key, value in filters]
        return [each["CommandId"] for each in list_commands(InstanceId=target.id, **arguments)["Commands"]]

    assert listed(("Status", "Failed")) == commands[1:2]
    assert listed(("Status", "Success"), ("ExecutionStage", "Complete")) == [commands[2], commands[0]]
    assert listed(("InvokedBefore", "2020-01-01T00:00:00Z")) == []
    first = list_commands(InstanceId=target.id, MaxResults=2)
    assert listed(NextToken=first["NextToken"]) == commands[:1]
    with pytest.raises(target.client.exceptions.InvalidNextToken):
        listed(NextToken="x")
    filters = [{"key": "Status", "value": "Failed"}]
    (failed,) = target.client.list_command_invocations(InstanceId=target.id, Filters=filters)["CommandInvocations"]
    assert failed["CommandId"] == commands[1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"DocumentName": "AWS-RunPowerShellScript"}, "InvalidDocument"),
        ({"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceId"),
        ({"parameters": {"commands": []}}, "InvalidParameters"),
        ({"parameters": {"colour": ["red"]}}, "InvalidParameters"),
        ({"parameters": {"executionTimeout": ["0"]}}, "InvalidParameters"),
        ({"OutputS3BucketName": "bucket"}, "ValidationException"),
    ],
)
def test_what_cannot_be_run_is_refused(target, arguments, code):
    with pytest.raises(ClientError) as caught:
        target.send("echo no", **arguments)
    assert caught.value.response["Error"]["Code"] == code


def test_an_unknown_invocation_is_named(target):
    with pytest.raises(target.client.exceptions.InvocationDoesNotExist):
        target.client.get_command_invocation(CommandId=target.send("true"), InstanceId="i-0123456789abcdef0")
    with pytest.raises(target.client.exceptions.InvalidCommandId):
        target.client.get_command_invocation(CommandId="0" * 36, InstanceId=target.id)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_command_comes_to_an_end_with_its_server(own_server, wait_until, end):
    own_server.start()
    target = Target(own_server, wait_until)
    wait_until(lambda: target.state() == "running", "the instance runs")
    done = target.run("echo kept")["CommandId"]
    running = target.send("sleep 600")
    snapshot = own_server.home / "state" / "backends.pickle"
    wait_until(lambda: snapshot.exists() and running.encode() in snapshot.read_bytes(), "the command is in a snapshot")
    getattr(own_server, end)()
    own_server.start()
    assert target.invocation(done)["StandardOutputContent"] == "kept\n"
    assert target.invocation(running)["Status"] == "Failed"


def test_the_public_parameters_name_an_image_that_exists(localaws):
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    image = localaws.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    (described,) = localaws.client("ec2").describe_images(ImageIds=[image])["Images"]
    assert described["RootDeviceName"]
