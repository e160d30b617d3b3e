"""A Lambda environment: one process of AWS's own runtime client, serving one request at a time.

The contract is the Lambda developer guide's "execution environment life cycle": code from /var/task, the reserved
environment variables, Init, Invoke, Shutdown, and the lines START, END and REPORT in the log. What differs here: the
code is in a directory of its own, the interpreter and its packages are this project's for every runtime, and memory is
reported, not limited.
"""

import io
import json
import queue
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from localaws import logs
from localaws.archives import ArchiveError, unpack_zip
from localaws.context import context
from localaws.services.iam.service_roles import LAMBDA, ServiceRole
from localaws.services.lambda_.runtime_api import ERROR, EXIT, INIT_ERROR, READY, Event, Invocation, RuntimeApi

ON_DEMAND, PROVISIONED = "on-demand", "provisioned-concurrency"  # AWS_LAMBDA_INITIALIZATION_TYPE
INIT_SECONDS = 10  # Lambda's own limit for what runs before the first request
PROVISIONED_INIT_SECONDS = 130  # and for what runs ahead of any; or the function's timeout, where that is longer
MAX_RESPONSE_BYTES = 6_291_556
LOG_TAIL_BYTES = 4096
STOP_SECONDS = 1.0
TIMED_OUT = "Sandbox.Timedout"


@dataclass(frozen=True)
class Revision:
    """A function in the state in which it is run: two revisions that are equal may share an environment."""

    region: str
    name: str
    version: str
    handler: str
    runtime: str
    memory_mb: int
    timeout_s: int
    variables: tuple[tuple[str, str], ...]
    code_sha256: str
    log_group: str
    role_arn: str = ""

    @property
    def task_root(self) -> Path:
        return code_directory(self.region, self.name, self.code_sha256)

    @property
    def role(self) -> ServiceRole:
        """What the function acts for."""
        return ServiceRole(self.role_arn, LAMBDA, self.name, self.region)


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to. `function_error` is None where the function returned; `log` is its log's tail.

    `duration_ms` is the handler's time, without the start of its environment.
    """

    payload: bytes
    function_error: str | None
    log: str
    version: str
    duration_ms: float = 0.0


class EnvironmentGone(Exception):
    """The environment ended before it took the request, which may go to another one."""


def code_directory(region: str, name: str, code_sha256: str) -> Path:
    """Where a function's code is unpacked: by its content, so that versions with the same code share it."""
    return context().home / "lambda" / region / name / code_sha256[:16]


def unpack(archive: bytes, root: Path) -> None:
    """Unpack a deployment package to `root`, unless it is there already: all of it or nothing."""
    if root.exists():
        return
    part = root.with_name(f"{root.name}.{secrets.token_hex(4)}")
    try:
        unpack_zip(io.BytesIO(archive), part)
        part.rename(root)
    except (ArchiveError, OSError):
        shutil.rmtree(part, ignore_errors=True)
        if not root.exists():  # else another request was faster
            raise


class ExecutionEnvironment:
    """Started at once; ready for its first request when the function's module has been imported.

    `initialization` is the reason that the function sees: on demand, or ahead of any request. `ended` is called with
    the environment, from a thread, when its process has ended.
    """

    def __init__(
        self,
        revision: Revision,
        initialization: str = ON_DEMAND,
        ended: Callable[["ExecutionEnvironment"], None] = lambda environment: None,
    ):
        self.revision = revision
        self.initialization = initialization
        self.retired = False
        self.idle_since = 0.0
        self._api = RuntimeApi()
        stream_id = secrets.token_hex(16)
        self._stream = f"{datetime.now(UTC):%Y/%m/%d}/[{revision.version}]{stream_id}"
        self._log = context().home / "lambda-logs" / f"{stream_id}.log"
        self._read = 0
        self._ready = False
        self._init_ms: float | None = None
        self._ended = ended
        self._started = time.monotonic()
        self._child = context().supervisor.spawn(
            f"lambda/{revision.name}",
            [context().python, "-m", "awslambdaric", revision.handler],
            env=self._variables(),
            cwd=revision.task_root,
            log=self._log,
            on_exit=self._exited,
        )
        self._write([f"INIT_START Runtime Version: python{sys.version_info.major}.{sys.version_info.minor} (local)"])

    @property
    def alive(self) -> bool:
        return self._child.running

    def prepare(self) -> str | None:
        """Wait until it is ready, ahead of any request. What went wrong otherwise, and then it has ended."""
        failure = self._initialise(max(PROVISIONED_INIT_SECONDS, self.revision.timeout_s))
        self._write([*self._new_lines(), self._init_report(failure)])
        self._init_ms = 0.0  # reported here, and so not with the first request
        if failure is None:
            return None
        self.stop()
        said = self._result(failure, "init")[0]
        error = json.loads(said) if said.startswith(b"{") else {}
        return f"{error.get('errorType', 'Unknown')}: {error.get('errorMessage', '')}"

    def invoke(self, invocation: Invocation) -> Outcome:
        """Hand over a request and wait for what becomes of it. Raises EnvironmentGone where it was not taken."""
        request_id, timeout = invocation.request_id, self.revision.timeout_s
        failure = self._initialise(INIT_SECONDS + timeout)
        lines = self._new_lines()
        if failure is not None:
            lines.append(self._init_report(failure))
        lines.append(f"START RequestId: {request_id} Version: {self.revision.version}")
        began = time.monotonic()
        if failure is None:
            deadline_ms = int(time.time() * 1000) + timeout * 1000
            self._ready = False
            self._api.send(
                Invocation(**{**vars(invocation), "deadline_ms": deadline_ms}),
            )
            event = self._await(lambda event: event.request_id == request_id or event.name == EXIT, timeout)
        else:
            event = failure
        payload, error, note = self._result(event, request_id)
        spent_ms = (time.monotonic() - began) * 1000
        lines += self._new_lines()
        if note:
            lines.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z {request_id} {note}")
        lines += [f"END RequestId: {request_id}", self._report(request_id, spent_ms, event)]
        self._write(lines)
        tail = "\n".join(lines).encode()[-LOG_TAIL_BYTES:].decode(errors="ignore")
        if event is None or event.name in (EXIT, INIT_ERROR):
            self.stop()
        return Outcome(payload, error, tail, self.revision.version, spent_ms)

    def stop(self) -> None:
        """End the process and what it left running; may be called again."""
        context().supervisor.stop(self._child, STOP_SECONDS)
        self._api.close()
        self._log.unlink(missing_ok=True)

    def _exited(self, returncode: int) -> None:
        self._api.events.put(Event(EXIT, returncode=returncode))
        self._ended(self)

    def _initialise(self, limit: float) -> Event | None:
        """Wait until the runtime asks for a request; what it says instead, where the function cannot start."""
        if self._ready:
            if not self.alive:  # it waited for a request, and ended before it got one
                raise EnvironmentGone
            return None
        event = self._await(lambda event: event.name in (READY, INIT_ERROR, EXIT), limit)
        first = self._init_ms is None
        if first:
            self._init_ms = (time.monotonic() - self._started) * 1000
        if event is not None and event.name == READY:
            self._ready = True
            return None
        if not first and event is not None:
            raise EnvironmentGone
        return event or Event(INIT_ERROR, body=json.dumps(_timed_out(limit)).encode())

    def _await(self, wanted, limit: float) -> Event | None:
        """The first event that is wanted; None after `limit` seconds."""
        deadline = time.monotonic() + limit
        while True:
            try:
                event = self._api.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if wanted(event):
                return event
            self._ready = self._ready or event.name == READY

    def _result(self, event: Event | None, request_id: str) -> tuple[bytes, str | None, str | None]:
        """Payload, error and a line for the log, from how the request ended (None: it did not end in time)."""
        if event is None:
            timeout = f"Task timed out after {self.revision.timeout_s:.2f} seconds"
            answer = {"errorType": TIMED_OUT, "errorMessage": f"RequestId: {request_id} Error: {timeout}"}
            return json.dumps(answer).encode(), "Unhandled", timeout
        if event.name == EXIT:
            reason = _exit_reason(event.returncode)
            answer = {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: {reason}"}
            return json.dumps(answer).encode(), "Unhandled", reason
        if event.name in (ERROR, INIT_ERROR):
            return event.body, "Unhandled", None
        if len(event.body) > MAX_RESPONSE_BYTES:
            answer = {
                "errorType": "Function.ResponseSizeTooLarge",
                "errorMessage": "Response payload size exceeded maximum allowed payload size "
                f"({MAX_RESPONSE_BYTES} bytes).",
            }
            return json.dumps(answer).encode(), "Unhandled", answer["errorMessage"]
        return event.body, None, None

    def _init_report(self, failure: Event | None) -> str:
        """The line that tells of a start which failed, or which came ahead of any request."""
        parts = [f"INIT_REPORT Init Duration: {self._init_ms:.2f} ms", "Phase: init"]
        if failure is not None:
            error = json.loads(failure.body).get("errorType") if failure.body else "Runtime.ExitError"
            timed_out = error == TIMED_OUT
            parts += ["Status: timeout"] if timed_out else ["Status: error", f"Error Type: {error}"]
        return "\t".join(parts)

    def _report(self, request_id: str, spent_ms: float, event: Event | None) -> str:
        parts = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {spent_ms:.2f} ms",
            f"Billed Duration: {int(spent_ms + (self._init_ms or 0)) + 1} ms",
            f"Memory Size: {self.revision.memory_mb} MB",
        ]
        if (used := _peak_memory_mb(self._child.pid)) is not None:
            parts.append(f"Max Memory Used: {used} MB")
        if self._init_ms:
            parts.append(f"Init Duration: {self._init_ms:.2f} ms")
            self._init_ms = 0.0  # said once, with the first request
        if event is None:
            parts.append("Status: timeout")
        elif event.name in (EXIT, INIT_ERROR):
            parts.append("Status: error")
        return "\t".join(parts)

    def _new_lines(self) -> list[str]:
        """What the process has printed since it was last asked."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        # The runtime client joins the lines of one traceback by carriage returns, so that it stays one event.
        return [line.replace("\r", "\n") for line in new.decode("utf-8", "replace").split("\n") if line]

    def _write(self, lines: list[str]) -> None:
        revision = self.revision
        logs.append(revision.log_group, self._stream, lines, revision.region, role=revision.role)

    def _variables(self) -> dict[str, str]:
        """The process's whole environment. The control plane has refused functions that set a reserved one."""
        revision, root = self.revision, str(self.revision.task_root)
        return {
            **context().child_environment(revision.region, credentials=revision.role.variables()),
            "TZ": ":UTC",
            "PYTHONPATH": root,
            **dict(revision.variables),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{revision.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": revision.name,
            "AWS_LAMBDA_FUNCTION_VERSION": revision.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(revision.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": self.initialization,
            "AWS_LAMBDA_LOG_GROUP_NAME": revision.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self._stream,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "LAMBDA_TASK_ROOT": root,
            "_HANDLER": revision.handler,
        }


def _timed_out(limit: float) -> dict[str, str]:
    return {"errorType": TIMED_OUT, "errorMessage": f"Init did not end within {limit:.0f} seconds"}


def _exit_reason(returncode: int) -> str:
    if returncode == 0:
        return "Runtime exited without providing a reason"
    how = f"exit status {returncode}" if returncode > 0 else f"signal: {-returncode}"
    return f"Runtime exited with error: {how}"


def _peak_memory_mb(pid: int) -> int | None:
    """The most memory a process has had, where the system tells and the process still runs."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak[0].split()[1]) // 1024 + 1 if peak else None
