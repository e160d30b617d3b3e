"""Fleets of hosting containers: one process per instance, health-checked, replaced when it dies, drained when done.

The contract is SageMaker's: `GET /ping` answers 200 within four minutes of the start, `POST /invocations` within
60 seconds, SIGTERM is followed by SIGKILL 30 seconds later.
"""

import contextlib
import http.client
import itertools
import logging
import secrets
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

from botocore.exceptions import ClientError

from localaws import logs
from localaws.context import context
from localaws.supervisor import Child

CONTAINER = Path(__file__).with_name("hosting_container.py")
HEALTHY_SECONDS = 240
INVOCATION_SECONDS = 60
STOP_SECONDS = 30
START_POLL_SECONDS = 0.1
PING_SECONDS = 5.0
PINGS_TO_FAIL = 3
MAX_RESTART_DELAY = 30.0

log = logging.getLogger(__name__)


class HostingError(Exception):
    """A fleet cannot serve; the message is fit to be a FailureReason."""


@dataclass(frozen=True)
class Variant:
    """A production variant as deployed: the model it serves and how many instances were asked for."""

    name: str
    model_name: str
    image: str
    model_data_url: str
    environment: dict[str, str] = field(hash=False)
    isolated: bool
    count: int
    weight: float


class Instance:
    """One hosting container and the requests it is answering."""

    def __init__(self, directory: Path):
        self.id = "i-" + secrets.token_hex(8)
        self.port_file = directory / f"{self.id}.port"
        self.log = directory / f"{self.id}.log"
        self.child: Child | None = None
        self.healthy = False
        self.in_flight = 0
        self.failed_pings = 0

    @property
    def port(self) -> int:
        return int(self.port_file.read_text())

    def ping(self) -> bool:
        """Whether `/ping` answers 200 in time; False while the port is not known yet."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_SECONDS)
            with contextlib.closing(connection):
                connection.request("GET", "/ping")
                return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


class Fleet:
    """The instances of one variant of one deployment of an endpoint."""

    def __init__(self, endpoint: str, region: str, variant: Variant, changed: Callable[[], None]):
        self.variant = variant
        self.desired = variant.count
        self._endpoint = endpoint
        self._region = region
        self._changed = changed  # called when the number of healthy instances has changed
        self._directory = context().home / "endpoints" / region / endpoint / f"{variant.name}-{secrets.token_hex(4)}"
        self._instances: list[Instance] = []
        self._condition = threading.Condition()
        self._turn = itertools.count()
        self._ending = False
        self._failure: str | None = None
        self._was_healthy = False
        self._restart_delay = 0.0

    # --- starting and keeping ---

    def start(self) -> None:
        """Fetch and unpack the model, then start the instances. Raises HostingError."""
        self._unpack()
        for _ in range(self.desired):
            self._launch(delay=0)
        threading.Thread(target=self._keep, name=f"keep {self._endpoint}/{self.variant.name}", daemon=True).start()

    def wait_healthy(self, abandoned: threading.Event) -> None:
        """Wait until as many instances as desired are healthy. Raises HostingError when that cannot be."""
        deadline = time.monotonic() + HEALTHY_SECONDS
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

    # --- serving ---

    @contextlib.contextmanager
    def instance(self, tried: set[str] = frozenset()) -> Iterator[Instance | None]:
        """A healthy instance not in `tried`, in turn, counted as busy meanwhile; None where there is none."""
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
        self._drain(instances, INVOCATION_SECONDS if drain else 0)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _drain(self, instances: list[Instance], seconds: float = INVOCATION_SECONDS) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not any(each.in_flight for each in instances), timeout=seconds)
        stops = [
            threading.Thread(target=context().supervisor.stop, args=(each.child, STOP_SECONDS))
            for each in instances
            if each.child is not None
        ]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    # --- within ---

    def _unpack(self) -> None:
        url = urlparse(self.variant.model_data_url)
        model = self._directory / "model"
        model.mkdir(parents=True, exist_ok=True)
        archive = self._directory / "model.tar.gz"
        try:
            context().client("s3", self._region).download_file(url.netloc, url.path.lstrip("/"), str(archive))
            with tarfile.open(archive) as tar:
                tar.extractall(model, filter="data")
        except ClientError as error:
            raise HostingError(
                f'Failed to download model data for variant "{self.variant.name}" from URL '
                f'"{self.variant.model_data_url}". Please ensure that there is an object located at the URL. '
                f"({error.response['Error']['Code']})"
            ) from error
        except (tarfile.TarError, EOFError, OSError) as error:
            raise HostingError(
                f'Failed to extract model data archive for variant "{self.variant.name}" from URL '
                f'"{self.variant.model_data_url}". Please ensure that it is a valid tar.gz archive. ({error})'
            ) from error
        finally:
            archive.unlink(missing_ok=True)

    def _launch(self, delay: float) -> None:
        instance = Instance(self._directory)
        with self._condition:
            if self._condition.wait_for(lambda: self._ending, timeout=delay) or len(self._instances) >= self.desired:
                return
            self._instances.append(instance)
        started = time.monotonic()
        follower = logs.Follower(
            instance.log,
            f"/aws/sagemaker/Endpoints/{self._endpoint}",
            f"{self.variant.name}/{instance.id}",
            self._region,
        )

        def ended(returncode: int) -> None:
            follower.finish()
            self._replace(instance, returncode, time.monotonic() - started)

        extra = {"SAGEMAKER_BASE_DIR": str(self._directory), "SM_MODEL_DIR": str(self._directory / "model")}
        environment = context().child_environment(self._region, **{**extra, **self.variant.environment})
        if self.variant.isolated:  # nothing to reach it with, either
            environment = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
        argv = [context().python, "-P", str(CONTAINER), "--model-dir", str(self._directory / "model")]
        argv += ["--port-file", str(instance.port_file), *(["--isolated"] if self.variant.isolated else [])]
        try:
            instance.child = context().supervisor.spawn(
                f"endpoint {self._endpoint}/{self.variant.name}",
                argv,
                env=environment,
                cwd=self._directory / "model",
                log=instance.log,
                on_exit=ended,
            )
        except (OSError, RuntimeError) as error:
            follower.finish()
            with self._condition:
                self._failure = str(error)
                self._instances = [each for each in self._instances if each is not instance]
            return
        with self._condition:
            unwanted = instance not in self._instances  # ended or scaled away while it was being started
        if unwanted:
            context().supervisor.stop(instance.child, STOP_SECONDS)

    def _replace(self, instance: Instance, returncode: int, lived: float) -> None:
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
        next_ping = 0.0
        while not self._ending:
            due = time.monotonic() >= next_ping
            if due:
                next_ping = time.monotonic() + PING_SECONDS
            with self._condition:
                instances = [each for each in self._instances if due or not each.healthy]
            for instance in instances:
                self._check(instance)
            with self._condition:
                self._condition.wait_for(lambda: self._ending, timeout=START_POLL_SECONDS)

    def _check(self, instance: Instance) -> None:
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
                context().supervisor.stop(instance.child, STOP_SECONDS)  # its end has it replaced

    def _unhealthy_reason(self) -> str:
        with self._condition:
            said = self._failure or next((line for each in self._instances if (line := logs.last_error(each.log))), "")
        return (
            f"The primary container for production variant {self.variant.name} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint."
            + (f" The container's last words: {said}" if said else "")
        )
