"""What all tiers share."""

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
DOGS = ROOT.parent / "shared" / "data" / "dogs"


@pytest.fixture(scope="session")
def dogs() -> Path:
    """Real photographs: 20 breeds, 2,400 images. They are not part of the project."""
    if not DOGS.is_dir():
        pytest.skip(f"the dog photographs are not here ({DOGS.relative_to(ROOT.parent)} beside the checkout)")
    return DOGS


class ByFile(LoadScopeScheduling):
    """Tests that share expensive fixtures stay on one worker: those of a file, and the whole end-to-end tier."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "tests/e2e" if file.startswith("tests/e2e/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)
