"""`make dashboard`: the screen of `make status` and charts of the last half hour, live until Ctrl-C.

If the output is not a terminal, it prints one frame.
"""

from __future__ import annotations

import sys
import time

from rich.console import Group
from rich.live import Live

from deploy import console, environment
from deploy.deployment import Deployment
from deploy.terraform import Stack
from deploy.watching import charts, screen, traffic
from deploy.watching.screen import View
from deploy.watching.traffic import ObservedTraffic, Series

MINUTES = 30
ON_AWS = 10.0  # seconds between frames: each asks CloudWatch for a dozen metrics


class Frames:
    """Makes frames. CloudWatch has no metric of the number of instances, so it is kept from the first frame on."""

    def __init__(self, deployment: Deployment):
        self._deployment = deployment
        self._instances: Series = []

    def next(self) -> Group:
        """The frame of now."""
        now = time.time()
        view = screen.look(self._deployment, MINUTES)
        return Group(screen.table(view), "", charts.table(self._history(view, now), now, MINUTES))

    def _history(self, view: View, now: float) -> ObservedTraffic:
        found = [part.instances for part in view.parts if part.instances is not None]
        if found:
            self._instances = [each for each in self._instances if each[0] > now - MINUTES * traffic.PERIOD]
            self._instances.append((now, float(sum(found))))
        series = view.history.series if view.history else {}
        return ObservedTraffic({**series, **({"instances": self._instances} if self._instances else {})})


def main() -> None:
    env = environment.current()
    deployment = Stack(env).require_deployment()
    frames = Frames(deployment)
    if not sys.stdout.isatty():
        console.out.print(frames.next(), soft_wrap=False)
        return
    with Live(frames.next(), console=console.out, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(env.poll_seconds(ON_AWS))
                live.update(frames.next(), refresh=True)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    console.run(main)
