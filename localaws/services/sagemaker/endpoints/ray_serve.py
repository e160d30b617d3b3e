"""The hosting container of AWS's Ray Serve images: Ray, the model's application, and the adapter in front of it.

    python -P ray_serve.py --model-dir DIR --port-file FILE          (started by sandbox.py, in the image's environment)

The steps and their order are those of the image's entry point (aws/deep-learning-containers,
scripts/docker/ray/sagemaker_entrypoint.sh and sagemaker_serve.py): Ray's head node, Ray Serve, `serve run config.yaml`
with the model's folder and its `code/` on PYTHONPATH, up to a minute until Ray Serve is healthy, then in any case the
adapter, which is healthy when Ray Serve reports it and hands /invocations on to the route `/`.

The differences: the image sleeps for 5 seconds after each step (ENTRY_POINT_PAUSE is that time here, by default 0); a
container on AWS has ports of its own, and so it has here in a network namespace, but not without one; and an
application that Ray Serve has given up ends the container, because it can never be healthy. On AWS it would only be
asked /ping until its time is over.
"""

import argparse
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response

PAUSE = "ENTRY_POINT_PAUSE"
BACKEND_URL = "RAYSERVE_BACKEND_URL"  # what the adapter asks, if not Ray Serve
HEALTHY_SECONDS = 60
PROXY_SECONDS = 300  # RAYSERVE_BACKEND_TIMEOUT of the image
PING_SECONDS = 5.0
# How Ray Serve's controller says that it will not try again, and the line of its traceback that names the reason.
GIVEN_UP = ("Deploying app", "failed with exception")
REASON = re.compile(r"(?:\)\S*|^) ([A-Za-z_][\w.]*(?:Error|Exception)\b.*)")
LAST_WORDS_SECONDS = 2.0

log = logging.getLogger("adapter")


@dataclass(frozen=True)
class Ports:
    """Where Ray listens. In a network namespace they are those of the image."""

    ray: int = 6379
    http: int = 8000
    client: int = 10001


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(name)s:%(message)s")
    listener = socket.socket(fileno=int(os.environ["LOCALAWS_LISTENER_FD"]))
    os.set_inheritable(listener.fileno(), False)  # Ray's processes outlive it, and would keep its port
    ports = Ports() if os.environ.get("LOCALAWS_NETWORK") == "namespace" else Ports(*free_ports(3))
    model = options.model_dir.resolve()
    variables = environment(model, ports)
    start(model, ports, variables)
    part = options.port_file.with_suffix(".part")
    part.write_text(str(listener.getsockname()[1]))
    part.replace(options.port_file)
    serve(listener, variables.get(BACKEND_URL) or f"http://127.0.0.1:{ports.http}")


def environment(model: Path, ports: Ports) -> dict[str, str]:
    """The variables of Ray's programs: PYTHONPATH as in the image, and what keeps several Rays of a machine apart."""
    backend = {}
    if ports != Ports() and BACKEND_URL in os.environ:  # without ports of its own, another one than it names
        backend = {BACKEND_URL: f"http://127.0.0.1:{free_ports(1)[0]}"}
    return {
        **os.environ,
        **backend,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join([str(model), str(model / "code"), *refusing_connections()]),
        "RAY_ADDRESS": f"127.0.0.1:{ports.ray}",
        "RAY_TMPDIR": os.environ["TMPDIR"],
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's agents overwrite their environment with their title, and with it the supervisor's mark.
        "SPT_NOENV": "1",
        # Ray lets others go first (15). On an instance there are none, and here they are other instances.
        "RAY_worker_niceness": "0",
    }


def refusing_connections() -> list[str]:
    """The folder whose sitecustomize.py refuses connections, where no namespace could be had for an isolated model."""
    check = os.environ.get("LOCALAWS_NETWORK") == "check"
    return [str(Path(__file__).with_name("isolation_check"))] if check else []


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(model: Path, ports: Ports, variables: dict[str, str]) -> None:
    """Ray, Ray Serve and the application, until it is healthy or its time is over. Ends the process if one fails."""
    pause = float(os.environ.get(PAUSE) or 0)
    gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))

    def run(*command: str) -> None:
        # In sessions of their own: a container's SIGTERM is for its first process only.
        ended = subprocess.run(command, env=variables, cwd=model, start_new_session=True)
        if ended.returncode:
            raise SystemExit(f"{' '.join(command[:2])} ended with status {ended.returncode}")
        time.sleep(pause)

    if not (model / "config.yaml").is_file():
        raise SystemExit("ERROR: No Ray Serve application found: the model has no config.yaml.")
    head = ["ray", "start", "--head", f"--port={ports.ray}", f"--ray-client-server-port={ports.client}"]
    run(*head, "--include-dashboard=False", f"--num-gpus={gpus}")
    run("serve", "start", "--http-host=127.0.0.1", f"--http-port={ports.http}")
    application = subprocess.Popen(
        ["serve", "run", str(model / "config.yaml")],
        env=variables,
        cwd=model,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    threading.Thread(target=forward, args=(application,), daemon=True).start()
    time.sleep(pause)
    deadline = time.monotonic() + HEALTHY_SECONDS
    while time.monotonic() < deadline:
        if application.poll() is not None:
            raise SystemExit("ERROR: serve run exited immediately")
        if is_healthy(f"http://127.0.0.1:{ports.http}/-/healthz"):
            return
        time.sleep(0.2)


def forward(application: subprocess.Popen) -> None:
    """Print what `serve run` prints. If Ray Serve gives the application up, end the container, the reason last."""
    reasons: list[str] = []
    given_up = False
    for line in application.stdout:
        print(line, end="", flush=True)
        if all(words in line for words in GIVEN_UP):
            given_up = True
            threading.Timer(LAST_WORDS_SECONDS, end, (reasons,)).start()  # its traceback follows
        elif given_up and (found := REASON.search(line)):
            reasons.append(found[1])


def end(reasons: list[str]) -> None:
    print((reasons or ["RuntimeError: Ray Serve has given the application up."])[-1], flush=True)
    os._exit(1)


def is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PING_SECONDS) as answer:  # noqa: S310 (a fixed http URL)
            return answer.status == 200
    except OSError:
        return False


def serve(listener: socket.socket, backend: str) -> None:
    config = uvicorn.Config(adapter(backend), log_level="info")
    uvicorn.Server(config).run(sockets=[listener])


def adapter(backend: str) -> FastAPI:
    """The application of the image's adapter: /ping and /invocations, in front of Ray Serve at `backend`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=PROXY_SECONDS) as client:
            app.state.client = client
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        body = await request.body()
        accept = request.headers.get("Accept", "application/json")
        headers = sagemaker_headers(request.headers)
        headers |= {"Content-Type": request.headers.get("Content-Type", "application/json"), "Accept": accept}
        log.info("Received /invocations request: Content-Type=%s, Accept=%s", headers["Content-Type"], accept)
        try:
            answer = await request.app.state.client.post(f"{backend}/", content=body, headers=headers)
        except httpx.TimeoutException:
            return failure(504, "Request timeout")
        except httpx.ConnectError:
            return failure(503, "Service unavailable")
        except Exception as error:
            return failure(500, str(error))
        log.info("Ray Serve response: status=%s", answer.status_code)
        return Response(
            answer.content,
            answer.status_code,
            sagemaker_headers(answer.headers),
            answer.headers.get("Content-Type", accept),
        )

    @app.get("/ping")
    async def ping(request: Request) -> Response:
        try:
            answer = await request.app.state.client.get(f"{backend}/-/healthz", timeout=PING_SECONDS)
            return Response(status_code=200 if answer.status_code == 200 else 503)
        except Exception as error:
            log.error("Health check failed: %s", error)
            return Response(status_code=503)

    return app


def sagemaker_headers(headers: object) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower().startswith("x-amzn-sagemaker-")}


def failure(status: int, message: str) -> Response:
    log.error("Error proxying to Ray Serve: %s", message)
    return Response(json.dumps({"error": message}), status, media_type="application/json")


if __name__ == "__main__":
    main()
