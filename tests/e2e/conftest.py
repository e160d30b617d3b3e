"""One deployment for the whole tier: `make up` in a home of its own, on a port of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """GIVEN a fresh home WHEN `make up` has run THEN a deployment that the tests share; its processes end with them."""
    made = Deployment(home=tmp_path_factory.mktemp("home").resolve(), port=free_port())
    try:
        made.first_output = made.make("up", timeout=600)
        yield made
    finally:
        made.run("local-down")
