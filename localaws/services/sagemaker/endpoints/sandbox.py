"""Start a container's program with what its instance would have: processors, and no network if it is isolated.

    python -I sandbox.py [--isolated] [--processors N] -- PROGRAM ARGUMENT ...

Standard library only, since it runs under the interpreter of the container's image. It opens the one socket on which
the program is asked, on 127.0.0.1 with a port of its own, and passes it as the file descriptor LISTENER_FD names. Then
the process moves to a network namespace in which there is only loopback, if the user may create one: ports are as on an
instance of its own, and nothing leaves. The socket stays where it was opened, so that the local AWS still reaches it.
NETWORK says which: `namespace`, `check` (isolated, but no namespace could be created: the program must refuse to
connect) or `host`.
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

LISTENER_FD, NETWORK = "LOCALAWS_LISTENER_FD", "LOCALAWS_NETWORK"
NAMESPACE, CHECK, HOST = "namespace", "check", "host"
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # sched.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h
BACKLOG = 256


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--isolated", action="store_true")
    parser.add_argument("--processors", type=int, default=0, help="at most this many; 0: all")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    listener.set_inheritable(True)
    limit_processors(options.processors)
    network = HOST
    if options.isolated:
        network = NAMESPACE if enter_namespace() else CHECK
    words = {NAMESPACE: "a network namespace with loopback only", CHECK: "connections are refused by a check", HOST: ""}
    if words[network]:
        print(f"Network isolation: {words[network]}.", flush=True)
    os.environ[LISTENER_FD], os.environ[NETWORK] = str(listener.fileno()), network
    os.execv(options.command[0], options.command)  # noqa: S606 (no shell is wanted)


def limit_processors(count: int) -> None:
    """Keep to `count` of the processors that this process may use. Not on macOS, which has no such setting."""
    if count and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def enter_namespace() -> bool:
    """Move this process to a network namespace of its own in which only loopback is up; False if it may not."""
    if not sys.platform.startswith("linux"):
        return False
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        with contextlib.suppress(OSError):  # kernels before 3.19 do not have it
            write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{user} {user} 1")
        write("/proc/self/gid_map", f"{group} {group} 1")
    bring_up("lo")
    return True


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


def bring_up(interface: str) -> None:
    """Set an interface's IFF_UP, as `ip link set INTERFACE up` does. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", interface.encode(), 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", interface.encode(), flags | IFF_UP))


if __name__ == "__main__":
    main()
