"""The endpoint under Ray Serve: `serve run config.yaml` in the model's folder starts `app`.

AWS's serving image extracts the artifact, puts its folder and `code/` on PYTHONPATH, and starts Ray with the GPUs that
it finds. Its adapter forwards /invocations to the route / of a backend, with Content-Type, Accept and the
X-Amzn-SageMaker headers. The adapter is healthy if the backend's /-/healthz is. The backend is Ray Serve, unless the
environment variable RAYSERVE_BACKEND_URL names another one. The stack names the replica's own server, because a request
through Ray Serve's proxy takes several times as long as the model (docs/adr/0013). The answers are the same.

Ray Serve is healthy as soon as the route is registered, even without a running replica. So the route is registered only
after the model has classified an image: `app` does that, and an application whose builder raises has no route.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import inference
import ray
import uvicorn
from classifier.contract import CUSTOM_ATTRIBUTES_HEADER, ApiError
from ray import serve
from request_log import request_line
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

MODEL_FOLDER = Path(__file__).resolve().parent.parent  # this file is code/serve_app.py of the artifact
BACKEND_URL = "RAYSERVE_BACKEND_URL"  # the variable of the image's adapter
RAY_SERVE_PORT = 8000

log = logging.getLogger("ray.serve")

Left = Callable[[Request], Awaitable[None]]


async def answer(model: inference.Model, request: Request, left: Left | None = None) -> Response:
    """The answer to one request. Every failure is an answer of the contract. A request of the function, which has an
    identifier, is one line in the log.

    `left` returns when the caller has disconnected. Without it, the host cancels this coroutine.
    """
    began = time.perf_counter()
    attributes = request.headers.get(CUSTOM_ATTRIBUTES_HEADER)
    answered, code = await _answer(model, request, attributes, left)
    if line := request_line(attributes, answered.status_code, code, time.perf_counter() - began):
        log.info(line)
    return answered


async def _answer(
    model: inference.Model, request: Request, attributes: str | None, left: Left | None
) -> tuple[Response, str | None]:
    """The response, and the code of its error if it is one."""
    body, headers = await request.body(), request.headers
    try:
        asked = inference.read_request(body, headers.get("content-type"), attributes)
        # If this is cancelled, so is the request in the model's line.
        waiting = asyncio.wrap_future(model.submit(asked))
        output = await (waiting if left is None else _unless(left(request), waiting))
        content, kind = inference.output_fn(model.answer(asked, output), headers.get("accept"))
        return Response(content, media_type=kind), None
    except ApiError as error:
        return JSONResponse(error.to_dict(), status_code=error.status), error.code
    except Exception:
        log.exception("the model failed")
        error = ApiError("internal_error", "The model failed. The endpoint's log has the reason.")
        return JSONResponse(error.to_dict(), status_code=error.status), error.code


async def _disconnected(request: Request) -> None:
    """Wait until the caller disconnects. The body must have been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _unless(left: Awaitable[None], waiting: asyncio.Future) -> Any:
    """The result of `waiting`, which is cancelled if `left` comes first."""
    leaving = asyncio.ensure_future(left)
    leaving.add_done_callback(lambda _: waiting.cancel())
    try:
        return await waiting
    except asyncio.CancelledError:
        if not leaving.done():  # the host has cancelled this coroutine
            raise
        raise ApiError("overloaded", "The caller has left.") from None  # nobody receives it
    finally:
        leaving.cancel()


class Direct:
    """The replica's own HTTP server on 127.0.0.1, with `POST /` and `/-/healthz` like those of Ray Serve."""

    def __init__(self, model: inference.Model, port: int):
        self._model = model
        config = uvicorn.Config(self, "127.0.0.1", port, lifespan="off", access_log=False, log_level="warning")
        self._thread = threading.Thread(target=uvicorn.Server(config).run, name="direct", daemon=True)
        self._thread.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/-/healthz":
            response = Response("success", media_type="text/plain")
        elif scope["path"] == "/" and scope["method"] == "POST":
            response = await answer(self._model, Request(scope, receive), _disconnected)
        else:
            response = Response("Not Found", 404)
        await response(scope, receive, send)

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()


def direct_port() -> int | None:
    """The port of the adapter's backend. None if the backend is Ray Serve."""
    port = urlsplit(os.environ.get(BACKEND_URL, "")).port
    return None if port == RAY_SERVE_PORT else port


@serve.deployment
class Classifier:
    def __init__(self) -> None:
        self.model = inference.model_fn(str(MODEL_FOLDER))
        port = direct_port()
        self.direct = None if port is None else Direct(self.model, port)

    async def __call__(self, request: Request) -> Response:
        return await answer(self.model, request)

    def check_health(self) -> None:
        """Raise if the replica's own server has ended. Ray Serve then replaces the replica."""
        if self.direct is not None and not self.direct.runs:
            raise RuntimeError("The replica's own server has ended.")


def app(arguments: dict) -> serve.Application:
    """The application, after its model has classified an image. Raises the model's exceptions.

    Ray Serve calls this in a separate process, which then ends. The replica loads the model again.
    """
    inference.check(inference.load(str(MODEL_FOLDER), trial=False))
    # A replica can use only a GPU that it requests. If it requests one and there is none, it never starts.
    has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
    deployment: Any = Classifier  # the deployment that the decorator returns
    return deployment.options(ray_actor_options={"num_gpus": 1 if has_gpu else 0}).bind()
