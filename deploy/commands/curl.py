"""`make curl`: print a curl command that sends an image to the function URL."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy import console, environment
from deploy.console import Failure
from deploy.function import credentials_hint, curl_line, sample_image
from deploy.terraform import Stack


def main() -> None:
    parser = console.Parser(description="Print a curl command that sends an image to the function URL.")
    parser.add_argument("--image", type=Path, help="the file to send; default: a digit of the sample")
    arguments = parser.parse_args()
    deployment = Stack(environment.current()).require_deployment()
    image = arguments.image or sample_image()
    if not image.is_file():
        raise Failure(f"The file {image} does not exist.")
    print(curl_line(deployment, image))
    if hint := credentials_hint(deployment):
        print(hint, file=sys.stderr)


if __name__ == "__main__":
    console.run(main)
