"""Service times for the simulation, from the measurement that a load test left.

An instance answers `ceiling` requests a second with some threads, and one request takes it a known time. The number of
threads is the product of both, rounded; the service time is scaled so that all threads together reach the ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deploy.capacity.system import Times
from deploy.load.measurement import Measurement

LEAST_OVERHEAD = 0.001  # seconds
START = 300.0  # an instance on AWS: AWS states no time (SURPRISES.md)
# Starts of the function, of a serverless container, and of a function with the model: docs/ENDPOINT-KINDS.md.
FUNCTION_START, CONTAINER_START, OWN_MODEL_START = 0.4, 29.0, 2.0
PROCESSORS = {"medium": 2, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}


@dataclass(frozen=True)
class Calibration:
    """One instance of `instance_type`: `servers` threads that take `service`. `overhead` is a call without the model.

    `words` say where the figures are from.
    """

    service: Times
    servers: int
    overhead: Times
    start: Times
    instance_type: str
    words: str

    @property
    def ceiling(self) -> float:
        """Requests a second of one instance."""
        return self.servers / self.service.mean

    def servers_of(self, instance_type: str) -> int:
        """Threads of another type, in proportion to its processors. Raises KeyError for a size without a number."""
        own, other = (PROCESSORS[each.rpartition(".")[2]] for each in (self.instance_type, instance_type))
        return max(1, round(self.servers * other / own))


def calibrate(measured: Measurement, source: str, start: float | None = None) -> Calibration:
    """`start`: seconds that an instance takes to start, instead of what was measured."""
    single = np.array(measured.single)
    fleet = max(1, measured.instances)
    one = measured.ceiling / fleet
    model = min(measured.model or float(np.median(single)), float(np.median(single)))
    servers = max(1, round(one * model))
    mean = servers / one
    spread = Times.of(single)
    service = spread.scaled(mean / spread.mean)
    overhead = max(LEAST_OVERHEAD, float(np.median(single)) - model)
    began = start or measured.start or START
    from_where = (
        "given" if start else "measured" if measured.start else "assumed, no instance started during the load test"
    )
    words = (
        f"{source} ({measured.target}, {measured.kind}, {measured.taken}): {one:.1f} requests/s of one "
        f"{measured.instance_type or 'instance'}, {servers} at a time, {mean * 1000:.0f} ms each; "
        f"{overhead * 1000:.0f} ms besides; an instance starts in {began:.0f} s ({from_where})"
    )
    kind = measured.instance_type or "ml.m5.large"
    return Calibration(service, servers, Times.fixed(overhead), Times.fixed(began), kind, words)
