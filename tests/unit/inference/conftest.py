"""The modules of the serving code are at the top of its packaging root, as in an artifact."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "payloads" / "inference"))
