"""`make predict`: send an image to the function URL and print the JSON answer, or many and show a table or a CSV."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deploy import console, environment, predictions
from deploy.console import Failure
from deploy.function import ask, payload
from deploy.terraform import Stack


def main() -> int:
    parser = console.Parser(description="Send an image to the function URL.")
    parser.add_argument(
        "image",
        nargs="?",
        help="a file or URL; or a folder, pattern (*.jpg) or s3://… for a table; default: a digit of the sample data",
    )
    parser.add_argument("--top-k", type=int, help="number of classes in the answer")
    parser.add_argument("--out", type=Path, help="the file for a CSV of the answers; default: a table")
    arguments = parser.parse_args()
    stack = Stack(environment.current())
    if arguments.image:
        images = predictions.find(stack.require_deployment(), arguments.image, one_too=arguments.out is not None)
        if images is not None:
            failures = predictions.answer(stack.require_deployment(), images, arguments.top_k, arguments.out)
            return 1 if failures else 0
    if arguments.out:
        raise Failure("OUT is for files, folders, patterns and s3:// addresses. Name them in IMAGE.")
    body, content_type = payload(arguments.image)
    deployment = stack.require_deployment()
    query = f"?top_k={arguments.top_k}" if arguments.top_k else ""
    status, answer = ask(deployment, body, content_type, query)
    try:
        print(json.dumps(json.loads(answer), indent=2))
    except ValueError:
        print(answer.decode(errors="replace"))
    if predictions.is_unknown(answer):
        print("Not one of the classes: the picture is unlike the training photographs.", file=sys.stderr)
    if status != 200:
        print(f"HTTP status {status}", file=sys.stderr)
    return 0 if status == 200 else 1


if __name__ == "__main__":
    console.run(main)
