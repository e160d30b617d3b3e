"""Prepare the environments of images, or list them: see `localaws.images`."""

import argparse
import sys

from localaws import images
from localaws.images import prepare


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localaws.images", description="The image environments.")
    commands = parser.add_subparsers(dest="command", required=True)
    preparing = commands.add_parser("prepare", help="make the environments, as far as they are missing")
    preparing.add_argument("images", nargs="*", metavar="IMAGE", help="repository:tag; default: all")
    preparing.add_argument(
        "--if-possible", action="store_true", help="go on without an image whose Python is not on this machine"
    )
    commands.add_parser("list", help="say what stands in for each image")
    arguments = parser.parse_args()
    if arguments.command == "list":
        for name, words in images.summary().items():
            print(f"{name}: {words}")
        return 0
    for name in arguments.images or [image.name for image in images.IMAGES]:
        image = images.find(name)
        if image is None:
            known = ", ".join(each.name for each in images.IMAGES)
            parser.error(f"{name} has no lock here; there are {known}")
        try:
            prepare.prepare(image)
        except images.ImageError as error:
            print(error, file=sys.stderr)
            if not arguments.if_possible:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
