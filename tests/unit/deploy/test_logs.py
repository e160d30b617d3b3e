from __future__ import annotations

import time

import pytest

from deploy.commands import logs
from deploy.console import Failure
from deploy.log_tail import LogTail


def write(logs, stream: str, *lines: str) -> None:
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines]
    logs.put_log_events(logGroupName="group", logStreamName=stream, logEvents=events)


def test_every_line_is_read_once_even_from_streams_that_start_later(account):
    logs = account.client("logs")
    tail = LogTail(lambda: logs, "group", "job-1/")
    assert list(tail.poll()) == [], "a missing log group is not an error"

    logs.create_log_group(logGroupName="group")
    for stream in ("job-1/a", "job-2/a"):
        logs.create_log_stream(logGroupName="group", logStreamName=stream)
    write(logs, "job-1/a", "one", "two")
    write(logs, "job-2/a", "another job's")
    assert list(tail.poll()) == [("job-1/a", "one"), ("job-1/a", "two")]
    assert list(tail.poll()) == []

    logs.create_log_stream(logGroupName="group", logStreamName="job-1/b")
    write(logs, "job-1/a", "three")
    write(logs, "job-1/b", "four")
    assert sorted(tail.poll()) == [("job-1/a", "three"), ("job-1/b", "four")]
    logs.delete_log_group(logGroupName="group")


def test_one_request_is_found_in_the_logs_of_the_function_and_of_the_endpoint(account, capsys):
    client, groups = account.client("logs"), {"function_log_group": "/f", "endpoint_log_group": "/e"}
    deployment, now = account.deployed(**groups), int(time.time() * 1000)
    for number, group in enumerate(groups.values()):
        client.create_log_group(logGroupName=group)
        client.create_log_stream(logGroupName=group, logStreamName="s")
        events = [{"timestamp": now - number, "message": f"{group} about {each}"} for each in ("id-1", "id-2")]
        client.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)

    logs.show_request(deployment, "id-1")
    assert capsys.readouterr().out.splitlines() == ["/e  /e about id-1", "/f  /f about id-1"]
    with pytest.raises(Failure, match="No line has"):
        logs.show_request(deployment, "id-3")
    with pytest.raises(Failure, match="is not a request_id"):
        logs.show_request(deployment, 'a" b')
    for group in groups.values():
        client.delete_log_group(logGroupName=group)
