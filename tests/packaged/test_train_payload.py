"""The training archive as in a training job: unpacked, in a clean interpreter, with the environment of SageMaker."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from classifier import artifact
from torchvision import models

TIMEOUT = 600  # seconds until a run that hangs fails


class Job:
    """A training job's folders and environment. `run` starts the program with them."""

    def __init__(self, base: Path, code: Path, dataset: Path, serving: Path):
        self.base, self.code = base, code
        (base / "serving").mkdir(parents=True)
        shutil.copy(serving, base / "serving" / "0123456789abcdef.tar.gz")
        self.environment = {
            "PATH": os.defpath,
            "HOME": str(base / "home"),
            "PYTHONWARNINGS": "error",
            "SM_HOSTS": '["algo-1"]',
            "SM_CURRENT_INSTANCE_TYPE": "ml.m5.xlarge",
            "SM_MODEL_DIR": str(base / "model"),
            "SM_OUTPUT_DATA_DIR": str(base / "output" / "data"),
            "SM_CHANNEL_SERVING": str(base / "serving"),
            "TRAINING_JOB_NAME": "squares-1",
            **{f"SM_CHANNEL_{split.upper()}": str(dataset / split) for split in ("train", "valid", "test")},
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        command = [sys.executable, "train.py", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.code,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        with self.start(*arguments, **environment) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def metrics(self) -> dict:
        return json.loads((self.base / "output" / "data" / "metrics.json").read_text())


@pytest.fixture
def job(tmp_path, unpacked, squares, archives) -> Job:
    return Job(tmp_path, unpacked["train"], squares, archives["inference"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory, unpacked, squares, archives) -> tuple[Job, subprocess.CompletedProcess]:
    """One complete job with a head that is trained in steps, and its output."""
    job = Job(tmp_path_factory.mktemp("job"), unpacked["train"], squares, archives["inference"])
    (job.base / "checkpoints").mkdir()
    return job, job.run("--head", "steps")


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_it_trains_and_prints_metrics_in_the_form_of_the_metric_definitions(trained):
    _, result = trained
    assert result.returncode == 0, result.stderr
    assert "features train 24/24" in result.stdout
    epochs = re.findall(r"^epoch=(\d+) train_loss=[\d.]+ valid_loss=[\d.]+ valid_accuracy=[\d.]+$", result.stdout, re.M)
    assert epochs == [str(number) for number in range(1, len(epochs) + 1)]
    last = re.search(r"^test_accuracy=([\d.]+) test_loss=[\d.]+ epochs=(\d+)$", result.stdout, re.M)
    assert (float(last[1]), int(last[2])) == (1.0, len(epochs))
    assert result.stderr == ""


def test_it_writes_an_artifact_that_describes_itself(trained):
    job, _ = trained
    card = artifact.validate(job.base / "model")
    assert (card.name, card.architecture, card.precision) == ("squares-1", "efficientnet-lite0", "fp32")
    assert "cannot be measured on 12 validation images" in card.precision_reason
    assert card.labels == ("red square", "green square", "blue square")
    assert (card.input_size, card.mean, card.std) == (224, (127.0,) * 3, (128.0,) * 3)
    assert card.metrics["test_accuracy"] == 1.0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", card.created)
    assert {len(card.data_sha256), len(card.code_sha256)} == {64}
    assert {"torch", "openvino", "numpy", "pillow"} <= set(card.libraries)


def test_it_writes_everything_needed_to_judge_and_repeat_the_run(trained):
    job, _ = trained
    metrics = job.metrics
    assert metrics["confusion"] == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
    assert metrics["class_accuracy"] == dict.fromkeys(metrics["classes"], 1.0)
    assert metrics["images"] == {"train": 24, "valid": 12, "test": 12}
    assert metrics["settings"]["seed"] == 0
    assert [epoch["epoch"] for epoch in metrics["history"]] == list(range(1, len(metrics["history"]) + 1))
    assert {"features", "train", "test"} <= set(metrics["seconds"])


def test_it_writes_a_report_that_needs_no_other_file(trained):
    job, _ = trained
    page = (job.base / "output" / "data" / "report.html").read_text()
    for told in ("squares-1", "green square", "1 x ml.m5.xlarge", "at $0.23 an hour", job.metrics["data_sha256"]):
        assert told in page
    assert job.metrics["findings"] == []
    assert not re.findall(r"""(?:src|href)=(?!["']?data:)""", page)


def test_the_weights_are_those_of_the_graph(trained):
    import numpy as np
    from classifier.network import graph
    from classifier.network.model import load_backbone
    from safetensors.torch import load_file

    job, _ = trained
    weights = load_file(job.base / "model" / "weights.safetensors")
    backbone = load_backbone()
    state = {name.removeprefix("backbone."): value for name, value in weights.items() if name.startswith("backbone.")}
    backbone.network.load_state_dict(state)
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    with torch.inference_mode():
        logits = backbone(torch.from_numpy(images)) @ weights["head.weight"].T + weights["head.bias"]
    answered = graph.compile_for("LATENCY", graph.load(job.base / "model"))(images)[0]
    np.testing.assert_allclose(answered, torch.softmax(logits, 1).numpy(), atol=1e-4)


def test_it_writes_nothing_to_the_users_home(trained):
    job, _ = trained
    assert not (job.base / "home").exists()


def test_other_settings_do_not_continue_from_that_checkpoint(trained):
    job, _ = trained
    result = job.run("--lr", "0.5", "--head", "steps")
    assert result.returncode == 1
    assert re.match(r"TrainingError \(Exception\): .*another run: lr was None, is 0\.5", last_line(result.stderr))


def test_a_stopped_job_ends_at_once_and_can_be_resumed(job):
    (job.base / "checkpoints").mkdir()
    with job.start("--head", "steps", "--epochs", "10000", "--patience", "10000") as process:
        for line in process.stdout:
            if line.startswith("epoch=2 "):
                process.send_signal(signal.SIGTERM)
                break
        _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in last_line(err)
    assert "Traceback" not in err
    assert not (job.base / "model" / "model.json").exists()

    reached = len(torch.load(job.base / "checkpoints" / "checkpoint.pt", weights_only=True)["history"])
    assert reached >= 2
    resumed = job.run("--head", "steps", "--epochs", str(reached + 2))
    assert resumed.returncode == 0, resumed.stderr
    assert f"resumed after epoch {reached}\n" in resumed.stdout
    assert [epoch["epoch"] for epoch in job.metrics["history"]] == list(range(1, reached + 3))
    assert artifact.validate(job.base / "model").metrics["test_accuracy"] == 1.0


@pytest.mark.soak
def test_another_network_in_full_with_weights_from_the_channel(job, tmp_path):
    torch.manual_seed(0)
    (tmp_path / "weights").mkdir()
    state = models.resnet18(weights=None).state_dict()
    torch.save(state, tmp_path / "weights" / "resnet18.pth")
    arguments = ("--arch", "resnet18", "--fine-tune", "True", "--epochs", "2", "--batch-size", "8")
    arguments += ("--precision", "int8")
    result = job.run(*arguments, SM_CHANNEL_WEIGHTS=str(tmp_path / "weights"))
    assert result.returncode == 0, result.stderr
    assert "training all parameters" in result.stdout
    card = artifact.validate(job.base / "model")
    assert (card.architecture, len(job.metrics["history"])) == ("resnet18", 2)
    assert (card.precision, card.precision_reason) == ("int8", "asked for")


def test_two_processes_write_the_results_of_one_and_only_one_prints(trained, job):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    result = subprocess.run(
        [*launcher, "train.py", "--head", "steps"],
        cwd=job.code,
        env=job.environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("test_accuracy=") == 1
    assert "features train 12/12" in result.stdout
    alone = trained[0].metrics
    assert job.metrics["metrics"] == pytest.approx(alone["metrics"], abs=1e-4)
    assert job.metrics["confusion"] == alone["confusion"]
    assert len(job.metrics["history"]) == len(alone["history"])
    assert job.metrics["instance"] == {"type": "ml.m5.xlarge", "count": 1, "processes": 2}
    assert artifact.validate(job.base / "model").data_sha256 == artifact.validate(trained[0].base / "model").data_sha256


# ---- what goes wrong ------------------------------------------------------------------------------------------


def test_help_needs_neither_environment_nor_libraries(unpacked):
    result = subprocess.run(
        [sys.executable, "-S", "train.py", "--help"],
        cwd=unpacked["train"],
        env={},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "--fine-tune" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--arch", "resnet51"], "ModelError (Exception): There is no network resnet51"),
        (["--test", "/nowhere"], "DatasetError (Exception): The split test is missing: /nowhere"),
        (["--serving", "/nowhere.tar.gz"], "ArtifactError (Exception): /nowhere.tar.gz does not exist"),
        (["--weights", "/nowhere.pth"], "ModelError (Exception): The weights /nowhere.pth do not exist"),
        (["--epochs", "none"], "train.py: error (ValueError): argument --epochs: 'none' is not a whole number"),
    ],
    ids=["network", "split", "serving code", "weights", "hyperparameter"],
)
def test_the_reason_of_a_failure_is_the_last_line(job, arguments, reason):
    result = job.run(*arguments)
    assert result.returncode in (1, 2)
    assert last_line(result.stderr).startswith(reason)
    assert "Traceback" not in result.stderr


def test_a_wrong_price_stops_the_run_before_training(job):
    result = job.run(PRICE_PER_HOUR="cheap")
    assert (result.returncode, "features" in result.stdout) == (1, False)
    assert last_line(result.stderr).startswith("PriceError (Exception): PRICE_PER_HOUR='cheap' is not a price")


def test_a_missing_channel_is_named(job):
    del job.environment["SM_CHANNEL_VALID"]
    result = job.run()
    assert result.returncode == 2
    assert "missing --valid (in a training job: the channel of that name)" in last_line(result.stderr)


def test_several_instances_without_torchrun_are_refused(job):
    result = job.run(SM_HOSTS='["algo-1", "algo-2"]')
    assert result.returncode == 2
    assert "Let torchrun start this program" in last_line(result.stderr)


@pytest.mark.parametrize("payload", ["train", "ec2"])
def test_the_installed_versions_are_those_of_the_lock(unpacked, payload):
    lock = (Path(__file__).resolve().parents[2] / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", lock, re.M))
    wanted = re.findall(r"^([a-z0-9.-]+)==(.+)$", (unpacked[payload] / "requirements.txt").read_text(), re.M)
    assert len(wanted) > 3
    assert dict(wanted) == {name: locked[name] for name, _ in wanted}
