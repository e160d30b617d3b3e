"""A SageMaker notebook instance as a directory and a real JupyterLab that works in it.

What it has of an instance: the volume (`SageMaker/`, which outlives stops), lifecycle scripts that run at creation and
at every start and must succeed, a log, and a Jupyter server behind a URL that carries its token. What it has not: an
operating system of its own. Lifecycle scripts run as the user who runs the local AWS, in the instance's directory; what
is `/home/ec2-user` on AWS is the folder that NOTEBOOK_HOME names.
"""

import contextlib
import http.client
import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from localaws import logs
from localaws.context import context
from localaws.services.iam.service_roles import ServiceRole, credentials_address
from localaws.supervisor import Child

LOG_GROUP = "/aws/sagemaker/NotebookInstances"
SCRIPT_SECONDS = 300  # SageMaker's limit for a lifecycle script
STOP_SECONDS = 10.0
PING_SECONDS = 5.0
JUPYTERLAB = (
    "--no-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port=0",
    "--LabApp.extension_manager=readonly",
)
# The rehearsal needs no network, and asks nobody for news and updates.
PAGE_CONFIG = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


class ScriptFailed(Exception):
    """A lifecycle script did not succeed; the message is what it ended with."""


class NotebookMachine:
    """One notebook instance's directory and processes. It has no state: that is what its processes are."""

    def __init__(self, name: str, region: str, role: ServiceRole):
        self.name = name
        self.region = region
        self.role = role
        self.directory = context().home / "notebooks" / region / name
        self.home = self.directory / "home"
        self.volume = self.home / "SageMaker"
        self.log = self.directory / "jupyter.log"
        self.owner = f"notebook {region}/{name}"
        self._config = self.directory / "config"
        self._runtime = self.directory / "runtime"

    def run_script(self, hook: str, content: bytes) -> None:
        """Run a lifecycle script, `hook` being OnCreate or OnStart, to its end. Raises ScriptFailed, OSError."""
        self.volume.mkdir(parents=True, exist_ok=True)
        script, log = self.directory / hook, self.directory / f"{hook}.log"
        script.write_bytes(content)
        script.chmod(0o700)
        log.unlink(missing_ok=True)  # what a script fails with is looked for in it
        child = self._spawn([str(script)], f"LifecycleConfig{hook}", log, self.directory)
        try:
            code = child.wait(SCRIPT_SECONDS)
        except TimeoutError:
            context().supervisor.stop(child)
            raise ScriptFailed("it took longer than 5 minutes") from None
        if code != 0:
            raise ScriptFailed(f"status {code}: {logs.last_error(log)}")

    def start_server(self, on_end: Callable[[int], None]) -> Child:
        """Start JupyterLab; `on_end(returncode)` is called when it has ended. Raises OSError, RuntimeError."""
        self.volume.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._runtime, ignore_errors=True)  # the address of the server before
        self.log.unlink(missing_ok=True)
        page_config = self._config / "labconfig" / "page_config.json"
        page_config.parent.mkdir(parents=True, exist_ok=True)
        page_config.write_text(json.dumps(PAGE_CONFIG))
        argv = [context().python, "-P", "-m", "jupyterlab", *JUPYTERLAB, f"--ServerApp.root_dir={self.volume}"]
        settings = {
            "JUPYTER_TOKEN": secrets.token_urlsafe(32),
            "JUPYTER_RUNTIME_DIR": str(self._runtime),
            "JUPYTER_CONFIG_PATH": str(self._config),
        }
        return self._spawn(argv, "jupyter.log", self.log, self.volume, on_end, settings)

    def answers(self) -> bool:
        """Whether the server answers to its token; False while it starts."""
        server = self._server()
        if server is None:
            return False
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server["port"], timeout=PING_SECONDS)
            with contextlib.closing(connection):
                connection.request("GET", "/api/status", headers={"Authorization": f"token {server['token']}"})
                return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def url(self) -> str:
        """The address that opens JupyterLab, its token included. Only while the server answers."""
        server = self._server()
        assert server is not None
        return f"http://127.0.0.1:{server['port']}/lab?{urlencode({'token': server['token']})}"

    def halt(self) -> None:
        """End the server and its kernels."""
        context().supervisor.stop_owner(self.owner, STOP_SECONDS)

    def erase(self) -> None:
        """Remove the instance's directory, its volume included. Only when it is halted."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _server(self) -> dict[str, Any] | None:
        """What JupyterLab wrote about itself once it listened: port, token."""
        for record in self._runtime.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):  # written at this moment
                return json.loads(record.read_text())
        return None

    def _spawn(
        self,
        argv: list[str],
        stream: str,
        log: Path,
        cwd: Path,
        on_end: Callable[[int], None] = lambda code: None,
        more: dict[str, str] | None = None,
    ) -> Child:
        """Start a process of the instance, with its output in a log stream of the instance's own."""
        environment = context().child_environment(
            self.region,
            credentials=credentials_address(lambda: self.role),
            HOME=str(self.home),
            NOTEBOOK_HOME=str(self.home),
            **(more or {}),
        )
        follower = logs.Follower(log, LOG_GROUP, f"{self.name}/{stream}", self.region, role=self.role)

        def ended(code: int) -> None:
            follower.finish()
            on_end(code)

        try:
            return context().supervisor.spawn(self.owner, argv, env=environment, cwd=cwd, log=log, on_exit=ended)
        except (OSError, RuntimeError):
            follower.finish()
            raise
