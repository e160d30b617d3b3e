"""The measurements of `bench.serving`. Each function starts a server and returns its measurement."""

import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from bench.harness import PATHS, ROOT, BenchError
from deploy.load.client import Load, request
from deploy.setup import SERVING_IMAGE
from localaws import images
from localaws.ports import free_port
from localaws.supervisor import Supervisor

CONTAINER = ROOT / "localaws" / "services" / "sagemaker" / "endpoints" / "own_container.py"
SANDBOX, RAY_CONTAINER = CONTAINER.with_name("sandbox.py"), CONTAINER.with_name("ray_serve.py")
EAGER = ROOT / "bench" / "eager"
START = 240  # seconds until a server without an answer fails
CONNECTIONS = 8  # at once; enough to keep two processors busy
RATE = 0.7  # of the peak, for the measurement of latencies
KINDS = {
    "image/jpeg": lambda body: body,
    "application/json": lambda body: json.dumps({"image": _base64(body)}).encode(),
}


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode()


# ---- measurements -----------------------------------------------------------------------------------------------


def throughput(server: str, model: str, photos: str, seconds: float):
    """Answers per second over HTTP, including decoding, and the megabytes of all processes of the server."""
    running = SERVERS[server](Path(model))
    requests = running.requests(photos)

    def measure() -> dict:
        with contextlib.closing(Load(running.port, requests, CONNECTIONS)) as load:
            load.peak(seconds / 4)
            return {"value": load.peak(seconds), "megabytes": running.megabytes()}

    measure.close = running.close
    return measure


def bare(model: str, seconds: float):
    """Images per second of the graph alone, with OpenVINO's own number of streams; no decoding, no HTTP."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from classifier.artifact import read_card

    sys.path.append(str(ROOT / "payloads" / "inference"))
    from networks import GraphNetwork

    card = read_card(Path(model))
    network = GraphNetwork(Path(model), card)
    image = np.random.default_rng(0).integers(0, 256, (1, card.input_size, card.input_size, 3), np.uint8)
    pool = ThreadPoolExecutor(network.threads)

    def measure() -> float:
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            done += sum(len(row) for row in pool.map(lambda _: network(image), range(64)))
        return done / (time.perf_counter() - began)

    measure()
    return measure


def latency(server: str, model: str, photos: str, seconds: float):
    """The 99th percentile of the latency at RATE of the peak, divided by the median; and both in milliseconds."""
    running = SERVERS[server](Path(model))
    requests = running.requests(photos)

    def measure() -> dict:
        with contextlib.closing(Load(running.port, requests, CONNECTIONS)) as load:
            load.peak(seconds / 4)
            peak = load.peak(seconds / 2)
        with contextlib.closing(Load(running.port, requests, 60)) as load:  # fewer than the limit
            times = sorted(load.steady(RATE * peak, seconds))
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        return {"value": p99 / p50, "p50_ms": 1000 * p50, "p99_ms": 1000 * p99, "requests_per_s": RATE * peak}

    measure.close = running.close
    return measure


def start(server: str, model: str):
    """Seconds from the start of the container's first process until it has answered one image."""

    def measure() -> dict:
        begun = time.monotonic()
        running = SERVERS[server](Path(model))
        value = time.monotonic() - begun
        running.close()
        return {"value": value}

    return measure


def memory(model: str, counts: Sequence[int]):
    """The megabytes of the local host after numbers of requests with small images, one after the other."""
    running = local(Path(model))
    small = [request(running.port, "/invocations", picture, "image/png") for picture in _small_pictures()]
    load = Load(running.port, small, CONNECTIONS)
    left, before = list(counts), [0]

    def measure() -> dict:
        count = left.pop(0)
        began = time.perf_counter()
        load.count(count - before[0])
        rate = (count - before[0]) / (time.perf_counter() - began)
        before[0] = count
        return {"value": running.megabytes(), "requests": count, "requests_per_s": rate}

    measure.close = running.close
    return measure


def _small_pictures() -> list[bytes]:
    import io

    from PIL import Image

    pictures = []
    for number in range(16):
        file = io.BytesIO()
        Image.effect_noise((24 + number, 20 + number), 40 + number).save(file, "PNG")
        pictures.append(file.getvalue())
    return pictures


# ---- servers ----------------------------------------------------------------------------------------------------


class Running:
    """A running server, and how to send requests to it."""

    def __init__(self, port: int, path: str, content_type: str, processes: list[subprocess.Popen], close: Callable):
        self.port, self.path, self.content_type = port, path, content_type
        self._processes, self.close = processes, close

    def requests(self, photos: str) -> list[bytes]:
        """200 photographs of the test split, each as a whole request."""
        paths = sorted(Path(photos, "test").rglob("*.jpg"))
        body = KINDS[self.content_type]
        chosen = paths[:: max(1, len(paths) // 200)]
        return [request(self.port, self.path, body(path.read_bytes()), self.content_type) for path in chosen]

    def megabytes(self) -> float:
        """Resident memory of all processes. Shared memory counts for each."""
        family = [psutil.Process(process.pid) for process in self._processes]
        family += [child for each in family for child in each.children(recursive=True)]
        return sum(each.memory_info().rss for each in family) / 2**20


def local(model: Path) -> Running:
    """The host of the local AWS, with the artifact."""
    return _script_mode(model, {})


def original(model: Path) -> Running:
    """The same host, with the original project's handler."""
    return _script_mode(
        EAGER, {"BENCH_MODEL": str(model), "SAGEMAKER_MODEL_SERVER_WORKERS": "2", "OMP_NUM_THREADS": "1"}
    )


def litserve(model: Path) -> Running:
    folder = litserve_folder()
    port = free_port()
    variables = {"BENCH_MODEL": str(model), "PYTHONPATH": f"{PATHS}{os.pathsep}{folder}"}
    process = _start([sys.executable, "-m", "bench.eager.litserve_app", str(port)], variables)
    running = Running(port, "/invocations", "application/json", [process], lambda: _end([process]))
    return _when_ready(running)


def litserve_folder() -> Path:
    """LitServe. It is not a dependency of the project, so the first use installs it into a separate folder."""
    folder = Path(os.environ.get("PAWPRINT_HOME", ROOT / ".local")) / "bench" / "litserve"
    if not (folder / "litserve").is_dir():
        lock = ROOT / "bench" / "eager" / "litserve.txt"
        command = [Path(sys.executable).parent / "uv", "pip", "install", "-q", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--target", folder, "-r", lock], check=True)
    return folder


def ray_eager(model: Path) -> Running:
    return _ray(["bench.eager.ray_app:app"], ROOT, {"BENCH_MODEL": str(model), "PYTHONPATH": PATHS})


def ray(model: Path) -> Running:
    """The artifact under Ray Serve, started as in AWS's image, without the adapter of the image."""
    return _ray(["config.yaml"], model, {"PYTHONPATH": f"{model}{os.pathsep}{model / 'code'}"})


def image(model: Path) -> Running:
    """The artifact in AWS's serving image as deployed: the adapter and the replica's own server."""
    return _image(model, {"RAYSERVE_BACKEND_URL": "http://127.0.0.1:9000"})


def image_ray(model: Path) -> Running:
    """The same with Ray Serve's proxy between them, which is the default of the image."""
    return _image(model, {})


def _image(model: Path, variables: dict[str, str]) -> Running:
    found = images.find(SERVING_IMAGE)
    if found.prepared() is None:
        raise BenchError(f"The image {found.name} is not prepared: make images")
    scratch = Path(tempfile.mkdtemp(prefix="bench-"))
    port_file = scratch / "port"
    python = str(found.interpreter)
    command = [python, "-I", str(SANDBOX), "--isolated", "--processors", "2", "--", python, "-P", str(RAY_CONTAINER)]
    command += ["--model-dir", str(model), "--port-file", str(port_file)]
    environment = {"PATH": os.defpath, "HOME": str(scratch), "TMPDIR": str(scratch), **variables}
    supervisor = Supervisor(scratch)
    child = supervisor.spawn("bench", command, env=environment, cwd=model, log=scratch / "log")
    for _ in _until_ready():
        if port_file.exists():
            break
    running = Running(int(port_file.read_text()), "/invocations", "image/jpeg", [], lambda: supervisor.stop(child))
    running.megabytes = lambda: child.memory_bytes() / 2**20
    return _when_ready(running)


def _script_mode(folder: Path, variables: dict[str, str]) -> Running:
    port_file = Path(tempfile.mkdtemp(prefix="bench-")) / "port"
    command = [
        sys.executable,
        "-I",
        str(SANDBOX),
        "--",
        sys.executable,
        "-P",
        str(CONTAINER),
        "--model-dir",
        str(folder),
        "--port-file",
        str(port_file),
    ]
    process = _start(command, {"PYTHONPATH": PATHS if variables else "", **variables})
    for _ in _until_ready():
        if port_file.exists():
            break
    running = Running(int(port_file.read_text()), "/invocations", "image/jpeg", [process], lambda: _end([process]))
    return _when_ready(running)


def _ray(what: list[str], folder: Path, variables: dict[str, str]) -> Running:
    ray_port, http_port = free_port(), free_port()
    scratch = tempfile.mkdtemp(prefix="ray-")
    variables |= {"RAY_TMPDIR": scratch, "RAY_ADDRESS": f"127.0.0.1:{ray_port}", "RAY_USAGE_STATS_ENABLED": "0"}
    tools = Path(sys.executable).parent
    ports = [f"--port={ray_port}", f"--ray-client-server-port={free_port()}"]
    head = _start([tools / "ray", "start", "--head", "--block", *ports, "--include-dashboard=False"], variables, folder)
    processes = [head]
    start = [tools / "serve", "start", "--http-host=127.0.0.1", f"--http-port={http_port}"]
    for _ in _until_ready():  # `ray start` reports that it is ready only in its log
        if _start(start, variables, folder).wait() == 0:
            break
    processes.append(_start([tools / "serve", "run", *what], variables, folder))
    return _when_ready(Running(http_port, "/", "image/jpeg", processes, lambda: _end(processes)))


SERVERS: dict[str, Callable[[Path], Running]] = {
    "original": original,
    "litserve": litserve,
    "local": local,
    "ray_eager": ray_eager,
    "ray": ray,
    "image": image,
    "image_ray": image_ray,
}


def _start(command: list, variables: dict[str, str], folder: Path = ROOT) -> subprocess.Popen:
    return subprocess.Popen(list(map(str, command)), env=os.environ | variables, cwd=folder, stdin=subprocess.DEVNULL)


def _end(processes: list[subprocess.Popen]) -> None:
    """End the processes and their children. Ray would drain for half a minute and leave its own processes."""
    family = [psutil.Process(process.pid) for process in processes if process.poll() is None]
    family += [child for each in family for child in each.children(recursive=True)]
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    for process in processes:
        process.wait()


def _when_ready(running: Running) -> Running:
    from PIL import Image

    with tempfile.TemporaryFile() as file:
        Image.new("RGB", (64, 64)).save(file, "JPEG")
        file.seek(0)
        body = KINDS[running.content_type](file.read())
    asked = urllib.request.Request(f"http://127.0.0.1:{running.port}{running.path}", body)
    asked.add_header("Content-Type", running.content_type)
    for _ in _until_ready():
        with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
            if answer.status == 200:
                break
    return running


def _until_ready() -> Iterator[None]:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        yield
        time.sleep(0.2)
    sys.exit("the server did not answer in time")
