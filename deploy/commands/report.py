"""`make report`: download a run's report and open it."""

from __future__ import annotations

from deploy import console, environment, runs
from deploy.browser import open_in_browser
from deploy.reports import ARCHIVE, fetch
from deploy.terraform import Stack


def main() -> None:
    parser = console.Parser(description="Download and open a training run's report.")
    parser.add_argument("run", nargs="?", help="a run's or tuning job's name; default: the last run")
    wanted = parser.parse_args().run
    deployment = Stack(environment.current()).require_deployment()
    run = runs.find(deployment, wanted, ARCHIVE)
    path, listing = fetch(deployment, run)
    opened = "" if open_in_browser(path.as_uri()) else ": open it in a browser"
    console.done(f"The report of {run}{opened}\n  {path}")
    if listing:
        again = console.make(f"data DATA={listing} NAME=…")
        console.out.print(f"  Its list of photographs, the doubtful ones first: {listing}\n  Corrected: {again}")


if __name__ == "__main__":
    console.run(main)
