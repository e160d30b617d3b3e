"""The user data that Terraform renders: the first boot, failing package managers, and repairs by `make train-ec2`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.console import Failure
from deploy.ec2 import command as ec2_command
from deploy.ec2 import instance as ec2_instance
from deploy.ec2 import watch
from tests.conftest import ROOT
from tests.unit.templates import rendered

MODULE = ROOT / "terraform" / "modules" / "ec2_training"
KEY = "payloads/ec2/a.tar.gz"
TIMEOUT = 120  # seconds until a test that hangs fails
# Logs its arguments, fails as often as the number in `failures`, and waits while the file `gate` exists.
DNF = """\
#!/bin/sh
echo "$@" >> {root}/dnf.log
while [ -e {root}/gate ]; do sleep 0.02; done
left=$(cat {root}/failures)
[ "$left" = 0 ] && exit 0
echo $((left - 1)) > {root}/failures
echo "Error: Failed to download metadata for repo 'amazonlinux'" >&2
exit 1
"""
BOOTSTRAP = 'echo "$PYTHON" > opt/pawprint/python\necho "prepared: training runs under $PYTHON"\n'


class Instance:
    """A root folder with its own `dnf` and `shutdown`, and the user data that an instance gets."""

    def __init__(self, root: Path, account):
        self.root, self.deployment = root, account.deployed(ec2_idle_minutes=30, ec2_instance_id="i-0123")
        self.payload = f"s3://{account.outputs['artifacts_bucket']}/{KEY}"
        (root / "sbin").mkdir(parents=True)
        for name, text in (("dnf", DNF), ("shutdown", "#!/bin/sh\necho $@ >> {root}/plans\n")):
            (root / "sbin" / name).write_text(text.format(root=root))
            (root / "sbin" / name).chmod(0o755)
        self.fail(0)
        prepare = rendered(
            MODULE / "prepare.sh.tftpl",
            bucket=account.outputs["artifacts_bucket"],
            region="us-east-1",
            packages=["python3.12", "python3.12-pip"],
            python=sys.executable,
            retry=(ROOT / "payloads/ec2/retry.sh").read_text(),
            boto3_lock=(ROOT / "payloads/ec2/boto3.lock").read_text().strip(),
        )
        self.user_data = rendered(MODULE / "user_data.sh.tftpl", idle_minutes=30, prepare=prepare, payload_key=KEY)

    def fail(self, times: int) -> None:
        (self.root / "failures").write_text(f"{times}\n")

    def start(self, script: str) -> subprocess.Popen:
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.root,
            env={
                **os.environ,
                "PATH": f"{self.root}/sbin:{Path(sys.executable).parent}:{os.defpath}",
                "RETRY_SECONDS": "0",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str) -> subprocess.CompletedProcess:
        process = self.start(script)
        output, errors = process.communicate(timeout=TIMEOUT)
        return subprocess.CompletedProcess(script, process.returncode, output, errors)

    def first_boot(self) -> subprocess.CompletedProcess:
        return self.run(self.user_data)

    def repair(self) -> subprocess.CompletedProcess:
        return self.run(ec2_instance.prepare_script(self.deployment, self.payload))

    @property
    def is_prepared(self) -> bool:
        return (self.root / "opt/pawprint/python").exists()

    def installs(self) -> list[str]:
        return (self.root / "dnf.log").read_text().splitlines() if (self.root / "dnf.log").exists() else []


@pytest.fixture
def instance(account, tmp_path) -> Instance:
    put_payload(account)
    return Instance(tmp_path / "root", account)


def put_payload(account, bootstrap: str = BOOTSTRAP) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("bootstrap.sh")
        member.size = len(bootstrap)
        tar.addfile(member, io.BytesIO(bootstrap.encode()))
    bucket = account.outputs["artifacts_bucket"]
    account.client("s3").put_object(Bucket=bucket, Key=KEY, Body=content.getvalue())


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_package_manager_that_fails_twice_is_retried_and_the_console_shows_it(instance):
    instance.fail(2)
    result = instance.first_boot()
    assert result.returncode == 0, result.stderr
    assert instance.is_prepared
    assert instance.installs() == ["install --assumeyes --quiet python3.12 python3.12-pip"] * 3
    what = "dnf install python3.12 python3.12-pip"
    assert result.stdout.splitlines()[:2] == [
        f"{what} failed with status 1, attempt {attempt} of 6: again in 0 s" for attempt in (1, 2)
    ]


def test_attempts_are_bounded_and_the_instance_stays_unprepared(instance):
    instance.fail(99)
    result = instance.first_boot()
    assert result.returncode == 1 and not instance.is_prepared
    assert len(instance.installs()) == 6
    assert "python3.12-pip failed 6 times, the last time with status 1: given up" in result.stderr


def test_a_payload_that_cannot_be_downloaded_yet_is_retried(instance, account):
    """S3 refuses for a while if the role's policy is newer than the instance. A stub replaces S3's answer."""
    fetcher = instance.root / "python"
    fetcher.write_text(
        f"""#!/bin/sh
case "$*" in *download_file*) echo asked >> {instance.root}/fetches
  [ $(wc -l < {instance.root}/fetches) -lt 3 ] && {{ echo AccessDenied >&2; exit 1; }} ;; esac
exec {sys.executable} "$@"
"""
    )
    fetcher.chmod(0o755)
    instance.user_data = instance.user_data.replace(f"fetcher={sys.executable}", f"fetcher={fetcher}")
    result = instance.first_boot()
    assert result.returncode == 0, result.stderr
    assert f"fetching {instance.payload} failed with status 1, attempt 2 of 6" in result.stdout


def test_an_instance_that_was_not_prepared_is_repaired_and_shows_it(instance):
    instance.fail(99)
    assert instance.first_boot().returncode == 1
    instance.fail(1)
    result = instance.repair()
    assert result.returncode == 0, result.stderr
    assert instance.is_prepared
    first, *others = result.stdout.splitlines()
    assert first.startswith("the preparation of this instance did not finish (begun ") and first.endswith(
        "doing it again"
    )
    assert others[0].startswith("dnf install") and others[-1].startswith("prepared: ")
    assert (instance.root / "plans").read_text().splitlines()[
        -1
    ] == "-h +45"  # the instance must not stop during the repair


def test_a_repair_takes_the_current_payload(instance, account):
    """The payload in the user data may be deleted, because each build replaces it."""
    bucket = account.outputs["artifacts_bucket"]
    account.client("s3").copy_object(Bucket=bucket, Key=f"{KEY}.new", CopySource=f"{bucket}/{KEY}")
    account.client("s3").delete_object(Bucket=bucket, Key=KEY)
    assert instance.first_boot().returncode != 0 and not instance.is_prepared
    instance.payload += ".new"
    result = instance.repair()
    assert result.returncode == 0 and instance.is_prepared, result.stderr


def test_a_repair_that_fails_prints_the_reason(instance):
    instance.fail(99)
    instance.first_boot()
    result = instance.repair()
    assert result.returncode == 1 and not instance.is_prepared
    assert "given up" in result.stderr.splitlines()[-1]


def test_a_repair_waits_for_the_first_boot_and_repeats_nothing(instance):
    (instance.root / "gate").touch()
    first = instance.start(instance.user_data)
    until(instance.installs)
    second = instance.start(ec2_instance.prepare_script(instance.deployment, instance.payload))
    assert second.stdout.readline().startswith("the first boot is preparing the instance")
    (instance.root / "gate").unlink()
    assert first.communicate(timeout=TIMEOUT)[1] is not None and first.returncode == 0
    output, errors = second.communicate(timeout=TIMEOUT)
    assert (second.returncode, errors) == (0, "")
    assert output.splitlines()[-1] == "the instance is prepared"
    assert len(instance.installs()) == 1


def test_a_prepared_instance_is_left_alone(instance):
    assert instance.first_boot().returncode == 0
    result = instance.repair()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert len(instance.installs()) == 1 and (instance.root / "plans").read_text() == "-h +45\n"


def test_an_instance_without_user_data_is_named(instance, monkeypatch):
    monkeypatch.setattr(ec2_instance, "BOOT_SECONDS", 0)
    result = instance.repair()
    assert (result.returncode, result.stderr) == (1, "the instance never ran its user data\n")


def test_user_data_is_within_the_limit_of_ec2(instance):
    assert len(instance.user_data.encode()) < 16 * 1024


@pytest.fixture
def ended(monkeypatch) -> Iterator[dict]:
    """Sets the result of the preparation command, and records the command."""
    seen = {"result": {"Status": "Success"}}

    class Watch:
        def __init__(self, deployment, command, again):
            pass

        def to_end(self):
            return seen["result"]

    monkeypatch.setattr(watch, "Watch", Watch)
    monkeypatch.setattr(ec2_command, "send", lambda deployment, lines, seconds: seen.update(lines=lines))
    return seen


def test_training_continues_on_a_prepared_instance(instance, ended):
    ec2_instance.ensure_prepared(instance.deployment, instance.payload)
    assert f"payload_key={KEY}" in ended["lines"]


def test_a_failed_preparation_names_the_ways_out(instance, ended):
    ended["result"] = {"Status": "Failed", "StatusDetails": "Failed", "ResponseCode": 1}
    ended["result"]["StandardErrorContent"] = "dnf install python3.12 failed 6 times: given up\n"
    with pytest.raises(Failure) as failed:
        ec2_instance.ensure_prepared(instance.deployment, instance.payload)
    words = str(failed.value)
    assert "ended with the status Failed: dnf install python3.12 failed 6 times: given up" in words
    assert "make train-ec2" in words and "get-console-output --instance-id i-0123" in words
    assert "terminate-instances --instance-ids i-0123, then make apply" in words
