"""What a process writes, on its way to a log stream."""

import time
from pathlib import Path

from moto.logs.models import logs_backends

from localaws import logs
from localaws.context import ACCOUNT_ID

REGION, GROUP = "eu-north-1", "/test/follower"


def until(condition) -> None:
    while not condition():
        time.sleep(0.01)


def test_a_group_that_is_deleted_under_a_process_stays_deleted(tmp_path: Path):
    backend = logs_backends[ACCOUNT_ID][REGION]
    log = tmp_path / "log"
    follower = logs.Follower(log, GROUP, "stream", REGION)
    log.write_text("the first line makes the group\n")
    until(lambda: GROUP in backend.groups)
    backend.delete_log_group(GROUP)

    with log.open("a") as file:
        file.write("the container shuts down\n")
    follower.finish()

    assert GROUP not in backend.groups
