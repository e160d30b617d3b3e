"""The containers of a serverless variant: started by requests, one request each, stopped after idleness.

Source: "Deploy models with Amazon SageMaker Serverless Inference" in the SageMaker developer guide. A request goes to
an idle container. Without one, it starts a container and waits (a cold start). Requests beyond MaxConcurrency are
throttled. Not documented, and assumed here: a creation or an update starts one container, so that a model that does not
start fails it; a container stops after five minutes without a request, as environments of Lambda do here; and an
answer that is not there after the 60 seconds of an invocation is ModelNotReadyException, by that error's description in
botocore's model ("a serverless endpoint variant's resources are still being provisioned").
"""

import contextlib
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Generator

from localaws import clock, logs
from localaws.context import context
from localaws.services.sagemaker.endpoints.container import HostingError, HostingInstance, Variant, unpack_model
from localaws.services.sagemaker.endpoints.fleet import (
    INVOCATION_SECONDS,
    MEMORY_INTERVAL_SECONDS,
    START_POLL_SECONDS,
    healthy_seconds,
    unhealthy_reason,
)

IDLE_SECONDS = 300.0  # AWS's, so LOCALAWS_TIME_SCALE shortens them

log = logging.getLogger(__name__)


class TooManyRequests(Exception):
    """As many requests as MaxConcurrency are in flight."""


class NotReady(Exception):
    """The container of a cold start is not ready within the time of an invocation. It goes on starting."""


class StartFailed(Exception):
    """The container of a cold start has ended. The message has its last words."""


class ServerlessFleet:
    """The containers of one serverless variant of one deployment. It has the methods of an InstanceFleet."""

    def __init__(self, endpoint: str, region: str, variant: Variant, changed: Callable[[], None], config: str = ""):
        assert variant.serverless is not None
        self.variant = variant
        self.config = config  # the endpoint configuration's name, a dimension of its metrics
        self.desired = 0
        self._limit = variant.serverless.max_concurrency
        self._endpoint, self._region, self._changed = endpoint, region, changed
        self._directory = context().home / "endpoints" / region / endpoint / f"{variant.name}-{secrets.token_hex(4)}"
        self._instances: list[HostingInstance] = []
        self._idle_since: dict[str, float] = {}
        self._failures: dict[str, str] = {}
        self._condition = threading.Condition()
        self._requests = 0
        self._started = False
        self._ending = False

    # --- as an InstanceFleet ---

    def start(self) -> None:
        """Fetch and unpack the model, and start the first container. Raises HostingError."""
        self.variant.require_image(self._region)
        unpack_model(self.variant, self._directory, self._region)
        try:
            self._first = self._launch()
        except (OSError, RuntimeError) as error:
            raise HostingError(str(error)) from error
        threading.Thread(target=self._keep, name=f"keep {self._endpoint}/{self.variant.name}", daemon=True).start()

    def wait_healthy(self, abandoned: threading.Event) -> None:
        """Wait until the first container is healthy. Raises HostingError when that cannot be."""
        if self._started:  # a change of weights; by now the first container may have been stopped
            return
        deadline = time.monotonic() + healthy_seconds()
        while not self._first.healthy:
            if abandoned.is_set():
                raise HostingError("The deployment was abandoned.")
            failure = self._failures.get(self._first.id)
            if failure is not None or time.monotonic() > deadline:
                raise HostingError(unhealthy_reason(self.variant, failure or logs.last_error(self._first.log)))
            with self._condition:
                self._condition.wait(START_POLL_SECONDS)
        self._started = True
        self._give_back(self._first)

    def scale(self, count: int) -> None:
        """Nothing: requests start containers, and UpdateEndpointWeightsAndCapacities has refused a count."""

    @property
    def healthy_count(self) -> int:
        with self._condition:
            return sum(each.healthy for each in self._instances)

    @property
    def utilization(self) -> float:
        """The share of MaxConcurrency that requests use at the moment, those that wait for a start included."""
        with self._condition:
            return self._requests / self._limit

    @contextlib.contextmanager
    def instance(self, tried: set[str] = frozenset()) -> Generator[HostingInstance | None]:
        """A container for one request; its `setup_seconds` are those of a cold start, 0 for a warm one.

        None if the fleet is ending. Raises TooManyRequests, NotReady and StartFailed.
        """
        with self._condition:
            if self._ending:
                chosen = None
            elif self._requests >= self._limit:
                raise TooManyRequests
            else:
                self._requests += 1
                chosen = self._take(tried)
        if chosen is None and self._ending:
            yield None
            return
        try:
            if chosen is None:
                chosen = self._cold_start()
            yield chosen
        finally:
            with self._condition:
                self._requests -= 1
            if chosen is not None:
                self._give_back(chosen)

    def end(self, drain: bool = True) -> None:
        """End all containers, after their requests where `drain`, and forget the model's files."""
        with self._condition:
            self._ending = True
            self._condition.notify_all()
            if drain:
                self._condition.wait_for(lambda: self._requests == 0, timeout=INVOCATION_SECONDS)
            instances, self._instances = self._instances, []
        self._stop(instances)
        shutil.rmtree(self._directory, ignore_errors=True)

    # --- within ---

    def _take(self, tried: set[str]) -> HostingInstance | None:
        """The idle container that was used last. The caller has the lock."""
        idle = [each for each in self._instances if each.id in self._idle_since and each.id not in tried]
        if not idle:
            return None
        chosen = max(idle, key=lambda each: self._idle_since[each.id])
        del self._idle_since[chosen.id]
        chosen.in_flight, chosen.setup_seconds = 1, 0.0
        return chosen

    def _cold_start(self) -> HostingInstance:
        began = time.monotonic()
        try:
            instance = self._claim() or self._launch()
        except (OSError, RuntimeError) as error:
            raise StartFailed(str(error)) from error
        with self._condition:
            ready = self._condition.wait_for(
                lambda: instance.healthy or instance.id in self._failures, timeout=INVOCATION_SECONDS
            )
            if instance.healthy:
                instance.in_flight, instance.setup_seconds = 1, time.monotonic() - began
                return instance
            if ready:
                raise StartFailed(self._failures[instance.id])
            instance.unclaimed = True
        raise NotReady

    def _claim(self) -> HostingInstance | None:
        """A container that is still starting and whose request has given up."""
        with self._condition:
            found = next((each for each in self._instances if each.unclaimed and not each.healthy), None)
            if found:
                found.unclaimed = False
            return found

    def _launch(self) -> HostingInstance:
        instance = HostingInstance(self._directory)
        with self._condition:
            self._instances.append(instance)
        try:
            instance.start(self._endpoint, self._region, self.variant, lambda *_: self._ended(instance, *_))
        except (OSError, RuntimeError):
            with self._condition:
                self._instances.remove(instance)
            raise
        return instance

    def _ended(self, instance: HostingInstance, returncode: int, _lived: float) -> None:
        """A container has ended. The next request that needs one starts another."""
        with self._condition:
            said = logs.last_error(instance.log)
            self._failures[instance.id] = said or f"the container exited with status {returncode}"
            instance.healthy = False
            self._idle_since.pop(instance.id, None)
            self._instances = [each for each in self._instances if each is not instance]
            self._condition.notify_all()
        self._changed()

    def _give_back(self, instance: HostingInstance) -> None:
        with self._condition:
            instance.in_flight = 0
            if instance in self._instances and instance.healthy:
                self._idle_since[instance.id] = time.monotonic()
            self._condition.notify_all()

    def _keep(self) -> None:
        """Ping new containers until they answer, and stop those that are idle for long. Ends with the fleet."""
        next_look = 0.0
        while not self._ending:
            with self._condition:
                starting = [each for each in self._instances if not each.healthy]
                running = list(self._instances)
            for instance in starting:
                if instance.ping():
                    self._became_healthy(instance)
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + MEMORY_INTERVAL_SECONDS
                for instance in running:
                    instance.end_if_out_of_memory(self.variant)
                self._stop(self._idle_for_long())
            with self._condition:
                self._condition.wait_for(lambda: self._ending, timeout=START_POLL_SECONDS)

    def _became_healthy(self, instance: HostingInstance) -> None:
        with self._condition:
            instance.healthy = instance.child is not None and instance.child.running
            unclaimed = instance.unclaimed
            self._condition.notify_all()
        if unclaimed:  # its request has got NotReady; the next one finds it warm
            self._give_back(instance)
        self._changed()

    def _idle_for_long(self) -> list[HostingInstance]:
        """Take out the containers whose time without a request is over."""
        before = time.monotonic() - clock.real(IDLE_SECONDS)
        with self._condition:
            gone = [each for each in self._instances if self._idle_since.get(each.id, before + 1) <= before]
            for each in gone:
                self._instances.remove(each)
                del self._idle_since[each.id]
        return gone

    def _stop(self, instances: list[HostingInstance]) -> None:
        stops = [threading.Thread(target=each.stop) for each in instances]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()
