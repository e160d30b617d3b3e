"""The EC2 archive on an instance: bootstrap.sh prepares it, and its data and results are in a local S3."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from classifier import artifact

from localaws.ports import free_port

TIMEOUT = 600  # seconds until a run that hangs fails
BUCKET = "pawprint-artifacts"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory) -> Iterator[str]:
    """moto's server in a separate process, on a free port."""
    port = free_port()
    log = (tmp_path_factory.mktemp("moto") / "log.txt").open("w+")
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while not listening(port):
            log.seek(0)
            assert process.poll() is None and time.monotonic() < deadline, log.read()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def s3(endpoint, squares, archives):
    """A client. The bucket has the dataset `squares` and the serving code."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=BUCKET)
    for path in squares.rglob("*.jpg"):
        client.upload_file(str(path), BUCKET, f"datasets/squares/{path.relative_to(squares).as_posix()}")
    client.put_object(Bucket=BUCKET, Key="datasets/squares/dataset.json", Body=b"{}")
    client.upload_file(str(archives["inference"]), BUCKET, "payloads/inference/abc.tar.gz")
    return client


@pytest.fixture(scope="module")
def instance(unpacked, endpoint, tmp_path_factory):
    """An instance's root folder with the payload. `run` starts the trainer there."""
    root = tmp_path_factory.mktemp("instance")
    shutil.copytree(unpacked["ec2"], root / "opt" / "pawprint" / "payload")

    def run(*more: str, run: str = "squares-1", environment: dict | None = None, **changes: str):
        options = {
            "--run": run,
            "--dataset": f"s3://{BUCKET}/datasets/squares",
            "--serving": f"s3://{BUCKET}/payloads/inference/abc.tar.gz",
            "--output": f"s3://{BUCKET}/models/{run}/output/",
            "--head": "steps",  # so few images would get a head without epochs
        } | {f"--{name}": value for name, value in changes.items()}
        given = [part for option in options.items() for part in option]
        known = {
            "PATH": os.defpath,
            "HOME": str(root / "root"),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_MAX_ATTEMPTS": "2",
        } | (environment or {})
        command = [sys.executable, "-u", "opt/pawprint/payload/train_ec2.py", *given, *more]
        return subprocess.run(command, cwd=root, env=known, capture_output=True, text=True, timeout=TIMEOUT)

    run.root = root
    return run


@pytest.fixture(scope="module")
def trained(instance, s3) -> subprocess.CompletedProcess:
    return instance("--threads", "2", "--workers", "2")


def test_it_trains_from_s3_and_writes_both_archives_to_s3(trained, s3, tmp_path):
    assert trained.returncode == 0, trained.stderr
    assert "download 48/48" in trained.stdout
    assert re.search(r"^epoch=1 train_loss=[\d.]+ valid_loss=[\d.]+ valid_accuracy=[\d.]+$", trained.stdout, re.M)
    assert re.search(r"^test_accuracy=1\.0000 test_loss=[\d.]+ epochs=\d+$", trained.stdout, re.M)
    s3.download_file(BUCKET, "models/squares-1/output/model.tar.gz", str(tmp_path / "model.tar.gz"))
    card = artifact.validate(tmp_path / "model.tar.gz")
    assert (card.name, card.labels) == ("squares-1", ("red square", "green square", "blue square"))
    s3.download_file(BUCKET, "models/squares-1/output/output.tar.gz", str(tmp_path / "output.tar.gz"))
    artifact.extract(tmp_path / "output.tar.gz", tmp_path)
    assert '"test_accuracy": 1.0' in (tmp_path / "metrics.json").read_text()
    assert "squares-1" in (tmp_path / "report.html").read_text()


def test_given_threads_and_workers_need_no_autotuning(trained):
    assert "trying" not in trained.stdout


def test_another_run_uses_the_cache_and_notices_changes(trained, instance, s3):
    cached = {path: path.stat().st_mtime_ns for path in (instance.root / "opt/pawprint/cache").iterdir()}
    assert len(cached) == 48
    changed, removed = "datasets/squares/train/001.red_square/000.jpg", "datasets/squares/train/001.red_square/001.jpg"
    source = {"Bucket": BUCKET, "Key": "datasets/squares/train/001.red_square/002.jpg"}
    s3.copy_object(Bucket=BUCKET, Key=changed, CopySource=source)
    s3.delete_object(Bucket=BUCKET, Key=removed)

    again = instance(run="squares-1")
    assert re.search(r"TrainingError: .*another run: data_sha256 was", again.stderr)
    data = instance.root / "opt/pawprint/runs/squares-1/data/train/001.red_square"
    assert not (data / "001.jpg").exists()
    assert (data / "000.jpg").read_bytes() == (data / "002.jpg").read_bytes()
    for path, modified in cached.items():
        assert path.stat().st_mtime_ns == modified


def test_an_interrupted_run_continues_under_its_name(instance, s3, tmp_path):
    """The run also keeps the choice of autotuning."""
    first = instance(run="squares-2", epochs="2")
    assert first.returncode == 0, first.stderr
    assert re.search(r"^  openvino  fp32 .*  <- chosen$", first.stdout, re.M)
    assert re.search(r"^  torch     fp32       channels_last .*  \(to compare\)$", first.stdout, re.M)
    assert re.search(r"^chosen: openvino, fp32, ", first.stdout, re.M)
    s3.download_file(BUCKET, "models/squares-2/output/output.tar.gz", str(tmp_path / "output.tar.gz"))
    artifact.extract(tmp_path / "output.tar.gz", tmp_path)
    records = json.loads((tmp_path / "metrics.json").read_text())["autotune"]
    assert [row["runtime"] for row in records if row["chosen"]] == ["openvino"]
    assert all(row["images_per_second"] > 0 for row in records)

    second = instance(run="squares-2", epochs="4")
    assert second.returncode == 0, second.stderr
    assert "using the earlier choice of autotuning: openvino, fp32, " in second.stdout
    assert "resumed after epoch 2" in second.stdout
    assert "epoch=3 " in second.stdout and "epoch=2 " not in second.stdout


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"dataset": "s3://no-such-bucket/datasets/x"},
            r"StorageError: s3://no-such-bucket/\S+: the bucket does not exist",
        ),
        ({"dataset": f"s3://{BUCKET}/datasets/nothing"}, r"StorageError: s3://\S+/nothing has no images .*make data"),
        ({"dataset": "datasets/squares"}, r"StorageError: 'datasets/squares' is not of the form s3://bucket/key"),
        (
            {"serving": f"s3://{BUCKET}/payloads/none.tar.gz"},
            r"StorageError: s3://\S+/none\.tar\.gz: the (bucket or )?object does not exist",
        ),
        (
            {"output": "s3://no-such-bucket/models"},
            r"StorageError: s3://no-such-bucket: the bucket (or object )?does not exist",
        ),
        ({"serving": f"s3://{BUCKET}/datasets/squares/dataset.json"}, r"ArtifactError: .* is not a \.tar\.gz"),
        ({"run": "../../etc"}, r"train_ec2\.py: error: argument --run: '\.\./\.\./etc' is not a run name"),
    ],
    ids=["bucket", "prefix", "no uri", "serving code", "output", "not an archive", "name"],
)
def test_the_reason_of_a_failure_is_the_last_line(instance, s3, changes, reason):
    result = instance(**{"run": "squares-3"} | changes)
    assert result.returncode in (1, 2)
    assert re.match(reason, result.stderr.strip().splitlines()[-1]), result.stderr
    assert "Traceback" not in result.stderr


def test_a_failed_run_uploads_nothing(instance, s3):
    assert instance(run="squares-4", arch="resnet51").returncode == 1
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="models/squares-4/")


def test_an_unreachable_s3_is_named(instance):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens
        result = instance(
            run="squares-5", environment={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed.getsockname()[1]}"}
        )
    assert result.returncode == 1
    assert re.match(r"StorageError: .*Could not connect", result.stderr.strip().splitlines()[-1])


# ---- bootstrap.sh ---------------------------------------------------------------------------------------------


def prepare(root: Path, python: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "opt/pawprint/payload/bootstrap.sh"],
        cwd=root,
        env={"PATH": os.defpath, "HOME": str(root), "PYTHON": python} | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def test_an_interpreter_with_all_packages_is_used_unchanged(instance):
    for _ in range(2):  # at the first boot and at each later run
        result = prepare(instance.root, sys.executable)
        assert result.returncode == 0, result.stderr
        assert (instance.root / "opt/pawprint/python").read_text() == f"{sys.executable}\n"
        assert not (instance.root / "opt/pawprint/venv").exists()


def test_an_interpreter_without_packages_gets_its_own_environment(unpacked, tmp_path):
    """The installed package is a replacement made here, so the test needs no registry."""
    payload = tmp_path / "opt" / "pawprint" / "payload"
    shutil.copytree(unpacked["ec2"], payload)
    wheels = tmp_path / "wheels"
    (payload / "requirements.txt").write_text("# versions\nstand-in==1.5\n")
    lock = locked("stand-in==1.5+cpu", make_wheel(wheels, "stand_in", "1.5+cpu"))
    (payload / "requirements.lock").write_text(f"--find-links {wheels}\n{lock}")
    offline = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    first = prepare(tmp_path, sys.executable, **offline)
    assert first.returncode == 0, first.stderr
    interpreter = (tmp_path / "opt/pawprint/python").read_text().strip()
    assert interpreter == f"{tmp_path}/opt/pawprint/venv/bin/python"
    subprocess.run([interpreter, "-c", "import stand_in"], check=True)

    shutil.rmtree(wheels)  # the package is already installed, so no index is needed
    assert prepare(tmp_path, sys.executable, **offline).returncode == 0


def test_if_the_requirements_are_unavailable_the_instance_stays_unprepared(unpacked, tmp_path):
    payload = tmp_path / "opt" / "pawprint" / "payload"
    shutil.copytree(unpacked["ec2"], payload)
    (payload / "requirements.txt").write_text("no-such-thing==1.0\n")
    (payload / "requirements.lock").write_text(f"no-such-thing==1.0 --hash=sha256:{'0' * 64}\n")
    offline = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "RETRY_SECONDS": "0"}
    result = prepare(tmp_path, sys.executable, **offline)
    assert result.returncode != 0
    assert "installing the training packages failed 6 times" in result.stderr
    assert "lacks no-such-thing==1.0 (not installed)" in result.stderr
    assert not (tmp_path / "opt/pawprint/python").exists()


class Registry:
    """Package indexes over HTTP, one per folder below `root`. `refusals` is the number of next requests to refuse."""

    def __init__(self, root: Path):
        self.root, self.refusals, self.asked = root, 0, []
        registry = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                if registry.refusals:
                    registry.refusals -= 1
                    self.send_error(503)
                    return
                super().do_GET()

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=root))
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, index: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{index}"

    def settings(self, **more: str) -> dict[str, str]:
        """The environment for pip and bootstrap.sh: no settings of this machine, and no pauses."""
        return {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.url("pypi"),
            "PIP_RETRIES": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTORCH_INDEX": self.url("cpu"),
            "RETRY_SECONDS": "0",
        } | more


@pytest.fixture
def registry(tmp_path) -> Iterator[Registry]:
    """Two indexes like PyPI and PyTorch's index for processors: both have the requested version."""
    root = tmp_path / "indexes"
    for index, name, version in (
        ("pypi", "torch", "1.5"),
        ("cpu", "torch", "1.5+cpu"),
        ("pypi", "stand-in", "1.5"),
    ):
        make_wheel(root / index / name, name.replace("-", "_"), version)
    made = Registry(root)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """An empty virtual environment, made once. Copies of it work too."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=TIMEOUT)
    return folder


@pytest.fixture
def bare(unpacked, environment, registry, tmp_path) -> Path:
    """An instance's root folder with an empty environment and the payload, whose requirements are two replacements."""
    payload = tmp_path / "root" / "opt" / "pawprint" / "payload"
    shutil.copytree(unpacked["ec2"], payload)
    (payload / "requirements.txt").write_text("# versions\ntorch==1.5\nstand-in==1.5\n")
    for lock, wanted in (("requirements", "stand-in==1.5"), ("pytorch-cuda", "torch==1.5")):
        [wheel] = (registry.root / "pypi" / wanted.partition("==")[0]).iterdir()
        (payload / f"{lock}.lock").write_text(locked(wanted, wheel))
    shutil.copytree(environment, payload.parent / "venv", symlinks=True)
    return tmp_path / "root"


def installed(root: Path, name: str) -> str:
    interpreter = (root / "opt/pawprint/python").read_text().strip()
    program = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([interpreter, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_a_machine_without_a_gpu_gets_pytorch_without_cuda(registry, bare):
    result = prepare(bare, sys.executable, **registry.settings(PYTORCH="cpu"))
    assert result.returncode == 0, result.stderr
    assert (installed(bare, "torch"), installed(bare, "stand-in")) == ("1.5+cpu", "1.5")
    assert not any(asked.startswith("/pypi/torch/") and asked.endswith(".whl") for asked in registry.asked)


def test_a_machine_with_a_gpu_gets_the_build_with_cuda(registry, bare):
    result = prepare(bare, sys.executable, **registry.settings(PYTORCH="cuda"))
    assert result.returncode == 0, result.stderr
    assert installed(bare, "torch") == "1.5"
    assert not any(asked.startswith("/cpu/") for asked in registry.asked)


def test_an_index_without_the_build_is_a_failure_and_does_not_install_cuda(registry, bare):
    shutil.rmtree(registry.root / "cpu")
    result = prepare(bare, sys.executable, **registry.settings(PYTORCH="cpu", RETRY_ATTEMPTS="2"))
    assert result.returncode != 0
    assert result.stderr.strip().splitlines()[-1].startswith("installing PyTorch for processors failed 2 times")
    assert not (bare / "opt/pawprint/python").exists()


def test_a_registry_that_refuses_twice_is_retried(registry, bare):
    registry.refusals = 2
    result = prepare(bare, sys.executable, **registry.settings(PYTORCH="cpu"))
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stdout.splitlines() if "attempt" in line] == [
        f"installing PyTorch for processors failed with status 1, attempt {attempt} of 6: again in 0 s"
        for attempt in (1, 2)
    ]
    assert installed(bare, "torch") == "1.5+cpu"


def test_pip_unpacks_on_the_disk(bare):
    """Amazon Linux 2023 has its default folder for temporary files in memory."""
    stub = bare / "opt/pawprint/venv/bin/python"
    stub.unlink()
    stub.write_text(f"""#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then echo "$TMPDIR" >> {bare}/used; else exec {sys.executable} "$@"; fi
""")
    stub.chmod(0o755)
    result = prepare(bare, sys.executable, PYTORCH="cpu")
    assert result.returncode == 0, result.stderr
    assert (bare / "used").read_text().splitlines() == [f"{bare}/opt/pawprint/tmp"] * 2
    assert not (bare / "opt/pawprint/tmp").exists()


def test_a_package_with_another_hash_is_not_installed(registry, bare):
    [wheel] = (registry.root / "pypi" / "stand-in").iterdir()
    wheel.unlink()
    make_wheel(wheel.parent / "new", "stand_in", "1.5", content="import os")
    (wheel.parent / "new" / wheel.name).rename(wheel)
    result = prepare(bare, sys.executable, **registry.settings(PYTORCH="cpu", RETRY_ATTEMPTS="1"))
    assert result.returncode != 0
    assert "DO NOT MATCH THE HASHES" in result.stderr
    assert not (bare / "opt/pawprint/python").exists()


def test_a_lock_of_pytorch_for_processors_is_compared_too(registry, bare):
    [wheel] = (registry.root / "cpu" / "torch").iterdir()
    lock = bare / "opt/pawprint/payload/pytorch-cpu.lock"
    lock.write_text(f"torch==1.5+cpu --hash=sha256:{'0' * 64}\n")
    result = prepare(bare, sys.executable, **registry.settings(PYTORCH="cpu", RETRY_ATTEMPTS="1"))
    assert "DO NOT MATCH THE HASHES" in result.stderr
    lock.write_text(locked("torch==1.5+cpu", wheel))
    result = prepare(bare, sys.executable, **registry.settings(PYTORCH="cpu", RETRY_ATTEMPTS="1"))
    assert result.returncode == 0, result.stderr


def locked(requirement: str, wheel: Path) -> str:
    return f"{requirement} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def make_wheel(folder: Path, name: str, version: str, content: str = "") -> Path:
    folder.mkdir(parents=True)
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path
