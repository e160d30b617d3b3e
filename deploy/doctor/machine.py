"""Checks of this machine: Python, its packages, Terraform and its provider. They need no network."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import sys

from deploy.doctor.check import CheckResult, Subject, bad, good, unsure
from deploy.environment import ROOT, TERRAFORM

OLDEST_PYTHON = (3, 11)  # requires-python in pyproject.toml
LOCK = TERRAFORM / ".terraform.lock.hcl"


def python(subject: Subject) -> CheckResult:
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return bad(f"Python {version} is too old", "make setup PYTHON=python3.12")
    stamp = ROOT / ".venv" / ".synced"
    files = (ROOT / "requirements.lock").read_bytes() + (ROOT / "deploy" / "setup.py").read_bytes()
    if not stamp.is_file() or stamp.read_text() != hashlib.sha256(files).hexdigest():
        return bad("The packages in .venv are not those of requirements.lock", "make setup")
    return good(f"Python {version} with the packages of requirements.lock", sys.executable)


def terraform(subject: Subject) -> CheckResult:
    """Terraform's version and whether the provider's is locked with its hashes."""
    oldest = re.search(r'required_version = ">= ([\d.]+)"', (TERRAFORM / "terraform.tf").read_text())
    locked = re.search(
        r'provider "registry\.terraform\.io/hashicorp/aws" \{\s+version\s+= "([\d.]+)"', LOCK.read_text()
    )
    if not oldest or not locked:
        return bad("terraform.tf or .terraform.lock.hcl is damaged", "git checkout terraform")
    try:
        ran = subprocess.run(["terraform", "version", "-json"], capture_output=True, text=True, timeout=60, check=True)
        version = json.loads(ran.stdout)["terraform_version"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        return bad(f"Terraform does not run: {error}", "make setup")
    if _numbers(version) < _numbers(oldest[1]):
        return bad(f"Terraform {version} is too old; the stack needs {oldest[1]}", "install a newer Terraform")
    hashes = LOCK.read_text().count('"h1:') + LOCK.read_text().count('"zh:')
    return good(f"Terraform {version}, provider aws {locked[1]} locked", f"{hashes} hashes in terraform/{LOCK.name}")


def settings(subject: Subject) -> CheckResult:
    """The settings of the environment: their names, and the account that they allow."""
    subject.stack.require_known_settings()
    file = subject.env.tfvars.relative_to(ROOT)
    allowed = subject.settings.get("allowed_account_ids")
    if not allowed:
        return unsure(
            f"{file} may be applied to any account that you are logged in to",
            'set allowed_account_ids = ["<your account>"] in it',
        )
    return good(f"{file} has known settings, for account {', '.join(allowed)}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
