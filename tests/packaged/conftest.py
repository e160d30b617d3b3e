"""The archives of `make package`, unpacked as on AWS, and pictures for the tests."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.build import package
from deploy.environment import ROOT
from tests.unit.classifier.pictures import write_image_folder


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ray: starts Ray Serve, which takes about 15 s and 1 GB of memory")


@pytest.fixture(scope="session")
def archives(tmp_path_factory) -> dict[str, Path]:
    """train, inference and ec2: payload -> its archive."""
    build = tmp_path_factory.mktemp("build")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "BUILD", build)
        return {
            payload: build / package.pack_tar(payload, members, {})["file"]
            for payload, members in {
                "train": package.payload_members("train"),
                "inference": package.serving_members(),
                "ec2": package.payload_members("ec2"),
            }.items()
        }


@pytest.fixture(scope="session")
def unpacked(archives, tmp_path_factory) -> dict[str, Path]:
    """payload -> the folder of its unpacked archive."""
    folders = {}
    for payload, archive in archives.items():
        folders[payload] = tmp_path_factory.mktemp(payload)
        with tarfile.open(archive) as tar:
            tar.extractall(folders[payload], filter="data")
    return folders


@pytest.fixture(scope="session")
def squares(tmp_path_factory) -> Path:
    """A dataset of three classes, 48 pictures."""
    return write_image_folder(tmp_path_factory.mktemp("data") / "squares")


@pytest.fixture(scope="session")
def bootstrap_model(archives, tmp_path_factory) -> Path:
    """The bootstrap model's archive, made by an independent process."""
    folder = tmp_path_factory.mktemp("bootstrap")
    out = folder / "model.tar.gz"
    command = [sys.executable, "-m", "deploy.build.bootstrap_model", str(archives["inference"]), str(out)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=300)
    return out
