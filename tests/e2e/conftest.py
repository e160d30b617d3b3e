"""One deployment for all tests of the tier: `make up ENV=aws REHEARSE=1` with its own home and port.

It runs as a user who has only `terraform/deployer-policy.json`. So the tests also show that the policy suffices.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localaws.ports import free_port
from tests.e2e.deployment import Deployment


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """GIVEN a fresh home WHEN `make up` has run THEN the tests share a deployment. Its processes end with the tests."""
    made = Deployment(home=tmp_path_factory.mktemp("home").resolve(), port=free_port())
    try:
        made.become_deployer()
        made.first_output = made.make("up", timeout=3600)
        yield made
    finally:
        made.run("local-down")
