"""A full disk and damaged files: an answered change is kept or refused, and nobody is told otherwise."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localaws import files
from localaws.supervisor import Supervisor, start_time
from tests.unit.localaws.conftest import Server
from tests.unit.localaws.sagemaker_helpers import MODEL, SageMaker

MEGABYTE = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB. Only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    return path


def test_what_was_answered_before_the_disk_was_full_is_kept_and_the_rest_is_refused(small_disk):
    server = Server(small_disk / "home").start()
    try:
        kms, logs = server.client("kms"), server.client("logs")
        kept = kms.create_key(Description="kept")["KeyMetadata"]["KeyId"]
        filling = fill(small_disk)  # within the second before the snapshot
        acknowledged, refused = [], []
        for number in range(400):
            try:
                logs.create_log_group(logGroupName=f"/{number}/{'x' * 400}")
                acknowledged.append(number)
            except ClientError as error:
                refused.append(error.response["Error"])
                if len(refused) == 3:
                    break
        assert refused, "at some point there is no space for more"
        assert {each["Code"] for each in refused} == {"ServiceUnavailable"}
        assert "No space left on device" in refused[0]["Message"]
        assert server.client("kms").describe_key(KeyId=kept), "what changes nothing is answered"
        assert "No space left" in server.command("status").stdout
        with pytest.raises(ClientError):
            server.client("s3").create_bucket(Bucket="bucket")
        filling.unlink()
        until(lambda: "No space left" not in server.command("status").stdout, "the state is written again")
        server.kill()

        server.start()
        assert server.client("kms").describe_key(KeyId=kept)["KeyMetadata"]["Description"] == "kept"
        pages = server.client("logs").get_paginator("describe_log_groups").paginate()
        names = {group["logGroupName"] for page in pages for group in page["logGroups"]}
        assert {f"/{number}/{'x' * 400}" for number in acknowledged} <= names

        filling = fill(small_disk)
        filling.unlink()
        server.client("s3").create_bucket(Bucket="bucket")
    finally:
        server.close()


def test_down_says_what_it_could_not_keep(small_disk):
    server = Server(small_disk / "home").start()
    server.client("s3").create_bucket(Bucket="bucket")
    fill(small_disk)
    acknowledged = []
    for number in range(100):  # more than was reserved, without a pause in which a snapshot could be taken
        try:
            server.client("s3").put_bucket_tagging(
                Bucket="bucket", Tagging={"TagSet": [{"Key": f"{number}", "Value": "x" * 200}]}
            )
            acknowledged = [f"{number}"]
        except ClientError:
            break
    (small_disk / "home" / "state" / "reserved").unlink(missing_ok=True)
    fill(small_disk)
    ran = server.command("down")
    server.process.wait(60)
    if ran.returncode == 0:
        assert "its state is kept" in ran.stdout
        (small_disk / "filling").unlink()
        server.start()
        if acknowledged:  # not if a snapshot met the full disk before the first tag
            tags = server.client("s3").get_bucket_tagging(Bucket="bucket")["TagSet"]
            assert [tag["Key"] for tag in tags] == acknowledged
        else:
            assert server.client("s3").list_buckets()["Buckets"]
        server.close()
    else:
        assert "its last changes are lost" in ran.stderr
        assert "state is kept." not in ran.stdout


def test_a_failed_last_snapshot_is_never_called_kept(own_server):
    """The folder of the state is a file: nothing can be written there, by root neither."""
    own_server.start()
    state = own_server.home / "state"
    for each in state.iterdir():
        each.unlink()
    state.rmdir()
    state.write_text("")
    with pytest.raises(ClientError) as refused:
        for _ in range(2):  # the first is answered before the next attempt to write
            own_server.client("s3").create_bucket(Bucket="bucket")
            own_server.client("lambda").create_function(
                FunctionName="f", Runtime="python3.12", Role="arn:aws:iam::123456789012:role/x", Handler="h.h",
                Code={"ZipFile": os.urandom(300_000)},
            )  # fmt: skip
    assert refused.value.response["Error"]["Code"] != "", refused.value
    ran = own_server.command("down")
    assert ran.returncode != 0
    assert "its last changes are lost" in ran.stderr
    assert "is kept" not in ran.stdout
    own_server.process.wait(60)


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"pid": 1}]', "null", '{"a": 1}', "\udcff"])
def test_a_damaged_record_of_processes_ends_what_is_left_without_a_traceback(tmp_path, content):
    home = tmp_path / "home"
    home.mkdir()
    crashed = Supervisor(home)
    child = crashed.spawn(
        "left", [sys.executable, "-c", "import time; time.sleep(600)"], env={}, cwd=home, log=home / "l"
    )
    (home / "processes.json").write_bytes(content.encode(errors="surrogateescape"))
    ended = Supervisor(home).reap_leftovers()
    assert start_time(child.pid) is None
    assert ended == [f"process {child.pid}, of a damaged processes.json"]
    child.wait(30)


def test_a_server_starts_and_stops_over_damaged_records(own_server):
    sagemaker = SageMaker(own_server.start(), until)
    sagemaker.endpoint(MODEL.format(answer="x"))
    (left,) = (entry["pid"] for entry in json.loads((own_server.home / "processes.json").read_text()))
    own_server.kill()
    (own_server.home / "processes.json").write_text("[{")
    (own_server.home / "server.json").write_text("[]")
    ran = own_server.command("down")
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran.stderr
    assert f"process {left}, of a damaged processes.json" in ran.stdout
    assert start_time(left) is None


def until(condition, what):
    from tests.unit.localaws.conftest import until

    return until(condition, what)


@pytest.mark.parametrize("cut", [1, 10, 200, -1])
def test_a_damaged_state_is_refused_in_words(own_server, cut):
    own_server.start()
    own_server.client("s3").create_bucket(Bucket="bucket")
    own_server.stop()
    path = own_server.home / "state" / "backends.pickle"
    whole = path.read_bytes()
    damaged = whole[:cut] + b"\xff\xff" + whole[cut + 2 :] if cut == 200 else whole[:cut]
    path.write_bytes(damaged)
    ran = own_server.command("up")
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
    assert "cannot be read" in ran.stderr and f"move {own_server.home} away" in ran.stderr
    assert path.read_bytes() == damaged


def test_a_file_is_whole_or_as_before(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_whole(path, "before")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(path, "after")
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["file"], "nothing half-written is left"


def test_the_disk_has_a_file_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("fsync"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda path, target: (order.append("rename"), replace(path, target)))
    files.write_whole(tmp_path / "file", io.BytesIO(b"content").getvalue())
    assert order == ["fsync", "rename", "fsync"]
