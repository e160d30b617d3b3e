"""Network isolation where no namespace could be had: every Python process of the container refuses to connect.

Only loopback is let through, which an isolated container has too. It keeps honest code honest. It is not a sandbox:
native code can go around it.
"""

import socket
import sys


def refuse_connections(event: str, arguments: tuple) -> None:
    if event != "socket.connect" or arguments[0].family not in (socket.AF_INET, socket.AF_INET6):
        return
    if not str(arguments[1][0]).startswith(("127.", "::1", "localhost")):
        raise PermissionError(f"Network isolation is on: this model may not connect to {arguments[1]}.")


sys.addaudithook(refuse_connections)
