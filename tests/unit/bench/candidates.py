"""Fake candidates with known measurements."""

import os
import sys
from pathlib import Path


def counting(start: float, step: float, log: str = ""):
    """start, start + step, ... and a record of each measurement, to check the order."""
    state = [start - step]

    def measure() -> dict:
        state[0] += step
        print("noise on stdout, as progress bars make")
        if log:
            with Path(log).open("a") as file:
                file.write(f"{start:g} {os.getpid()}\n")
        return {"value": state[0], "seen": os.environ.get("SEEN")}

    def close() -> None:
        if log:
            with Path(log).open("a") as file:
                file.write(f"closed {start:g}\n")

    measure.close = close
    return measure


def failing():
    def measure() -> float:
        sys.exit("out of luck")

    return measure
