"""Ports for programs that have to be told theirs before they listen."""

import contextlib
import random
import socket

# Below what Linux, macOS and Windows assign to a program that asks for any port, and above what Ray gives to
# its workers: no other program gets such a port between our look and the program's start.
CANDIDATES = range(20_000, 30_000)


def free_port() -> int:
    """A port that nobody has on 127.0.0.1 at this moment. Raises OSError where none can be found."""
    for port in random.SystemRandom().sample(CANDIDATES, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"No free port was found between {CANDIDATES.start} and {CANDIDATES.stop}.")
