"""torchrun, with its store on 127.0.0.1 only. Runs in the container's Python, in the place of its `torchrun`.

Every host of a job runs on this machine and finds the store at 127.0.0.1. PyTorch listens on all addresses of the
machine all the same (pytorch issue 173909), so anybody in the network could read and change the store, and its values
are pickles. The store takes a socket that listens already, so it gets one.
"""

import socket
import sys
from typing import Any

from torch.distributed import TCPStore, run
from torch.distributed.elastic.rendezvous import static_tcp_rendezvous

BACKLOG = 2048


def loopback_store(address: str, port: int, world_size: int, is_master: bool, *rest: Any, **named: Any) -> TCPStore:
    """The store that torchrun asks for. Its master listens on the address where the others look for it."""
    if is_master:
        listening = socket.create_server((address, port), backlog=BACKLOG)
        named["master_listen_fd"] = listening.detach()  # the store closes it
    return TCPStore(address, port, world_size, is_master, *rest, **named)


if __name__ == "__main__":
    static_tcp_rendezvous.TCPStore = loopback_store
    run.main(sys.argv[1:])
