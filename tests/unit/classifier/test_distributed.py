"""Several processes that train together: the same result as one process, and no hang if one is lost.

torchrun starts them, as in a training job. The results differ only in the order of additions: TOLERANCE.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.unit.classifier.pictures import write_image_folder

PROGRAM = Path(__file__).with_name("distributed_program.py")
ROOT = PROGRAM.parents[3]
TOLERANCE = 1e-5  # of losses and weights of about 1, after four epochs of five steps each


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """24 training images and 9 validation images, so the last batch and the shares of two processes are uneven."""
    counts = {"train": 7, "valid": 3, "test": 1}
    return write_image_folder(tmp_path_factory.mktemp("data") / "squares", counts)


def trained(dataset: Path, folder: Path, processes: int, epochs: int, *last: str) -> subprocess.CompletedProcess:
    folder.mkdir(exist_ok=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    paths = [str(ROOT), str(ROOT / "payloads" / "shared")]
    return subprocess.run(
        [*launcher, str(PROGRAM), str(dataset), str(folder), str(epochs), *last],
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def result(folder: Path, rank: int = 0) -> dict:
    return torch.load(folder / f"rank-{rank}.pt", weights_only=True)


@pytest.fixture(scope="module")
def alone(dataset, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("alone")
    ran = trained(dataset, folder, 1, 4)
    assert ran.returncode == 0, ran.stderr
    return result(folder)


@pytest.fixture(scope="module")
def together(dataset, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("together")
    ran = trained(dataset, folder, 2, 4)
    assert ran.returncode == 0, ran.stderr
    return folder, ran


def assert_same(one: dict, other: dict) -> None:
    torch.testing.assert_close(torch.tensor(one["history"]), torch.tensor(other["history"]), rtol=0, atol=TOLERANCE)
    for name, weights in one["weights"].items():
        torch.testing.assert_close(other["weights"][name], weights, rtol=0, atol=TOLERANCE, msg=name)


def test_two_processes_with_the_same_batch_get_the_result_of_one(alone, together):
    assert len(alone["history"]) == 4
    assert alone["history"][-1][1] < alone["history"][0][1], "the loss did not fall, so there is nothing to compare"
    assert_same(alone, result(together[0]))


def test_processes_on_one_machine_use_separate_processors(alone, together):
    everything = alone["processors"]
    first, second = (result(together[0], rank)["processors"] for rank in (0, 1))
    if len(everything) < 2:
        pytest.skip("this machine has one processor")
    assert len(first) == len(second) == len(everything) // 2
    assert set(first) | set(second) <= set(everything) and not set(first) & set(second)


def test_every_process_has_the_same_history_and_the_same_network(together):
    first, second = (result(together[0], rank) for rank in (0, 1))
    assert first["history"] == second["history"]
    assert all(torch.equal(first["weights"][name], second["weights"][name]) for name in first["weights"])


def test_one_process_prints_and_writes(together):
    folder, ran = together
    assert [line.split()[0] for line in ran.stdout.splitlines() if line.startswith("epoch=")] == [
        f"epoch={number}" for number in range(1, 5)
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.pt", "rank-0.pt", "rank-1.pt"]


def test_killed_and_restarted_processes_get_the_same_result(dataset, alone, tmp_path):
    killed = trained(dataset, tmp_path / "run", 2, 4, "2")
    assert killed.returncode != 0
    assert f"Signal {signal.SIGKILL.value}" in killed.stderr
    assert not (tmp_path / "run" / "rank-1.pt").exists()

    again = trained(dataset, tmp_path / "run", 2, 4)
    assert again.returncode == 0, again.stderr
    assert "resumed after epoch 2" in again.stdout
    assert_same(alone, result(tmp_path / "run"))
