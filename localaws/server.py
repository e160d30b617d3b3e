"""The one process: function URLs, its own health page, then moto; an error is always the service's own.

`serve()` runs until SIGTERM or SIGINT, then ends every child and writes the last snapshot.
"""

import contextlib
import ctypes
import fcntl
import functools
import gc
import importlib
import io
import json
import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from localaws.context import ACCOUNT_ID, ALREADY_RUNNING, Context, configured_home, configured_port, set_context
from localaws.supervisor import Supervisor, start_time

# Read by moto when it is imported: one account, and no CORS headers but those of a function URL.
os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import LimitedStream

from localaws import browser_guard, cbor, errors, failures, files, headers, refusals, state
from localaws.account_limits import LimitError, account_limits
from localaws.connections import BODY, IDLE, BoundedServer, WatchedInput
from localaws.operations import REFUSED, SERVICES, level, refuses
from localaws.services import SERVICE_MODULES

HEALTH_PATH = "/_localaws/health"
READS = 5  # attempts at a read that meets changes by other threads
LARGE_CHANGE_BYTES = 1 << 18  # of a request that is saved before its answer
ONE_PART = 1 << 20  # bytes of an answer that are copied to be sent together with its head
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # glibc's malloc.h
# Paths under which moto offers what AWS does not: a page, a reset, invented instance credentials.
NOT_AWS = ("/_localaws", "/moto-api", "/favicon.ico", "/latest/meta-data/", "/latest/api/")

log = logging.getLogger("localaws")

# A module of a service may have a `refusal` of this kind: it sees every request that passed the gates before.
Gate = Callable[[str, dict[str, Any], Any], errors.Answer | None]


class Dispatcher(DomainDispatcherApplication):
    """Moto's, which for every request, behind a lock, lists its own folder and tries 200 patterns."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self.get_backend_for_host = functools.lru_cache(super().get_backend_for_host)

    def infer_service_region_host(self, environ: dict[str, Any], path: str) -> str | None:
        """Moto finds any service by an unsigned path, `/ec2_us-east-1/`. Here an unsigned request is S3's or STS's."""
        inferred = super().infer_service_region_host(environ, path)
        if environ.get("HTTP_AUTHORIZATION") or (inferred or "").startswith("sts."):
            return inferred
        return None


class Application:
    """The WSGI application: data planes of the control modules first, then moto."""

    def __init__(self, data_planes: list[Any], health: Callable[[], dict], gates: Sequence[Gate] = ()):
        self._data_planes = data_planes
        self._gates = gates
        self._health = health
        self._moto = Dispatcher()

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not environ.get("wsgi.input_terminated"):  # a reader does not read past the end of this request
            length = environ.get("CONTENT_LENGTH") or "0"
            if not length.isdecimal():  # nobody can tell where such a request ends
                start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Connection", "close")])
                return [b"Content-Length is not a number.\n"]
            environ["wsgi.input"] = LimitedStream(environ["wsgi.input"], int(length))
        plane = next((each for each in self._data_planes if each.matches(environ)), None)
        service = errors.service_of(environ)
        answers = None if path.startswith(NOT_AWS) else getattr(plane, "API", None) if plane else service
        start_response = headers.completed(answers, start_response)
        if words := browser_guard.refusal(environ, public=getattr(plane, "OPEN_TO_PAGES", False)):
            return _send(browser_guard.answer(words), environ, start_response)
        if path == HEALTH_PATH:
            body = json.dumps(self._health()).encode()
            return _send((200, {"Content-Type": "application/json"}, body), environ, start_response)
        if plane is not None:
            named = getattr(plane, "API", None)  # the service of which a plane serves an operation
            if named and (refused := self._refused(named, environ)):
                return _send(refused, environ, start_response)
            return plane.application(environ, start_response)
        if service not in SERVICES or path.startswith(NOT_AWS):
            return _send(errors.unsupported(service, None, environ), environ, start_response)
        if refuses(service):
            operation = errors.operation_of(service, environ)
            if level(service, operation or "") == REFUSED:
                return _send(errors.unsupported(service, operation, environ), environ, start_response)
        if refused := self._refused(service, environ):
            return _send(refused, environ, start_response)
        if errors.protocol_of(service, environ) == errors.CBOR:
            return cbor.translated(service, environ, start_response, self._ask_moto)
        return self._ask_moto(service, environ, start_response)

    def _refused(self, service: str, environ: dict) -> errors.Answer | None:
        """The answer of the gates before an operation: the service's model and its known rules, then the services'."""
        try:
            if refused := refusals.refusal(service, environ):
                return refused
            answers = (gate(service, environ, environ.get("localaws.request")) for gate in self._gates)
            return next((answer for answer in answers if answer is not None), None)
        except Exception as error:  # a fault of a gate lets nobody in
            log.exception("a gate of %s failed", service)
            return failures.internal(service, environ, error)

    def _ask_moto(self, service: str, environ: dict, start_response: Callable) -> Iterable[bytes]:
        given: dict[str, Any] = {}
        changes = _changes(environ)
        if changes and (words := state.trouble()):
            return _send(errors.answer(service, "ServiceUnavailable", words, 503), environ, start_response)
        environ = errors.for_moto(service, environ)

        def keep(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable:
            given.update(status=status, headers=headers)
            return lambda data: None

        try:
            body = self._moto(environ, keep) if changes else self._read_moto(environ, keep)
        except NotImplementedError as error:
            # Where the operation is named in the body, moto's words have it: "The x_y action has not been ...".
            said = re.match(r"The (\w+) action", str(error))
            operation = errors.operation_of(service, environ) or (said and said[1])
            return _send(errors.unsupported(service, operation, environ), environ, start_response)
        except Exception as error:
            log.exception("%s %s failed", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            return _send(failures.answer(service, environ, error), environ, start_response)
        if changes:
            state.touch()
            # An upload of code is a part of the state: it may be larger than the space that is reserved.
            if service != "s3" and int(environ.get("CONTENT_LENGTH") or 0) > LARGE_CHANGE_BYTES:
                with contextlib.suppress(OSError):
                    state.save()
                if words := state.trouble():
                    return _send(errors.answer(service, "ServiceUnavailable", words, 503), environ, start_response)
        if _is_html(given["headers"]) and (service != "s3" or not given["status"].startswith("2")):
            text = b"".join(body)
            if text[:9].lower().startswith((b"<!doctype", b"<html")):  # Flask's own page: no such path
                return _send(errors.unsupported(service, None, environ), environ, start_response)
            body = [text]
            given["headers"] = errors.relabelled(service, environ, given["headers"])  # Flask's label for what has none
        if errors.protocol_of(service, environ) == "json":
            given["headers"], body = errors.as_json(service, given["headers"], b"".join(body))
        passive = browser_guard.PASSIVE if service == "s3" else []
        start_response(given["status"], [*given["headers"], *passive])
        return body

    def _read_moto(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """Ask moto for what changes nothing; once more where it met a change by another thread in one of its tables."""
        sent, attempts = environ["wsgi.input"].read(), 0
        while True:
            attempts += 1
            try:
                return self._moto(environ | {"wsgi.input": io.BytesIO(sent)}, start_response)
            except RuntimeError as error:
                if attempts == READS or failures.CHANGED not in str(error):
                    raise


def _is_html(headers: list[tuple[str, str]]) -> bool:
    return any(name.lower() == "content-type" and value.startswith("text/html") for name, value in headers)


def _changes(environ: dict) -> bool:
    """Whether a request may have changed anything. To say yes too often costs a snapshot that finds no difference."""
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    reads = operation.startswith(("Describe", "List", "Get", "Filter"))
    return environ["REQUEST_METHOD"] not in ("GET", "HEAD") and not reads


def _send(answer: errors.Answer, environ: dict, start_response: Callable) -> Iterable[bytes]:
    """Send a whole answer, after reading what the client still sends: its connection is used again."""
    with contextlib.suppress(OSError, ClientDisconnected):
        while environ["wsgi.input"].read(1 << 20):
            pass
    status, headers, body = answer
    start_response(errors.status_line(status), [*headers.items(), ("Content-Length", str(len(body)))])
    return [body]


class QuietHandler(MotoRequestHandler):
    """One answer after the other on a connection that is kept. Logs what failed, not what worked: clients poll several
    times per second.

    Werkzeug closes a connection with each answer, which it sends in two parts; where the second came late, the
    provider's HTTP client had now and then hung up after the first, and asked again for what had been made already.
    """

    disable_nagle_algorithm = True  # nothing waits for the acknowledgement of what was sent before

    server: BoundedServer

    def setup(self) -> None:
        super().setup()
        self._connection = self.server.connection_of(self.request)
        self.rfile = io.BufferedReader(WatchedInput(self._connection), 1 << 16)

    def handle_one_request(self) -> None:
        self._connection.phase = IDLE
        super().handle_one_request()

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        self._connection.phase = BODY
        return parsed

    def run_wsgi(self) -> None:
        measured = self.headers.get("Content-Length", "0").isdecimal() and "Transfer-Encoding" not in self.headers
        if self.server.stopping:
            self.close_connection = True  # as a connection that comes now gets no answer either
        elif measured and "Expect" not in self.headers:
            self._answer_and_stay()
        else:
            super().run_wsgi()

    def _answer_and_stay(self) -> None:
        try:
            status, headers, body = self._ask_application()
        except ClientDisconnected:
            self.close_connection = True
            return
        except Exception:
            log.exception("%s %s failed", self.command, self.path)
            status, headers, body, self.close_connection = "500 Internal Server Error", [], b"", True
        if self.command == "HEAD" or status[:3] in ("204", "304"):
            body = b""  # its Content-Length, if it has one, is of another body
        else:
            headers = [each for each in headers if each[0].lower() != "content-length"]
            headers += [("Content-Length", str(len(body)))]
        headers += [("Connection", "close" if self.close_connection else "keep-alive")]
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        self.log_request(status[:3])
        for part in (head, body) if len(body) > ONE_PART else (head + body,):
            self.wfile.write(part)

    def _ask_application(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body; what the application did not read of the request has been read as well."""
        self.environ = environ = self.make_environ()
        told: list[Any] = []
        parts = self.server.app(environ, lambda *given: told.extend(given))
        body = b"".join(parts)
        if hasattr(parts, "close"):
            parts.close()
        while environ["wsgi.input"].read(1 << 20):
            pass
        return told[0], list(told[1]), body

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log a failure, without the query: a presigned address has a token and a signature there."""
        if str(code).startswith("5"):
            self.log("info", "%s %s %s %s", self.command, self.path.partition("?")[0][:300], code, size)


def _return_memory() -> None:
    """Have glibc give large blocks back when they are freed: an upload's parts otherwise stay with the process."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 1 << 20)
        mallopt(M_ARENA_MAX, 2)


def serve() -> None:
    """Run the local AWS in this process until it is told to stop. Raises SystemExit with words where it cannot."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _return_memory()
    ctx, account, _lock = _own_home()
    gc.disable()  # moto's tables have some million entries, none of which is ever garbage
    identity: dict[str, Any] = {"service": "localaws", "home": str(ctx.home), "port": ctx.port, "pid": os.getpid()}
    identity["account"] = account
    application = _application(identity)
    gc.enable()
    gc.collect()
    gc.freeze()  # no later collection need visit them
    server = _listening(ctx.port, application)
    try:
        state.restore_all()
    except state.StateError as error:
        raise SystemExit(str(error)) from None

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    record = ctx.home / "server.json"
    try:
        files.write_whole(record, json.dumps({**identity, "started": start_time(os.getpid())}))
    except OSError as error:
        raise SystemExit(f"{record} cannot be written: {error.strerror}.") from None
    log.info("the local AWS answers on %s", ctx.endpoint_url)
    try:
        server.serve_forever()
    finally:
        server.stopping = True
        _end(ctx, record)


def _own_home() -> tuple[Context, str, IO[str]]:
    """The context of this process, the name of its account, and the lock on its home, which lasts while it is open.

    Raises SystemExit if another server has the home.
    """
    home, port = configured_home(), configured_port()
    try:
        account = account_limits().account
    except LimitError as error:
        raise SystemExit(str(error)) from None
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (home / "server.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        log.error("another local AWS runs on %s", home)
        raise SystemExit(ALREADY_RUNNING) from None
    ctx = Context(home=home, port=port, supervisor=Supervisor(home))
    set_context(ctx)
    for owner in ctx.supervisor.reap_leftovers():
        log.warning("ended %s, left running by a server that did not stop in order", owner)
    return ctx, account, lock


def _application(identity: dict[str, Any]) -> Application:
    """The application with all services installed. `identity` is what it says of itself on its health page."""
    modules = [importlib.import_module(f"localaws.services.{name}") for name in SERVICE_MODULES]
    headers.install()
    for module in modules:
        module.install()

    def health() -> dict[str, Any]:
        settings = {name: value for module in modules for name, value in getattr(module, "SETTINGS", {}).items()}
        for module in modules:
            settings |= module.settings() if hasattr(module, "settings") else {}
        return {**identity, "trouble": state.trouble(), **settings}

    planes = [module for module in modules if hasattr(module, "matches")]
    gates = [module.refusal for module in modules if hasattr(module, "refusal")]
    return Application(planes, health, gates)


def _listening(port: int, application: Application) -> BoundedServer:
    """The server on its port. Raises SystemExit if the port is taken."""
    try:
        server = BoundedServer("127.0.0.1", port, application, QuietHandler)
    except (OSError, SystemExit):
        raise SystemExit(
            f"Port {port} is taken by another program. Set LOCALAWS_PORT to a free port, or stop that program."
        ) from None
    server.daemon_threads = True
    server.block_on_close = False
    return server


def _end(ctx: Context, record: Path) -> None:
    """End every child and write the last snapshot. Raises SystemExit if the last changes are lost."""
    log.info("stopping")
    state.stop_all()
    ctx.supervisor.stop_all()
    try:
        state.close()
    except OSError as error:  # the record stays, so `down` knows that the last changes are lost
        raise SystemExit(f"The last changes are lost: {error}") from None
    record.unlink(missing_ok=True)
    log.info("stopped")
