"""`make data`: check a folder of labelled photographs and upload it. Without a folder, upload the built-in sample."""

from __future__ import annotations

from pathlib import Path

from deploy import console, environment
from deploy.console import Failure
from deploy.datasets import put, put_sample
from deploy.terraform import Stack


def main() -> None:
    parser = console.Parser(description="Check and upload labelled photographs.")
    parser.add_argument("directory", nargs="?", type=Path, help="an ImageFolder; default: the built-in sample")
    directory = parser.parse_args().directory
    stack = Stack(environment.current())
    if directory and not directory.is_dir():
        raise Failure(f"The folder {directory} does not exist.")
    deployment = stack.require_deployment()
    put(deployment, directory) if directory else put_sample(deployment)


if __name__ == "__main__":
    console.run(main)
