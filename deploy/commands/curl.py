"""`make curl`: print a curl line that asks the function URL about an image, and with --run run it too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deploy import console, environment
from deploy.console import Failure
from deploy.function import curl_line, sample_image
from deploy.terraform import Stack


def main() -> int:
    parser = console.Parser(description="Print a curl line that asks the function URL.")
    parser.add_argument("--image", type=Path, help="the file that the curl line sends; default: a digit of the sample")
    parser.add_argument("--run", action="store_true", help="run the curl line too")
    arguments = parser.parse_args()
    deployment = Stack(environment.current()).require_deployment()
    image = arguments.image or sample_image()
    if not image.is_file():
        raise Failure(f"There is no file {image}.")
    line = curl_line(deployment, image)
    print(line)
    if not deployment.env.rehearsed and deployment.predictor_auth_type == "AWS_IAM":
        export = 'eval "$(aws configure export-credentials --format env)"'
        print(f"# the line reads your credentials from the environment: {export}", file=sys.stderr)
    if not arguments.run:
        return 0
    sys.stdout.flush()
    code = subprocess.run(["/bin/sh", "-c", line]).returncode
    print()
    return code


if __name__ == "__main__":
    console.run(main)
