"""`make export`: write a trained model as a file for other runtimes, and compare its answers with the original's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from deploy import console, environment, predictions
from deploy.console import Failure
from deploy.export import onnx_file
from deploy.function import sample_image
from deploy.sagemaker.promotion import check_archive, find_model
from deploy.terraform import Stack

MOST_IMAGES = 200  # that are compared
# Why there is no converter for a format, and what to do.
WITHOUT = {
    "tflite": "LiteRT's converter (litert-torch) needs other versions of this project's packages. Convert the ONNX "
    "file in an environment of its own",
    "coreml": "Core ML runs on macOS only, so its answers could not be compared here. Convert the ONNX file's network "
    "with coremltools on a Mac",
}
# The largest difference of a probability that rounding explains. A graph in int8 differs by more.
ROUNDING = 0.001


def main() -> int:
    parser = console.Parser(description="Write a trained model as a file for other runtimes.")
    parser.add_argument("--format", choices=("onnx", *WITHOUT), default="onnx", help="onnx (default)")
    parser.add_argument("--model", help="a run's name, a tuning job or an S3 URI; default: the newest")
    parser.add_argument("--images", help="a folder of images to compare the answers on; default: a digit of the sample")
    parser.add_argument("--out", type=Path, help="the file; default: <run>.onnx")
    arguments = parser.parse_args()
    if arguments.format in WITHOUT:
        way_out = console.make("export FORMAT=onnx")
        raise Failure(f"FORMAT={arguments.format} is not possible: {WITHOUT[arguments.format]}: {way_out}")
    deployment = Stack(environment.current()).require_deployment()
    uri = find_model(deployment, arguments.model)
    checked = check_archive(deployment, uri)
    archive = deployment.env.home / "models" / f"{checked.etag}.tar.gz"
    return export(archive, arguments.images, arguments.out or Path(f"{checked.card.name}.onnx"))


def export(archive: Path, images: str | None, target: Path) -> int:
    """Write the model of an archive as ONNX and compare. Returns the command's status: 1 if the answers differ by more
    than rounding, although both are float32."""
    from classifier import artifact

    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder)
        artifact.extract(archive, unpacked)
        card = artifact.read_card(unpacked)
        pictures = decoded(images, card.input_size)
        console.step(f"Writing {card.name} ({card.architecture}, {len(card.classes)} classes) as ONNX")
        onnx_file.write(unpacked, card, target)
        found = onnx_file.compare(unpacked, target, pictures)
    size = target.stat().st_size / 1e6
    console.done(
        f"{target} ({size:.1f} MB, float32): image uint8 [N, {card.input_size}, {card.input_size}, 3] to probabilities"
    )
    console.out.print(
        f"  On {found.images} images: largest difference of a probability {found.largest:.6f}, the same first label "
        f"for {found.same_label}. The original's graph is {card.precision}."
    )
    if found.largest > ROUNDING and card.precision == "fp32":
        console.fail(f"The answers differ by more than rounding ({ROUNDING}). Do not use the file.")
        return 1
    return 0


def decoded(images: str | None, size: int) -> list[np.ndarray]:
    """The images as the endpoint decodes them. It leaves out those that cannot be decoded, and names them."""
    from classifier.contract import ApiError
    from classifier.images.decoding import decode

    paths = predictions.images_below(Path(images))[:MOST_IMAGES] if images else [sample_image()]
    found = []
    for path in paths:
        try:
            found.append(decode(path.read_bytes(), size))
        except ApiError as error:
            console.warn(f"{path}: {error.message}")
    if not found:
        raise Failure(f"{images} has no image to compare the answers on. IMAGES= names a folder of photographs.")
    return found


if __name__ == "__main__":
    console.run(main)
