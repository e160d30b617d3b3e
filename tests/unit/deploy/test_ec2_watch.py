"""Watch a command on a fake AWS that drops connections, refuses, throttles, and recovers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy import environment
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.ec2 import command
from deploy.ec2 import watch as ec2_watch
from deploy.ec2.watch import Watch

OUTPUTS = {"region": "us-east-1", "ec2_instance_id": "i-0123456789abcdef0", "ec2_log_group": "/pawprint/ec2"}
COMMAND = "11111111-2222-3333-4444-555555555555"
AGAIN = "make train-ec2 RUN=dogs-1"
RUNNING = {"Status": "InProgress", "StatusDetails": "InProgress"}
SUCCESS = {"Status": "Success", "StatusDetails": "Success"}
INSTANCE = """<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item>
<instancesSet><item><instanceId>i-0123456789abcdef0</instanceId><instanceState><name>{}</name></instanceState></item>
</instancesSet></item></reservationSet></DescribeInstancesResponse>"""


class Aws:
    """The parts of SSM, CloudWatch Logs and EC2 that watching uses. `turns` are the answers of GetCommandInvocation in
    order; the last one is repeated. Each is a status with the log lines so far, or an error."""

    def __init__(self):
        self.turns: list = []
        self.state = "running"
        self.lines: list[str] = []
        self.asked = 0
        self.cut = False  # whether the next page with more than one line is lost on its way
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def handler(aws):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                answer = aws.answer(operation, json.loads(body) if operation else {})
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, content = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_) -> None:
                pass

        return Handler

    def answer(self, operation: str, request: dict) -> tuple[int, bytes] | None:
        if not operation:
            return 200, INSTANCE.format(self.state).encode()
        if operation == "DescribeLogStreams":
            return 200, json.dumps({"logStreams": [{"logStreamName": f"{COMMAND}/stdout"}]}).encode()
        if operation == "GetLogEvents":
            start = int(request.get("nextToken", "0"))
            if self.cut and len(self.lines) > 1:
                self.cut = False
                return None
            events = [{"timestamp": 0, "message": line} for line in self.lines[start:]]
            return 200, json.dumps({"events": events, "nextForwardToken": str(len(self.lines))}).encode()
        turn = self.turns[min(self.asked, len(self.turns) - 1)]
        self.asked += 1
        if turn == "drop":
            return None
        if isinstance(turn, str):
            code, _, status = turn.partition(" ")
            return int(status or 400), json.dumps({"__type": code, "message": "words"}).encode()
        result, self.lines = turn[0], list(turn[1])
        return 200, json.dumps({"CommandId": COMMAND, "InstanceId": OUTPUTS["ec2_instance_id"], **result}).encode()


@pytest.fixture
def aws() -> Iterator[Aws]:
    made = Aws()
    yield made
    made.close()


@pytest.fixture
def watch(aws, tmp_path, monkeypatch):
    """Starts watching. Pauses take no time."""
    monkeypatch.setenv("PAWPRINT_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAWS_PORT", str(aws.port))
    monkeypatch.setenv("ENV", "local")
    env = environment.current()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # botocore's own retries pause for seconds
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)

    def begin(*, patience: float = 60.0, between=lambda seconds: None) -> Watch:
        return Watch(Deployment(env, OUTPUTS), COMMAND, AGAIN, patience=patience, sleep=between)

    return begin


@pytest.mark.parametrize(
    "trouble",
    [
        "drop",
        "ThrottlingException",
        "ServiceUnavailable 503",
        "InternalServerError 500",
        "ExpiredTokenException",
        "UnrecognizedClientException",
    ],
)
def test_watching_continues_where_it_stopped(aws, watch, capsys, trouble):
    aws.turns = [(RUNNING, ["one"]), *[trouble] * 3, (RUNNING, ["one", "two"]), (SUCCESS, ["one", "two", "three"])]
    assert watch().to_end()["Status"] == "Success"
    printed = capsys.readouterr()
    assert [line.strip() for line in printed.out.splitlines()] == ["one", "▸ Connected again", "two", "three"]
    assert "No connection to AWS" in printed.err and "continues without it" in printed.err


def test_a_lost_page_of_the_log_is_read_again(aws, watch, capsys):
    aws.cut = True
    aws.turns = [(RUNNING, ["one"]), (SUCCESS, ["one", "two"])]
    assert watch().to_end()["Status"] == "Success"
    assert [line.strip() for line in capsys.readouterr().out.splitlines() if "▸" not in line] == ["one", "two"]


def test_a_server_that_is_gone_for_a_while(aws, watch, capsys):
    aws.turns = [(RUNNING, ["one"]), (SUCCESS, ["one", "two"])]
    pauses: list[float] = []

    def between(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            aws.close()
        elif len(pauses) == 4:
            aws.server = ThreadingHTTPServer(("127.0.0.1", aws.port), aws.handler())
            threading.Thread(target=aws.server.serve_forever, args=(0.01,), daemon=True).start()

    assert watch(between=between).to_end()["Status"] == "Success"
    assert pauses[1:4] == [1.0, 2.0, 4.0]
    printed = capsys.readouterr()
    assert [line.strip() for line in printed.out.splitlines()] == ["one", "▸ Connected again", "two"]
    assert "Still no connection" in printed.err


def test_after_some_minutes_it_ends_and_prints_how_to_watch_again(aws, watch, monkeypatch):
    monkeypatch.setattr(environment.Environment, "require_own_local_aws", lambda _env: None)  # as on AWS
    aws.turns = ["drop"]
    with pytest.raises(Failure, match=f"The command continues. To watch it again: {AGAIN}"):
        watch(patience=0.0).to_end()


def test_ctrl_c_leaves_the_command_running_and_prints_how_to_stop_it(aws, watch):
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    aws.turns = [(RUNNING, [])]
    with pytest.raises(Failure, match=f"The command continues. To watch it again: {AGAIN}. To stop it: aws ssm cancel"):
        watch(between=interrupt).to_end()


def test_an_error_that_a_retry_cannot_fix_is_raised_at_once(aws, watch):
    aws.turns = ["AccessDeniedException"]
    watching = watch()
    with pytest.raises(Exception, match="AccessDenied"):
        watching.to_end()
    assert aws.asked == 1


def test_the_lines_that_come_after_the_end_are_printed(aws, watch, capsys):
    aws.turns = [(SUCCESS, ["one"]), (SUCCESS, ["one", "two"])]
    watch().to_end()
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["one", "two"]


def test_watching_later_omits_earlier_progress_lines(aws, watch, capsys):
    aws.turns = [(RUNNING, ["epoch=1 x", "features 3/9"]), (SUCCESS, ["epoch=1 x", "features 3/9", "features 9/9"])]
    watch().to_end(with_progress=False)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["epoch=1 x", "features 9/9"]


def test_silence_is_explained(aws, watch, capsys, monkeypatch):
    monkeypatch.setattr(ec2_watch, "QUIET", 0.0)
    aws.turns = [({"Status": "Pending"}, []), (RUNNING, []), (SUCCESS, [])]
    watch().to_end()
    printed = capsys.readouterr().out
    assert "SSM has not delivered the command yet" in printed and "is running and prints nothing" in printed


@pytest.mark.parametrize("said", [RUNNING, {"Status": "Failed", "StatusDetails": "Failed", "ResponseCode": 143}])
def test_an_instance_that_stops_during_a_command_interrupts_it(aws, watch, monkeypatch, said):
    """SSM may wait for the agent's report for hours."""
    monkeypatch.setattr(ec2_watch, "QUIET", 0.0)
    aws.state = "stopping"
    aws.turns = [(said, [])]
    assert command.ending(watch().to_end()) == "was interrupted, because the instance stopped"


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ("Execution Timed Out", "MAX_MINUTES"),
        ("ExecutionTimedOut", "MAX_MINUTES"),
        ("DeliveryTimedOut", "agent does not answer"),
        ("Undeliverable", "could not be delivered"),
        ("Cancelled", "was cancelled"),
        ("Terminated", "before it started"),
        ("AccessDenied", "role"),
        ("RateExceeded", "too many"),
        ("SomethingNew", "ended with the status SomethingNew: the last line"),
    ],
)
def test_every_end_has_its_description(details, words):
    result = {"Status": "Failed", "StatusDetails": details, "StandardErrorContent": "the last line\n"}
    assert words in command.ending(result)


def test_a_killed_trainer_is_distinguished_from_a_failed_one():
    result = {
        "Status": "Failed",
        "StatusDetails": "Failed",
        "ResponseCode": 137,
        "StandardErrorContent": "Killed\nShutdown scheduled\n",
    }
    assert command.ending(result) == "was killed: a user killed it, or the instance ran out of memory"
    assert command.ending(result | {"ResponseCode": 1}) == "ended with the status Failed: Killed"
