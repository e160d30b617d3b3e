"""Write the parts of a model other than the graph, its card and its weights; and measure the phases of a run."""

import hashlib
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file

from classifier.artifact import WEIGHTS, ModelCard
from classifier.learning.references import References
from classifier.network import graph
from classifier.network.model import REFERENCES, Backbone

LIBRARIES = ("torch", "torchvision", "openvino", "numpy", "pillow", "safetensors")


class Clock:
    """Seconds by phase, in the order in which the phases ended."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._began = time.monotonic()

    def lap(self, phase: str) -> None:
        now = time.monotonic()
        self.laps[phase] = round(self.laps.get(phase, 0.0) + now - self._began, 2)
        self._began = now

    def __str__(self) -> str:
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in self.laps.items())
        return f"{sum(self.laps.values()):.1f} s ({phases})"


def model_card(
    name: str,
    backbone: Backbone,
    classes: tuple[str, ...],
    labels: tuple[str, ...],
    *,
    metrics: dict[str, float],
    data_sha256: str | None,
    created: datetime | None = None,
) -> ModelCard:
    """The card of a model made now, or at `created`. Completing the artifact fills in `files`."""
    return ModelCard(
        name=name,
        architecture=backbone.architecture,
        classes=classes,
        labels=labels,
        input_size=backbone.size,
        mean=tuple(backbone.mean),
        std=tuple(backbone.std),
        precision=graph.PRECISION,
        created=(created or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        metrics=metrics,
        data_sha256=data_sha256,
        code_sha256=code_hash(),
        libraries={library: version(library) for library in LIBRARIES},
        files={},
    )


def save_weights(
    folder: Path, backbone: Backbone, weight: torch.Tensor, bias: torch.Tensor, references: References | None = None
) -> None:
    """Write weights.safetensors: the backbone's state dict under `backbone.`, `head.weight` and `head.bias`, and under
    `references.` the fields of `references`."""
    parameters = {f"backbone.{key}": value for key, value in backbone.network.state_dict().items()}
    parameters |= {"head.weight": weight, "head.bias": bias}
    if references:
        parameters |= {
            f"{REFERENCES}{key}": torch.as_tensor(value) for key, value in vars(references).items() if value is not None
        }
    save_file({key: value.contiguous() for key, value in parameters.items()}, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(
        0o644
    )  # safetensors makes it readable for its owner only, and serving may run as another user


def code_hash() -> str:
    """The SHA-256 of the code that made a model: the files of this package (modules and the report's template)."""
    total = hashlib.sha256()
    package = Path(__file__).parents[1]
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in sorted(files):
        total.update(
            f"{path.relative_to(package).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return total.hexdigest()
