"""Print the progress of a long step to the log."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

SECONDS = 2.0

Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield the items. Print `features train 512/1680` every SECONDS seconds, and the rate at the end."""
    began = printed = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - printed >= SECONDS:
            printed = time.monotonic()
            print(f"{label} {done}/{total}", flush=True)
        yield item
    rate = total / max(time.monotonic() - began, 1e-9)
    print(f"{label} {total}/{total} ({rate:.0f} images/s)", flush=True)
