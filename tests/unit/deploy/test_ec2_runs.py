"""The script for the training instance, run as a process, and the runs on a local SSM."""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy import options
from deploy.console import Failure
from deploy.datasets import Uploaded
from deploy.deployment import Deployment
from deploy.ec2 import runs
from deploy.ec2.command import Command

TRAINER = """\
import pathlib, sys, tempfile, time
folder = pathlib.Path(__file__).parent
(folder / "temporary").write_text(tempfile.gettempdir())
(folder / "part").write_text(" ".join(sys.argv[1:]))
(folder / "part").replace(folder / "began")
while not (folder / "go").exists():
    time.sleep(0.02)
sys.exit(int((folder / "go").read_text()))
"""
ARGUMENTS = argparse.Namespace(
    max_minutes=60, threads=3, workers=None, epochs=2, arch=None, fine_tune=False, preset=None, weights=None
)


class Instance:
    """A root folder with an interpreter, a `shutdown` that logs its arguments, and the script's processes."""

    def __init__(self, root: Path, deployment: Deployment, payloads: dict):
        self.root, self.deployment, self.payloads = root, deployment, payloads
        (root / "opt/pawprint").mkdir(parents=True)
        (root / "opt/pawprint/python").write_text(f"{sys.executable}\n")
        (root / "sbin").mkdir()
        (root / "sbin/shutdown").write_text(f'#!/bin/sh\necho "$@" >> {root}/plans\n')
        (root / "sbin/shutdown").chmod(0o755)
        self.started: list[subprocess.Popen] = []

    def start(self, run: str) -> subprocess.Popen:
        script = runs.script(run, self.deployment, self.payloads, Uploaded("dogs", "s3://b/datasets/dogs"), ARGUMENTS)
        environment = {**os.environ, "PATH": f"{self.root}/sbin:{os.environ['PATH']}"}
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # SSM's agent makes the script the leader of a group, and kills the group
        )
        self.started.append(process)
        return process

    def folder(self, run: str) -> Path:
        return self.root / "opt/pawprint/runs" / run

    def let_go(self, run: str, status: int) -> None:
        """Make the trainer of a run end with `status`."""
        part = self.folder(run) / "part"
        part.write_text(str(status))
        part.replace(self.folder(run) / "go")  # never seen empty

    def plans(self) -> list[str]:
        return (self.root / "plans").read_text().splitlines() if (self.root / "plans").exists() else []


@pytest.fixture
def instance(account, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "KEEPER_SECONDS", 1)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in (("train_ec2.py", TRAINER), ("bootstrap.sh", "true\n")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    bucket = account.outputs["artifacts_bucket"]
    account.client("s3").put_object(Bucket=bucket, Key="payloads/ec2/a.tar.gz", Body=content.getvalue())
    deployment = account.deployed(ec2_idle_minutes=30, ec2_instance_type="c7i.xlarge")
    payloads = {"ec2": f"s3://{bucket}/payloads/ec2/a.tar.gz", "inference": "s3://b/payloads/inference/a.tar.gz"}
    made = Instance(tmp_path / "root", deployment, payloads)
    yield made
    for process in made.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("status", [0, 1])
def test_the_script_trains_and_leaves_the_plan_to_stop(instance, status):
    process = instance.start("dogs-1")
    until((instance.folder("dogs-1") / "began").exists)
    assert "--run dogs-1 " in (instance.folder("dogs-1") / "began").read_text()
    assert "--threads 3 " in (instance.folder("dogs-1") / "began").read_text()
    # Not to /tmp, which Amazon Linux 2023 has in memory.
    assert (instance.folder("dogs-1") / "temporary").read_text() == str(instance.folder("dogs-1") / "tmp")
    before = len(instance.plans())
    until(lambda: len(instance.plans()) > before)  # postponed again and again during training
    instance.let_go("dogs-1", status)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (status, "")
    assert instance.plans()[-1] == "-h +30"
    until(lambda: not alive(process.pid))


def test_a_second_run_is_refused_and_disturbs_nothing(instance):
    first = instance.start("dogs-1")
    until((instance.folder("dogs-1") / "began").exists)
    second = instance.start("dogs-2")
    _, errors = second.communicate(timeout=120)
    assert second.returncode == runs.BUSY
    assert errors == "the instance already trains dogs-1, and does one run at a time\n"
    assert first.poll() is None and not instance.folder("dogs-2").exists()
    instance.let_go("dogs-1", 0)
    assert first.wait(120) == 0
    third = instance.start("dogs-3")
    until((instance.folder("dogs-3") / "began").exists)
    assert third.poll() is None


def test_after_a_kill_by_ssm_the_shutdown_stays_planned_and_the_instance_is_free(instance):
    process = instance.start("dogs-1")
    until((instance.folder("dogs-1") / "began").exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    until(lambda: not alive(process.pid))
    assert set(instance.plans()) == {"-h +30"}
    instance.start("dogs-1")
    until(lambda: (instance.root / "opt/pawprint/training").read_text() == "dogs-1\n")
    instance.let_go("dogs-1", 0)
    assert instance.started[-1].wait(120) == 0


def test_if_only_the_trainer_is_killed_the_script_has_its_exit_status(instance):
    process = instance.start("dogs-1")
    until((instance.folder("dogs-1") / "began").exists)
    trainer = subprocess.run(["pgrep", "-g", str(process.pid), "-f", "train_ec2.py --run"], capture_output=True)
    os.kill(int(trainer.stdout.split()[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 137 and "Killed" in errors
    assert instance.plans()[-1] == "-h +30"


# ---- runs -----------------------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def command(run: str, status: str = "Success", minutes: int = 0) -> Command:
    return Command(f"id-{run}-{minutes}", run, status, NOON + timedelta(minutes=minutes), ["true"], 60)


def test_a_run_is_found_by_its_last_command():
    known = [command("b", minutes=9), command("a", minutes=5), command("a", minutes=1)]
    assert runs.find(known, "a").id == "id-a-5"
    with pytest.raises(Failure, match=r"has no run c\. Its last ones: b, a "):
        runs.find(known, "c")


def test_a_second_run_is_refused_before_anything_is_sent(monkeypatch):
    monkeypatch.setattr(runs, "is_running", lambda deployment: True)
    known = [command("b", "InProgress")]
    with pytest.raises(Failure, match=r"The instance is training b, .*make train-ec2 RUN=b.*cancel-command"):
        runs.require_free(None, known)
    runs.require_free(None, known, "b")
    monkeypatch.setattr(runs, "is_running", lambda deployment: False)
    runs.require_free(None, known)  # the instance stopped during the command, so nothing is running


def test_the_cost_of_a_run_begins_with_its_start_or_the_command():
    launched = NOON - timedelta(minutes=2)
    first, second = command("a", minutes=0), command("b", minutes=20)
    assert runs.billed_from([second, first], first, launched) == launched
    assert runs.billed_from([second, first], second, launched) == second.requested


@pytest.mark.parametrize("text", ["0", "-1", "x", "1025", "", "1.5", "²"])
@pytest.mark.parametrize("option", ["--threads", "--workers"])
def test_nonsense_is_refused_before_anything_starts(monkeypatch, option, text):
    monkeypatch.setattr(sys, "argv", ["train_ec2", f"{option}={text}"])
    with pytest.raises(Failure, match=rf"^{option[2:].upper()}: '.*' is not a whole number from 1 to 1,024\."):
        options.training_on_ec2()
