"""The processes of a distributed training: the rank of this process, and their communication.

torchrun starts one process per GPU, or one per instance without GPUs. It sets environment variables with the rank of
each process. A program without torchrun is a world of one process and runs the same code, in which gather and broadcast
do nothing.

Rank 0 is the writer: only it prints, and writes checkpoints and results. Processes exchange tensors, with gloo between
memories and with NCCL between GPUs. Received data is never unpickled.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed as dist
from torch import nn

GATHERED_ROWS = 4096  # in one step, so the memory does not grow with the number of images
# The longest wait for another process. While the writer trains a head, the others do nothing.
PATIENCE = timedelta(hours=2)

Value = TypeVar("Value")


def _in_memory(*shape: int) -> np.ndarray:
    return np.empty(shape, np.float32)


class DistributedError(Exception):
    """Another process of the same training has ended. The message refers to its log."""


@dataclass(frozen=True)
class World:
    """The rank of this process among `size` processes. `local_size` of them are on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_writer(self) -> bool:
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """The GPU of this process, or the processor if the machine has no GPU."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def share(self, rows: Any) -> Any:
        """The rows of a sequence or tensor for this process: every `size`th row. So the lengths of two shares differ by
        at most one."""
        return rows[self.rank :: self.size]

    def gather(
        self, own: np.ndarray, total: int, allocate: Callable[..., np.ndarray] = _in_memory
    ) -> np.ndarray | None:
        """The `total` rows that `share` distributed, in their original order, on the writer. None on the others.

        `allocate(total, width)` makes the writer's array, if it must not be in memory.
        """
        if self.size == 1:
            return own
        whole = allocate(total, *own.shape[1:]) if self.is_writer else None
        longest = -(-total // self.size)
        for start in range(0, longest, GATHERED_ROWS):
            rows = torch.from_numpy(own[start : start + GATHERED_ROWS])
            # Equal lengths on all processes, because gather requires that. The surplus is cut off below.
            sent = torch.zeros(min(GATHERED_ROWS, longest - start), *own.shape[1:], dtype=rows.dtype)
            sent[: len(rows)] = rows
            received = [torch.empty_like(sent) for _ in range(self.size)] if self.is_writer else None
            dist.gather(sent, received)
            if whole is not None and received is not None:
                for rank, part in enumerate(received):
                    place = whole[rank :: self.size][start : start + GATHERED_ROWS]
                    place[:] = part[: len(place)].numpy()
        return whole

    def sum(self, value: float) -> float:
        """The sum of the values of all processes, on every process."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total)
        return total.item()

    def broadcast(self, value: Any) -> Any:
        """The writer's value, on every process: numbers, text, tensors, and lists and dicts of them. The values of the
        others are ignored."""
        if self.size == 1:
            return value
        buffer = io.BytesIO()
        if self.is_writer:
            torch.save(value, buffer)
        length = torch.tensor(buffer.tell())
        dist.broadcast(length, 0)
        content = torch.empty(int(length), dtype=torch.uint8)
        if self.is_writer:
            content.numpy()[:] = np.frombuffer(buffer.getbuffer(), np.uint8)
        dist.broadcast(content, 0)
        if self.is_writer:
            return value
        return torch.load(io.BytesIO(content.numpy().tobytes()), weights_only=True, map_location="cpu")

    def broadcast_as(self, kind: type[Value], value: Value | None) -> Value:
        """Like `broadcast`, for a dataclass `kind` of such values."""
        return kind(**self.broadcast(vars(value) if self.is_writer else None))

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network for training. In the backward pass, each gradient becomes its mean over the processes."""
        if self.size == 1:
            return network
        devices = [self.local_rank] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=devices)


ALONE = World()


@contextlib.contextmanager
def joined() -> Generator[World]:
    """The world of torchrun's variables, connected with the other processes.

    Raises DistributedError if another process is lost.
    """
    names = {"rank": "RANK", "size": "WORLD_SIZE", "local_rank": "LOCAL_RANK", "local_size": "LOCAL_WORLD_SIZE"}
    world = World(**{name: int(os.environ[variable]) for name, variable in names.items() if variable in os.environ})
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    if world.size == 1:
        yield world
        return
    backend = "cpu:gloo,cuda:nccl" if world.device.type == "cuda" else "gloo"
    with contextlib.ExitStack() as stack:
        if not world.is_writer:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        try:
            dist.init_process_group(backend, timeout=PATIENCE)
            if world.device.type == "cpu":
                _keep_to_own_processors(world)
            yield world
        except RuntimeError as error:
            if not _is_lost_connection(error):
                raise
            raise DistributedError(
                f"Process {world.rank} of {world.size} lost the others: one of them ended. The log of its "
                f"instance has the reason ({str(error).splitlines()[0]})"
            ) from None
        # Only without a failure: after one it could wait for processes that have ended.
        dist.destroy_process_group()


def _keep_to_own_processors(world: World) -> None:
    """If processes of the world share a machine, as in a rehearsal, bind each to its part of the processors.

    Otherwise they would compete for processors. Some runtimes pin threads to the first processors, and the others would
    be idle. If there are more processes than processors, nothing is changed.
    """
    if not hasattr(os, "sched_setaffinity"):  # missing on macOS
        return
    allowed = sorted(os.sched_getaffinity(0))
    machine = f"{Path('/proc/sys/kernel/random/boot_id').read_text()} {allowed}"
    mine = torch.tensor(int.from_bytes(hashlib.sha256(machine.encode()).digest()[:7], "big"))
    each = [torch.empty_like(mine) for _ in range(world.size)]
    dist.all_gather(each, mine)
    here = [rank for rank, other in enumerate(each) if other == mine]
    number, place = len(allowed) // len(here), here.index(world.rank)
    if len(here) > 1 and number:
        os.sched_setaffinity(0, allowed[place * number : (place + 1) * number])


def _is_lost_connection(error: RuntimeError) -> bool:
    """Whether an error means a lost connection. gloo has no exception class for that, only a message."""
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "connection" in str(error).lower()
