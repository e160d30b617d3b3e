"""What all tiers share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOGS = ROOT.parent / "shared" / "data" / "dogs"


@pytest.fixture(scope="session")
def dogs() -> Path:
    """Real photographs: 20 breeds, 2,400 images. They are not part of the project."""
    if not DOGS.is_dir():
        pytest.skip(f"the dog photographs are not here ({DOGS.relative_to(ROOT.parent)} beside the checkout)")
    return DOGS
