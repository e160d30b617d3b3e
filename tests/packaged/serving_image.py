"""A model in AWS's serving image, started as by the local AWS: the image's Python and packages, loopback only."""

import contextlib
import http.client
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws import images
from localaws.services.sagemaker.endpoints.container import CONTAINERS, SANDBOX
from localaws.supervisor import Supervisor

IMAGE = images.find("ray:serve-ml-sagemaker-cpu-v1.4")
BACKEND = {"RAYSERVE_BACKEND_URL": "http://127.0.0.1:9000"}  # the value of terraform/modules/endpoint
WAIT = 1200  # seconds until a container without an answer fails


def require() -> images.Image:
    """The prepared serving image. Skips the test with a message if its Python is not on this machine."""
    if IMAGE.prepared() is None:
        pytest.skip(f"the environment of {IMAGE.name} is not prepared, which needs Python {IMAGE.python}: make images")
    return IMAGE


class Container:
    """A started container: its address, its process and its log."""

    def __init__(self, child: object, log: Path, port_file: Path):
        self.child, self.log, self._port_file = child, log, port_file

    @property
    def port(self) -> int:
        return int(self._port_file.read_text())

    def ask(self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None):
        """(status, content type, body) of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.getheader("content-type"), answer.read()

    def healthy(self) -> bool:
        return self._port_file.exists() and self.ask("GET", "/ping")[0] == 200

    def wait_healthy(self) -> None:
        deadline = time.monotonic() + WAIT
        while not self.healthy():
            assert self.child.running and time.monotonic() < deadline, self.log.read_text()[-6000:]
            time.sleep(0.2)


@contextlib.contextmanager
def container(model: Path, folder: Path, variables: dict[str, str] = BACKEND) -> Iterator[Container]:
    """A container that serves the unpacked artifact `model`. It ends with all its child processes."""
    image = require()
    supervisor = Supervisor(folder)
    log, port_file = folder / "container.log", folder / "port"
    command = [str(image.interpreter), "-I", str(SANDBOX), "--isolated", "--processors", "2", "--"]
    command += [str(image.interpreter), "-P", str(CONTAINERS[image.contract])]
    command += ["--model-dir", str(model), "--port-file", str(port_file)]
    with tempfile.TemporaryDirectory(prefix="localaws-") as scratch:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": scratch, **variables}
        child = supervisor.spawn("container", command, env=environment, cwd=model, log=log)
        try:
            yield Container(child, log, port_file)
        finally:
            supervisor.stop(child)


def load_graph(model: Path) -> subprocess.CompletedProcess:
    """Load the artifact's graph with the packages of the artifact, in a clean interpreter of the image."""
    code = """
import sys
import inference
print(inference.model_fn(sys.argv[1]).card.name)
"""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(model / "code")}
    command = [str(require().interpreter), "-c", code, str(model)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT)
