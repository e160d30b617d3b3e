"""What a load test leaves for `make capacity`: a JSON file with the times of single requests and the ceiling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.load.observe import Observed
from deploy.load.search import SearchStep

VERSION = 1


@dataclass(frozen=True)
class Measurement:
    """Times in seconds, rates in requests a second. `single` has the latencies of one request at a time, `model` is
    the mean time in the model, and `start` that of an instance; None if they were not seen."""

    target: str
    kind: str
    instance_type: str
    instances: int
    ceiling: float
    single: Sequence[float]
    model: float | None
    start: float | None
    taken: str = ""
    version: int = VERSION

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        taken = self.taken or f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        path.write_text(json.dumps({**asdict(self), "single": list(self.single), "taken": taken}, indent=1) + "\n")


def of(
    deployment: Deployment, target: str, taken: list[SearchStep], ceiling: float, instances: int,
    observed: Observed | None, start: float | None,
) -> Measurement:  # fmt: skip
    """The measurement of a search for the ceiling, and of what AWS measured meanwhile."""
    model = observed.mean("model_us") if observed else None
    return Measurement(
        target,
        deployment.endpoint_kind,
        _instance_type(deployment) if instances else "",
        instances,
        ceiling,
        taken[0].times,
        model / 1e6 if model else None,
        start,
    )


def _instance_type(deployment: Deployment) -> str:
    sagemaker = deployment.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    return variants[0].get("InstanceType", "")


def load(path: Path) -> Measurement:
    """Raises Failure for a file that no load test of this version has written."""
    try:
        found = Measurement(**json.loads(path.read_text()))
        usable = found.version == VERSION and found.ceiling > 0 and len(found.single) > 0
    except (OSError, ValueError, TypeError):
        usable = False
    if not usable:
        raise Failure(f"{path} has no measurement to calibrate with. A new one: make load-test.")
    return found


def newest(folder: Path) -> Path | None:
    """The measurement of the last load test in a folder."""
    return max(folder.glob("*.json"), default=None)
