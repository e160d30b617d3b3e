"""A notebook instance that runs: its status is what its JupyterLab is."""

import threading
import time
from typing import Any

from localaws import logs, state
from localaws.services.iam.service_roles import SAGEMAKER, ServiceRole
from localaws.services.sagemaker.notebooks.machine import NotebookMachine, ScriptFailed
from localaws.services.sagemaker.records import InvalidRequest, Record, now

START_SECONDS = 180.0
POLL_SECONDS = 0.1
AT_REST = ("Stopped", "Failed")

_lock = threading.RLock()  # over changes of status; never held while processes start or end


class NotebookInstance(Record):
    """A notebook instance. `starts` counts its servers, so that one that is gone is not heard."""

    def __init__(self, name: str, region: str, request: dict[str, Any]):
        super().__init__("notebook-instance", name, region, request)
        self.status = "Stopped"  # until it is started, which creating it does
        self.failure_reason: str | None = None
        self.starts = 0

    @property
    def machine(self) -> NotebookMachine:
        role = ServiceRole(self.request["RoleArn"], SAGEMAKER, "SageMaker", self.region)
        return NotebookMachine(self.name, self.region, role)

    def require(self, statuses: tuple[str, ...], target: str) -> None:
        """Raise the InvalidRequest that AWS gives where the status is none of these."""
        if self.status not in statuses:
            raise InvalidRequest(
                f"Status ({self.status}) not in ([{', '.join(statuses)}]). Unable to transition to ({target}) "
                f"for Notebook Instance ({self.arn})"
            )

    def leave(self, statuses: tuple[str, ...], target: str) -> int:
        """Enter `target` from one of these; gives the number of the start. No earlier server is heard from here on."""
        with _lock:
            self.require(statuses, target)
            self.starts += 1
            self._enter(target)
            return self.starts

    def start(self, scripts: dict[str, bytes]) -> None:
        """Run the lifecycle scripts (hook to content) in their order, then JupyterLab. In service once it answers.

        Raises InvalidRequest unless the instance is at rest.
        """
        number = self.leave(AT_REST, "Pending")
        threading.Thread(target=self._start, args=(number, scripts), name=f"start {self.name}", daemon=True).start()

    def stop(self) -> None:
        """End the server and its kernels; the volume stays. Raises InvalidRequest unless the instance is in service."""
        self.leave(("InService",), "Stopping")

        def end() -> None:
            self.machine.halt()
            with _lock:
                if self.status == "Stopping":
                    self._enter("Stopped")

        threading.Thread(target=end, name=f"stop {self.name}", daemon=True).start()

    def suspend(self) -> None:
        """Stopped, because the local AWS is: like any machine, it does not start again by itself."""
        with _lock:
            self.starts += 1
            self._enter("Stopped", "The local AWS was stopped.")

    def _start(self, number: int, scripts: dict[str, bytes]) -> None:
        try:
            for hook, content in scripts.items():
                self.machine.run_script(hook, content)
            self._serve(number)
        except ScriptFailed as error:
            config = self.request["LifecycleConfigName"]
            self._fail(number, f"Notebook Instance Lifecycle Config '{config}' failed in its {hook} script: {error}")
        except (OSError, RuntimeError) as error:
            self._fail(number, f"The notebook instance could not start: {error}")

    def _serve(self, number: int) -> None:
        machine = self.machine

        def ended(code: int) -> None:
            self._fail(number, f"JupyterLab ended with status {code}: {logs.last_error(machine.log)}")

        server = machine.start_server(ended)
        deadline = time.monotonic() + START_SECONDS
        while not machine.answers():
            if not server.running:
                return  # `ended` has said why
            if time.monotonic() > deadline:
                self._fail(number, f"JupyterLab did not answer within {START_SECONDS:.0f} s.")
                machine.halt()
                return
            time.sleep(POLL_SECONDS)
        with _lock:
            if number == self.starts:
                self._enter("InService")

    def _fail(self, number: int, reason: str) -> None:
        with _lock:
            if number == self.starts:
                self.starts += 1
                self._enter("Failed", reason)

    def _enter(self, status: str, reason: str | None = None) -> None:
        self.status, self.failure_reason, self.modified = status, reason, now()
        state.touch()
