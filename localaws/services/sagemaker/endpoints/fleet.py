"""Fleets of hosting containers: one process per instance, health-checked, replaced when it dies, drained when done.

The contract is SageMaker's: `GET /ping` answers 200 within four minutes of the start, `POST /invocations` within
60 seconds, SIGTERM is followed by SIGKILL 30 seconds later.
"""

import contextlib
import itertools
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Generator

from localaws import logs
from localaws.context import context
from localaws.services.sagemaker.endpoints.container import (
    HostingError,
    HostingInstance,
    LogPlace,
    Variant,
    unpack_model,
)

HEALTHY_SECONDS = 240  # LOCALAWS_HEALTHY_SECONDS is for machines that are much slower than an instance
INVOCATION_SECONDS = 60
START_POLL_SECONDS = 0.1
PING_INTERVAL_SECONDS = 5.0
PINGS_TO_FAIL = 3
MEMORY_INTERVAL_SECONDS = 1.0
MAX_RESTART_DELAY = 30.0

log = logging.getLogger(__name__)


def healthy_seconds() -> float:
    """How long a container may take until it is healthy."""
    return float(os.environ.get("LOCALAWS_HEALTHY_SECONDS") or HEALTHY_SECONDS)


def unhealthy_reason(variant: Variant, said: str | None) -> str:
    """SageMaker's words for a container that does not become healthy, with the last words of the container."""
    return (
        f"The primary container for production variant {variant.name} did not pass the ping health check. "
        f"Please check CloudWatch logs for this endpoint." + (f" The container's last words: {said}" if said else "")
    )


class InstanceFleet:
    """The instances of one variant of one deployment of an endpoint."""

    def __init__(
        self,
        endpoint: str,
        region: str,
        variant: Variant,
        changed: Callable[[], None],
        config: str = "",
        place: LogPlace | None = None,
    ):
        self._place = place
        self.variant = variant
        self.config = config  # the endpoint configuration's name, a dimension of its metrics
        self.desired = variant.count
        self._endpoint = endpoint
        self._region = region
        self._changed = changed  # called when the number of healthy instances has changed
        self._directory = context().home / "endpoints" / region / endpoint / f"{variant.name}-{secrets.token_hex(4)}"
        self._instances: list[HostingInstance] = []
        self._condition = threading.Condition()
        self._turn = itertools.count()
        self._ending = False
        self._starting = 0
        self._failure: str | None = None
        self._was_healthy = False
        self._restart_delay = 0.0

    # --- starting and keeping ---

    def start(self) -> None:
        """Fetch and unpack the model, then start the instances. Raises HostingError."""
        self.variant.require_image(self._region)
        unpack_model(self.variant, self._directory, self._region)
        for _ in range(self.desired):
            self._launch(delay=0)
        threading.Thread(target=self._keep, name=f"keep {self._endpoint}/{self.variant.name}", daemon=True).start()

    def wait_healthy(self, abandoned: threading.Event) -> None:
        """Wait until as many instances as desired are healthy. Raises HostingError when that cannot be."""
        deadline = time.monotonic() + healthy_seconds()
        while self.healthy_count < self.desired:
            if abandoned.is_set():
                raise HostingError("The deployment was abandoned.")
            if self._failure is not None or time.monotonic() > deadline:
                raise HostingError(self._unhealthy_reason())
            with self._condition:
                self._condition.wait(START_POLL_SECONDS)
        self._was_healthy = True

    def scale(self, count: int) -> None:
        """Start or drain instances until there are `count`."""
        with self._condition:
            self.desired = count
            surplus = self._instances[count:]
            del self._instances[count:]
            missing = count - len(self._instances)
        for _ in range(missing):
            self._launch(delay=0)
        self._drain(surplus)

    @property
    def healthy_count(self) -> int:
        with self._condition:
            return sum(instance.healthy for instance in self._instances)

    def healthy_instances(self) -> list[HostingInstance]:
        with self._condition:
            return [instance for instance in self._instances if instance.healthy]

    def in_flight(self) -> list[int]:
        """How many requests each healthy instance has at the moment."""
        with self._condition:
            return [instance.in_flight for instance in self._instances if instance.healthy]

    # --- serving ---

    @contextlib.contextmanager
    def instance(self, tried: set[str] = frozenset()) -> Generator[HostingInstance | None]:
        """A healthy instance not in `tried`, in turn, counted as busy meanwhile; None if there is none."""
        with self._condition:
            healthy = [each for each in self._instances if each.healthy and each.id not in tried]
            chosen = healthy[next(self._turn) % len(healthy)] if healthy else None
            if chosen:
                chosen.in_flight += 1
        try:
            yield chosen
        finally:
            if chosen:
                with self._condition:
                    chosen.in_flight -= 1
                    self._condition.notify_all()

    # --- ending ---

    def end(self, drain: bool = True) -> None:
        """End all instances, after their requests where `drain`, and forget the model's files."""
        with self._condition:
            self._ending = True
            instances, self._instances = self._instances, []
            self._condition.notify_all()
            # One that is being started is stopped by its own thread, and still writes to the endpoint's log group.
            self._condition.wait_for(lambda: self._starting == 0)
        self._drain(instances, INVOCATION_SECONDS if drain else 0)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _drain(self, instances: list[HostingInstance], seconds: float = INVOCATION_SECONDS) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not any(each.in_flight for each in instances), timeout=seconds)
        stops = [threading.Thread(target=each.stop) for each in instances]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    # --- within ---

    def _launch(self, delay: float) -> None:
        """Start one more instance after `delay` seconds, if by then one more is wanted."""
        instance = HostingInstance(self._directory, self._place)
        with self._condition:
            if self._condition.wait_for(lambda: self._ending, timeout=delay) or len(self._instances) >= self.desired:
                return
            self._instances.append(instance)
            self._starting += 1
        try:
            instance.start(self._endpoint, self._region, self.variant, lambda *end: self._replace(instance, *end))
            with self._condition:
                unwanted = instance not in self._instances  # ended or scaled away while it was being started
            if unwanted:
                instance.stop()
        except (OSError, RuntimeError) as error:
            with self._condition:
                self._failure = str(error)
                self._instances = [each for each in self._instances if each is not instance]
        finally:
            with self._condition:
                self._starting -= 1
                self._condition.notify_all()

    def _replace(self, instance: HostingInstance, returncode: int, lived: float) -> None:
        """A container has ended: one that was not told to is replaced, later and later if it keeps ending."""
        with self._condition:
            if instance not in self._instances:
                return
            instance.healthy = False
            if not self._was_healthy:
                self._failure = logs.last_error(instance.log) or f"the container exited with status {returncode}"
                return
            self._instances.remove(instance)
            lasting = lived > MAX_RESTART_DELAY
            delay = 0.0 if lasting else self._restart_delay
            self._restart_delay = 0.0 if lasting else min(MAX_RESTART_DELAY, 2 * delay or 1.0)
        log.warning("%s: instance %s ended (%s); replacing it", self._endpoint, instance.id, returncode)
        self._changed()
        self._launch(delay)

    def _keep(self) -> None:
        """Ping: new instances until they answer, healthy ones now and then. Ends with the fleet."""
        next_ping = next_look = 0.0
        while not self._ending:
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + MEMORY_INTERVAL_SECONDS
                with self._condition:
                    watched = list(self._instances)
                for instance in watched:
                    instance.end_if_out_of_memory(self.variant)
            due = time.monotonic() >= next_ping
            if due:
                next_ping = time.monotonic() + PING_INTERVAL_SECONDS
            with self._condition:
                instances = [each for each in self._instances if due or not each.healthy]
            for instance in instances:
                self._check(instance)
            with self._condition:
                self._condition.wait_for(lambda: self._ending, timeout=START_POLL_SECONDS)

    def _check(self, instance: HostingInstance) -> None:
        answers = instance.ping()
        if answers and not instance.healthy:
            with self._condition:
                instance.healthy = instance.child is not None and instance.child.running
                instance.failed_pings = 0
                self._condition.notify_all()
            self._changed()
        elif instance.healthy and instance.child is not None:
            instance.failed_pings = 0 if answers else instance.failed_pings + 1
            if instance.failed_pings == PINGS_TO_FAIL:
                instance.stop()  # its end has it replaced

    def _unhealthy_reason(self) -> str:
        with self._condition:
            said = self._failure or next((line for each in self._instances if (line := logs.last_error(each.log))), "")
        return unhealthy_reason(self.variant, said)
