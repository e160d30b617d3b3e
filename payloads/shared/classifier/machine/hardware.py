"""The description of a run's machine from the operating system. Standard library only."""

import os
import platform
import resource
import sys
from pathlib import Path


def describe() -> dict[str, str | int | float]:
    """Name -> value for the results: processor, memory, system. Unknown values are left out."""
    known = {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "peak_memory_gb": _peak_memory_gb(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }
    return {name: value for name, value in known.items() if value}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())  # missing on ARM


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None


def _peak_memory_gb() -> float:
    """Of this process: kibibytes on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e9, 2)
