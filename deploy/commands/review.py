"""`make review`: label captured images in a page on this machine, and add them to the next version of the dataset."""

from __future__ import annotations

from deploy import console, environment
from deploy.browser import open_in_browser
from deploy.console import Failure
from deploy.guarded_server import port
from deploy.review import session, version
from deploy.review.server import ReviewServer
from deploy.terraform import Stack


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main() -> None:
    parser = console.Parser(description="Label captured images and add them to the next version of the dataset.")
    parser.add_argument("--data", help="a dataset in the bucket, whose classes are the labels; default: the latest one")
    parser.add_argument("--name", help="the name of the next version; default: that of the dataset with -v2, -v3, …")
    parser.add_argument("--limit", type=positive, default=200, help="how many of the newest captures; default: 200")
    parser.add_argument("--port", type=port, default=0, help="the port on 127.0.0.1; default: any free port")
    given = parser.parse_args()
    deployment = Stack(environment.current()).require_deployment()
    base = version.base_of(deployment, given.data)
    name = version.chosen_name(deployment, base, given.name)
    review = session.begin(deployment, base, name, given.limit)
    try:
        server = ReviewServer(review, given.port, say=lambda words: console.out.print(f"  {words}", markup=False))
    except OSError as error:
        raise Failure(
            f"Port {given.port} cannot be used: {error.strerror}. Leave out PORT to use any free port."
        ) from error
    with server:
        opened = "" if open_in_browser(server.address) else ": open it in a browser of this machine"
        left = sum(item.id not in review.decisions.labels for item in review.items)
        console.done(f"{server.address} shows {left:,} captured image{'s' * (left != 1)}{opened}")
        for line in review.left_out:
            console.out.print(f"  {line}", markup=False)
        console.out.print("  To stop: Ctrl-C. Each label is kept at once.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.out.print()
            waiting = review.state()["to_add"]
            console.done(
                f"The page is closed. {waiting:,} label{'s' * (waiting != 1)} not added yet: "
                f"{console.make('review')} goes on with {'it' if waiting == 1 else 'them'}."
                if waiting
                else "The page is closed."
            )


if __name__ == "__main__":
    console.run(main)
