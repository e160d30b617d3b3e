from __future__ import annotations

import time

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
