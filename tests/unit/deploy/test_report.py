"""The report of a run: find it, extract only it, and open it in a browser without waiting."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import time
from pathlib import Path

import pytest

from deploy import reports, runs
from deploy.browser import open_in_browser
from deploy.console import Failure
from deploy.sagemaker import training, trial_report
from deploy.sagemaker.trials import Trial
from tests.unit.deploy.conftest import OUTPUTS

PAGE = b"<!doctype html><title>a report</title>"


def archive(**members: bytes | tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in members.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                tar.addfile(member)
    return made.getvalue()


def put(account, run: str, content: bytes) -> None:
    key = f"models/{run}/output/{reports.ARCHIVE}"
    account.client("s3").put_object(Bucket=OUTPUTS["artifacts_bucket"], Key=key, Body=content)


def fetch(account, wanted: str | None = None) -> Path:
    run = runs.find(account.deployment, wanted, reports.ARCHIVE)
    report, _ = reports.fetch(account.deployment, run)
    return report


def test_the_report_of_the_last_or_the_named_run_is_downloaded(account):
    put(account, "run-1", archive(**{"metrics.json": b"{}", "report.html": b"the first"}))
    put(account, "run-2", archive(**{"report.html": PAGE}))

    path = fetch(account)

    assert (path.name, path.read_bytes()) == ("run-2.html", PAGE)
    assert path.parent == account.env.home / "reports"
    assert fetch(account, "run-1").read_bytes() == b"the first"


def test_hosts_of_a_job_may_have_their_own_folders(account):
    put(account, "run-1", archive(**{"./algo-1/report.html": PAGE}))

    assert fetch(account).read_bytes() == PAGE


def test_only_the_report_is_extracted(account):
    put(account, "run-1", archive(**{"../../escaped.html": b"x", "metrics.json": b"{}", "report.html": PAGE}))

    fetch(account)

    assert [path.name for path in account.env.home.parent.rglob("*") if path.is_file()] == ["run-1.html"]


def test_a_report_that_is_a_link_is_refused(account):
    link = tarfile.TarInfo("report.html")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    put(account, "run-1", archive(**{"report.html": link}))

    with pytest.raises(Failure, match="not a regular file"):
        fetch(account)


# Explicit ids, because ids made of these bytes would contain the time and differ between test workers.
@pytest.mark.parametrize(
    "content", [b"no archive", archive(**{"report.html": PAGE * 99})[:60]], ids=["not an archive", "cut off"]
)
def test_a_broken_archive_is_named(account, content):
    put(account, "run-1", content)

    with pytest.raises(Failure, match=r"models/run-1/output/output\.tar\.gz cannot be read"):
        fetch(account)


def test_a_missing_report_and_a_missing_run_are_reported(account):
    put(account, "run-1", archive(**{"metrics.json": b"{}"}))

    with pytest.raises(Failure, match=r"run-1 has no report\.html"):
        fetch(account)
    with pytest.raises(Failure, match=r"run nonsense does not exist .*run-1"):
        fetch(account, "nonsense")


def test_without_a_run_the_message_names_the_training_command(account):
    with pytest.raises(Failure, match="make train"):
        fetch(account)


@pytest.fixture
def headless(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")


def test_without_a_screen_no_browser_is_started(headless, tmp_path):
    assert open_in_browser((tmp_path / "a.html").as_uri()) is False


def test_the_systems_browser_gets_the_file_and_nothing_waits_for_it(headless, monkeypatch, tmp_path):
    browser, told = tmp_path / "browser", tmp_path / "told"
    browser.write_text(f'#!/bin/sh\necho "$$ $1" > {told}.partial; mv {told}.partial {told}; exec sleep 600\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))

    assert open_in_browser((tmp_path / "a report.html").as_uri()) is True

    deadline = time.monotonic() + 120
    while not told.exists():
        assert time.monotonic() < deadline, "the browser did not get the address"
        time.sleep(0.05)
    process, _, address = told.read_text().strip().partition(" ")
    os.kill(int(process), signal.SIGKILL)
    assert address == (tmp_path / "a report.html").as_uri()


# ---- what it cost ---------------------------------------------------------------------------------------------

JOB = {
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
    "BillableTimeInSeconds": 900,
    "TrainingTimeInSeconds": 900,
}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "$0.12 (2 x ml.m5.xlarge for 15 min 0 s at $0.23 an hour"),
        ({"EnableManagedSpotTraining": True}, "managed spot saves up to 90 %"),
        ({"EnableManagedSpotTraining": True, "TrainingTimeInSeconds": 3000}, "managed spot saved 70%"),
        ({"ResourceConfig": {"InstanceType": "ml.u9.xlarge", "InstanceCount": 1}}, "no price known for ml.u9.xlarge"),
    ],
    ids=["on demand", "spot that saved nothing", "spot", "unknown type"],
)
def test_a_training_job_costs_its_billable_time(monkeypatch, more, said):
    monkeypatch.delenv("PRICE_PER_HOUR", raising=False)
    assert said in training.cost(JOB | more)


def test_a_tuning_job_costs_all_its_trials(monkeypatch):
    monkeypatch.setenv("PRICE_PER_HOUR", "2")
    trials = [Trial(f"t-00{n}-x", n, "Completed", {}, 0.9, 450.0) for n in (1, 2)]
    assert trial_report.cost({"TrainingJobDefinition": JOB}, trials).startswith("$1.00 (2 x ml.m5.xlarge for 15 min")
