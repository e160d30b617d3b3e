"""`make data`: check labelled photographs and upload them. Without a source, upload the built-in sample."""

from __future__ import annotations

from deploy import console, environment
from deploy.console import Failure
from deploy.datasets import put, put_sample
from deploy.photographs import divide, sources
from deploy.terraform import Stack


def main() -> None:
    parser = console.Parser(description="Check and upload labelled photographs.")
    parser.add_argument(
        "source", nargs="?", help="a folder, a CSV or JSONL list, a .zip, a .tar.gz or s3://…; default: the sample"
    )
    parser.add_argument("--name", help="name of the dataset; default: that of the source")
    parser.add_argument(
        "--split", default=divide.SHARES, help="train/valid/test in percent, for photographs that are not divided"
    )
    parser.add_argument("--seed", type=int, default=divide.SEED, help="decides the order in which they are divided")
    given = parser.parse_args()
    stack = Stack(environment.current())
    divide.shares_of(given.split)
    if given.source and not sources.exists(given.source):
        raise Failure(f"{given.source} does not exist. DATA= takes a folder, a list, a .zip, a .tar.gz or s3://….")
    deployment = stack.require_deployment()
    if given.source:
        put(deployment, given.source, name=given.name, shares=given.split, seed=given.seed)
    else:
        put_sample(deployment)


if __name__ == "__main__":
    console.run(main)
