"""One hosting container: its model's files, its process, its health."""

import contextlib
import http.client
import math
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import ClientError

from localaws import images, logs, machines
from localaws.archives import ArchiveError, unpack_tar
from localaws.context import context
from localaws.services.iam import service_roles
from localaws.services.iam.service_roles import SAGEMAKER, CannotAssume, ServiceDenied, ServiceRole
from localaws.services.sagemaker.metadata import model_location
from localaws.supervisor import Child

HERE = Path(__file__).parent
SANDBOX = HERE / "sandbox.py"
# What runs in a container, by the image's contract; without an environment of the image, the handlers alone.
CONTAINERS = {images.RAY_SERVE: HERE / "ray_serve.py", None: HERE / "own_container.py"}
PING_SECONDS = 5.0
STOP_SECONDS = 30


class HostingError(Exception):
    """A fleet cannot serve; the message is fit to be a FailureReason."""


@dataclass(frozen=True)
class Serverless:
    """The ServerlessConfig of a variant: the memory of a container, and how many requests it serves at once."""

    memory_mb: int
    max_concurrency: int


@dataclass(frozen=True)
class Variant:
    """A production variant as deployed: the model it serves and how many instances were asked for."""

    name: str
    image: str
    model_data_url: str
    environment: dict[str, str] = field(hash=False)
    isolated: bool
    count: int
    weight: float
    instance_type: str = ""  # states from before these fields exist read as ""
    role_arn: str = ""
    serverless: Serverless | None = None
    metrics: str = "/aws/sagemaker/Endpoints"  # the namespace of the metrics of its instances

    @property
    def processors(self) -> int:
        """The processors of a container, 0 if its type is not known. A serverless one has "more vCPUs" with more
        memory; AWS gives no numbers. Here it has Lambda's, one for each 1,769 MB, because it "integrates with" it."""
        if self.serverless:
            return math.ceil(self.serverless.memory_mb / machines.LAMBDA_MB_PER_PROCESSOR)
        return machines.processors(self.instance_type)

    @property
    def machine(self) -> machines.Memory | None:
        """The memory of a container, None if its type is not known."""
        if self.serverless:
            name = f"a serverless container of {self.serverless.memory_mb} MB"
            return machines.Memory(name, self.serverless.memory_mb * 1024 * 1024)
        return machines.memory_of(self.instance_type)

    def role(self, region: str) -> ServiceRole:
        """What the instances act for."""
        return ServiceRole(self.role_arn, SAGEMAKER, "SageMaker", region)

    def require_image(self, region: str) -> None:
        """Raise HostingError unless the role may pull the image from its registry.

        Records that an instance writes its metrics with the role; without that permission AWS has none of them.
        """
        role = self.role(region)
        role.decide("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": self.metrics})
        try:
            role.require(service_roles.permissions_to_pull(self.image))
        except ServiceDenied as error:
            raise HostingError(
                f'The image "{self.image}" of variant "{self.name}" cannot be pulled. Please ensure that the role '
                f'"{self.role_arn}" has the permissions to pull it. {error}'
            ) from error


def unpack_model(variant: Variant, folder: Path, region: str) -> None:
    """Fetch a variant's archive with its role, and unpack it to `folder/model`. Raises HostingError."""
    location = model_location(variant.model_data_url)
    assert location is not None  # CreateModel has refused any other address
    archive = folder / "model.tar.gz"
    (folder / "model").mkdir(parents=True, exist_ok=True)
    try:
        variant.role(region).client("s3").download_file(*location, str(archive))
        unpack_tar(archive, folder / "model")
    except ClientError as error:
        # AWS's words (mlflow #2573). They name the role, and not the action that it lacks.
        raise HostingError(
            f'Failed to download model data for container "container_1" from URL: "{variant.model_data_url}". Please '
            "ensure that there is an object located at the URL and that the role passed to CreateModel has permissions "
            "to download the object."
        ) from error
    except CannotAssume as error:
        raise HostingError(
            service_roles.no_access_to_model(variant.model_data_url, variant.role_arn, region)
        ) from error
    except (ArchiveError, OSError) as error:
        shutil.rmtree(folder / "model", ignore_errors=True)
        raise HostingError(
            f'Failed to extract model data archive for variant "{variant.name}" from URL '
            f'"{variant.model_data_url}". Please ensure that it is a valid tar.gz archive. ({error})'
        ) from error
    finally:
        archive.unlink(missing_ok=True)


@dataclass(frozen=True)
class LogPlace:
    """Where the lines of containers go: to the stream `variant/instance` with a suffix. `owner` is what they are of."""

    group: str
    suffix: str = ""
    owner: str = "endpoint"


class HostingInstance:
    """A container that serves the model in `folder/model`, and the requests it is answering.

    `healthy`, `in_flight` and `failed_pings` are kept by its fleet.
    """

    def __init__(self, folder: Path, place: LogPlace | None = None):
        self._place = place
        self.id = "i-" + secrets.token_hex(8)
        self.log = folder / f"{self.id}.log"
        self.child: Child | None = None
        self.healthy = False
        self.in_flight = 0
        self.failed_pings = 0
        self.setup_seconds = 0.0  # of the request that it serves: what its cold start took
        self.unclaimed = False  # the request that started it has given up
        self._folder = folder
        self._port_file = folder / f"{self.id}.port"
        self._scratch: Path | None = None

    @property
    def port(self) -> int:
        """The port it answers on. Raises OSError until it has said so."""
        return int(self._port_file.read_text())

    def start(self, endpoint: str, region: str, variant: Variant, ended: Callable[[int, float], None]) -> None:
        """Start the process; `ended(returncode, seconds)` is called when it has ended. Raises OSError, RuntimeError (an
        ImageError is one)."""
        began = time.monotonic()
        chosen = images.environment(variant.image)
        place = self._place or LogPlace(f"/aws/sagemaker/Endpoints/{endpoint}")
        role = variant.role(region)
        stream = f"{variant.name}/{self.id}{place.suffix}"
        follower = logs.Follower(self.log, place.group, stream, region, role=role)

        def on_exit(returncode: int) -> None:
            follower.finish()
            shutil.rmtree(self._scratch, ignore_errors=True)
            ended(returncode, time.monotonic() - began)

        model = self._folder / "model"
        # A short path: Ray's sockets are in it, and the system takes at most 107 characters for the path of one.
        self._scratch = Path(tempfile.mkdtemp(prefix="localaws-"))
        given = {"SM_MODEL_DIR": str(model), "TMPDIR": str(self._scratch), **variant.environment}
        credentials = service_roles.credentials_address(lambda: role)
        environment = context().child_environment(region, credentials=credentials, **given)
        contract = chosen.image.contract if chosen.image else None
        argv = [chosen.python, "-I", str(SANDBOX), "--processors", str(variant.processors)]
        if variant.isolated:  # it may connect to nothing, and has nothing to connect with
            argv.append("--isolated")
            environment = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
        argv += ["--", chosen.python, "-P", str(CONTAINERS[contract]), "--model-dir", str(model)]
        argv += ["--port-file", str(self._port_file)]
        if contract is None and "pytorch" in variant.image.rpartition("/")[2]:
            argv += ["--framework", "pytorch"]
        with self.log.open("a") as log:
            log.write(f"This container runs with {chosen.description}.\n")
        owner = f"{place.owner} {endpoint}/{variant.name}"
        try:
            self.child = context().supervisor.spawn(
                owner, argv, env=environment, cwd=model, log=self.log, on_exit=on_exit
            )
        except (OSError, RuntimeError):
            follower.finish()
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise

    def stop(self) -> None:
        """SIGTERM, on which it finishes what it is answering; SIGKILL after 30 seconds."""
        if self.child is not None:
            context().supervisor.stop(self.child, STOP_SECONDS)

    def kill(self) -> None:
        """End the process at once, as a machine that is lost."""
        if self.child is not None:
            self.child.send(signal.SIGKILL)

    def end_if_out_of_memory(self, variant: Variant) -> None:
        """Kill the container if it uses more memory than its machine has, as the system there does."""
        if self.child is not None and (words := machines.out_of_memory(self.child, variant.machine)):
            with self.log.open("a") as log:
                log.write(f"{words}\n")
            self.kill()

    def ping(self) -> bool:
        """Whether `/ping` answers 200 in time; False while the port is not known yet."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_SECONDS)
            with contextlib.closing(connection):
                connection.request("GET", "/ping")
                return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
