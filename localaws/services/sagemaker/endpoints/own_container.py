"""The hosting container: one model, one process, `GET /ping` and `POST /invocations` on a port of its own.

    python -P own_container.py --model-dir DIR --port-file FILE          (started by sandbox.py)

Loads `code/inference.py`, or the program that SAGEMAKER_PROGRAM names, from the model directory and serves its
`model_fn`, and `transform_fn` or `input_fn`, `predict_fn` and `output_fn`, by the rules of AWS's inference toolkit
(`sagemaker_inference.transformer`): who may take a `context` as one more argument, what `Accept` defaults to, that an
exception is a 500 with its message and traceback unless it carries a `status_code`. default_handlers.py has the
handlers that the image brings. Beyond the toolkit, an exception with `status`, `code` and `message`
becomes that status and a JSON error. A model that cannot be loaded ends the process, its reason as the last line.

Nothing of this project is imported here: what serves locally is the artifact, as on AWS.
"""

import argparse
import asyncio
import functools
import importlib
import importlib.util
import inspect
import json
import os
import signal
import socket
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import Response

DEFAULT_ACCEPT = "application/json"
TEXT_TYPES = ("application/json", "text/csv")  # handed to the handlers as str, as the toolkit does
DRAIN_SECONDS = 25  # of the 30 that a container has to end
WAITING = 100  # requests: the default of AWS's model servers
OVERLOADED = {
    "code": 503,
    "type": "ServiceUnavailableException",
    "message": "All workers are busy and the line of requests is full.",
}


class HandlerContext:
    """What handlers see of a request, in the words of AWS's model servers, and what they may set of the answer."""

    def __init__(self, model_dir: str, headers: dict[str, str] | None = None):
        self.system_properties = {"model_dir": model_dir}
        self._headers = headers or {}
        self.status = 200
        self.content_type: str | None = None
        self.response_headers: dict[str, str] = {}

    @property
    def request_processor(self) -> list["HandlerContext"]:
        return [self]

    def get_request_properties(self) -> dict[str, str]:
        return self._headers

    def get_all_request_header(self, _index: int = 0) -> dict[str, str]:
        return self._headers

    def get_request_header(self, _index: int, name: str) -> str | None:
        return next((value for key, value in self._headers.items() if key.lower() == name.lower()), None)

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self.status = code

    def set_response_content_type(self, _index: int, value: str) -> None:
        self.content_type = value

    def set_response_header(self, _index: int, name: str, value: str) -> None:
        self.response_headers[name] = value


def defaults_of(framework: str | None) -> Any:
    """The handlers that the image brings. Loaded by path, because nothing of this folder can be imported."""
    path = Path(__file__).with_name("default_handlers.py")
    spec = importlib.util.spec_from_file_location("localaws_default_handlers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PyTorchDefaults() if framework == "pytorch" else module.ToolkitDefaults()


@functools.cache
def _parameters(function: Any) -> int:
    return len(inspect.signature(function).parameters)


def call(function: Any, *arguments: Any, context: HandlerContext) -> Any:
    """Call a handler, with the context where it takes one argument more than it must."""
    taken = _parameters(function)
    if taken == len(arguments):
        return function(*arguments)
    if taken == len(arguments) + 1:
        return function(*arguments, context)
    raise TypeError(f"{function.__name__} takes {taken} arguments but {len(arguments)} were given.")


def user_module() -> Any:
    """The module that SAGEMAKER_PROGRAM names, `inference` without it; None if the archive does not have it."""
    name = os.environ.get("SAGEMAKER_PROGRAM", "inference.py").removesuffix(".py")
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


class HandlerModel:
    """The user's handlers around the user's model. `framework`: whose default handlers complete them, the toolkit's if
    None."""

    def __init__(self, model_dir: str, framework: str | None = None):
        self.model_dir = model_dir
        module, defaults = user_module(), defaults_of(framework)
        parts = {name: getattr(module, name, None) for name in ("input_fn", "predict_fn", "output_fn")}
        self._transform = getattr(module, "transform_fn", None)
        if self._transform and any(parts.values()):
            raise ValueError("Cannot use transform_fn in conjunction with input_fn, predict_fn, and/or output_fn.")
        self._input = parts["input_fn"] or defaults.input_fn
        self._predict = parts["predict_fn"] or defaults.predict_fn
        self._output = parts["output_fn"] or defaults.output_fn
        load = getattr(module, "model_fn", None) or defaults.model_fn
        self._model = call(load, model_dir, context=HandlerContext(model_dir))

    def answer(self, body: bytes, headers: dict[str, str]) -> Response:
        """One request, handled to its answer; every exception is an answer too."""
        context = HandlerContext(self.model_dir, headers)
        try:
            return self._answer(body, context)
        except Exception as error:
            answer = failure(error)
            if answer.status_code >= 500:  # a refused request is not the model's fault
                print(traceback.format_exc(), file=sys.stderr, flush=True)
            return answer

    def _answer(self, body: bytes, context: HandlerContext) -> Response:
        content_type = context.get_request_header(0, "Content-Type") or "application/json"
        accept = context.get_request_header(0, "Accept")
        if not accept or accept == "*/*":
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", DEFAULT_ACCEPT)
        data = body.decode("utf-8") if content_type in TEXT_TYPES else body
        if self._transform:
            result = call(self._transform, self._model, data, content_type, accept, context=context)
        else:
            value = call(self._input, data, content_type, context=context)
            prediction = call(self._predict, value, self._model, context=context)
            result = call(self._output, prediction, accept, context=context)
        content, kind = result if isinstance(result, tuple) else (result, accept)
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        return Response(content, context.status, context.response_headers, context.content_type or kind)


def failure(error: Exception) -> Response:
    """The answer to an exception: see the module's first lines."""
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    if isinstance(status, int) and isinstance(code, str):
        told = {"error": {"code": code, "message": str(getattr(error, "message", error))}}
        return Response(json.dumps(told), status, media_type="application/json")
    status = getattr(error, "status_code", 500)
    message = getattr(error, "message", None) or str(error) or "Invalid Request"
    return Response(f"{message}\n{traceback.format_exc()}", status, media_type="text/plain")


class Server:
    """The ASGI application: `/ping` is answered by the loop itself, so a model at work still counts as alive.

    `workers` threads call the handlers, and as many requests as `waiting` wait for them; one more is answered 503 at
    once, as by AWS's model servers. Who hangs up while waiting is forgotten.
    """

    def __init__(self, model: HandlerModel, workers: int, waiting: int):
        self._model = model
        self._workers = ThreadPoolExecutor(workers, "handler")
        self._most = workers + waiting
        self._in_flight = 0

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        answer = await self._route(scope, receive)
        if answer is not None:
            await answer(scope, receive, send)

    async def _route(self, scope: dict, receive: Any) -> Response | None:
        match scope["path"], scope["method"]:
            case "/ping", "GET" | "HEAD":
                return Response()
            case "/invocations", "POST":
                return await self._invoked(scope, receive)
            case "/ping" | "/invocations", _:
                return Response("Method Not Allowed", 405)
        return Response("Not Found", 404)

    async def _invoked(self, scope: dict, receive: Any) -> Response | None:
        headers = {name.decode("latin-1").title(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        if body is None:
            return None
        if self._in_flight >= self._most:
            return Response(json.dumps(OVERLOADED), 503, media_type="application/json")
        self._in_flight += 1
        answer = asyncio.get_running_loop().run_in_executor(self._workers, self._model.answer, body, headers)
        gone = asyncio.ensure_future(receive())  # says next that the client has hung up
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            answer.cancel()
            gone.cancel()
            self._in_flight -= 1


async def _body(receive: Any) -> bytes | None:
    """A request's whole body; None where its client has hung up before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def refuse_connections(event: str, arguments: tuple) -> None:
    """An audit hook in the place of network isolation: the model reaches nothing, as it reaches nothing on AWS.

    It keeps honest code honest. It is not a sandbox: native code can go around it.
    """
    if event == "socket.connect" and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        raise PermissionError(f"Network isolation is on: this model may not connect to {arguments[1]}.")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--framework", help="whose default handlers to use: pytorch, or none for the toolkit's")
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server takes over, there is nothing to drain
    if os.environ.get("LOCALAWS_NETWORK") == "check":
        sys.addaudithook(refuse_connections)
    sys.path[:0] = [str(Path(options.model_dir, "code")), options.model_dir]
    try:
        model = HandlerModel(options.model_dir, options.framework)
    except Exception as error:
        traceback.print_exc()
        raise SystemExit(f"{type(error).__name__}: {error}") from None

    listener = socket.socket(fileno=int(os.environ["LOCALAWS_LISTENER_FD"]))
    # Twice as many as processors: while one computes, another's request is read and answered.
    workers = int(os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS") or 2 * (os.cpu_count() or 1))
    config = uvicorn.Config(
        Server(model, workers, WAITING),
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    part = options.port_file.with_suffix(".part")
    part.write_text(str(listener.getsockname()[1]))
    part.replace(options.port_file)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
