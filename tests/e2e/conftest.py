"""Two deployments for the tier, each in a home of its own, on a port of its own."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.deployment import ROOT, Deployment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def destroyed_at_the_end(made: Deployment) -> Iterator[Deployment]:
    try:
        yield made
    finally:
        made.run("destroy")
        made.run("local-down")


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """GIVEN a fresh home WHEN `make up` has run THEN a deployment that the tests share."""
    home = tmp_path_factory.mktemp("home").resolve()
    with destroyed_at_the_end(Deployment(home, free_port())) as made:
        made.first_output = made.make("up", timeout=600)
        yield made


@pytest.fixture(scope="session")
def notebook_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Another one, beside it, for the notebook: from a copy of the checkout, which so builds for itself."""
    home = tmp_path_factory.mktemp("home").resolve()
    checkout = home / "checkout"
    others = shutil.ignore_patterns(".git", ".venv", ".local", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, checkout, ignore=others)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    with destroyed_at_the_end(Deployment(home, free_port(), checkout)) as made:
        made.make("local-up")
        made.make("apply", timeout=600)
        yield made
