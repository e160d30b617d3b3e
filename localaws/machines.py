"""What an instance type has: processors and memory, from the EC2 types that moto ships (AWS's own list).

A SageMaker type `ml.m5.large` is an EC2 `m5.large`: AWS lists the same processors and memory for both
(https://aws.amazon.com/sagemaker/ai/pricing/).
"""

import functools
from dataclasses import dataclass

from localaws.supervisor import Child

LAMBDA_MB_PER_PROCESSOR = 1769  # Lambda developer guide, "Configure Lambda function memory"


@dataclass(frozen=True)
class Memory:
    """The memory of a machine, and what kind of machine that is in words ("an ml.m5.large")."""

    machine: str
    limit: int  # bytes


@functools.cache
def _types() -> dict:
    from moto.ec2.models.instance_types import INSTANCE_TYPES  # a file of megabytes

    return INSTANCE_TYPES


def processors(instance_type: str) -> int:
    """The virtual processors of a type, 0 for one that is not known."""
    found = _types().get(instance_type.removeprefix("ml."))
    return found["VCpuInfo"]["DefaultVCpus"] if found else 0


def cpu_options(instance_type: str) -> dict[str, int]:
    """The cores of a type and their threads, empty for one that is not known."""
    found = _types().get(instance_type, {}).get("VCpuInfo", {})
    names = {"CoreCount": "DefaultCores", "ThreadsPerCore": "DefaultThreadsPerCore"}
    return {name: found[theirs] for name, theirs in names.items() if theirs in found}


def is_free_tier(instance_type: str) -> bool:
    """Whether AWS lists an EC2 type as eligible for the free tier, as `describe-instance-types` shows it."""
    found = _types().get(instance_type)
    return bool(found and found["FreeTierEligible"])


def memory_bytes(instance_type: str) -> int | None:
    """The memory of a type in bytes, None for one that is not known."""
    found = _types().get(instance_type.removeprefix("ml."))
    return found["MemoryInfo"]["SizeInMiB"] * 1024 * 1024 if found else None


def memory_of(instance_type: str) -> Memory | None:
    """The memory of an instance of a type, None for one that is not known."""
    limit = memory_bytes(instance_type)
    return None if limit is None else Memory(f"an {instance_type}", limit)


def out_of_memory(child: Child, memory: Memory | None) -> str | None:
    """The words for a container that uses more memory than its machine has, None for one that does not. The system
    there kills such a container, and so must the caller."""
    if memory is None or not child.running:
        return None
    used = child.memory_bytes(enough=memory.limit)
    if used <= memory.limit:
        return None
    sizes = f"{used / 1024**3:.1f} GiB, and {memory.machine} has {memory.limit / 1024**3:.1f} GiB"
    return f"OutOfMemoryError: the container uses {sizes}. It is killed."
