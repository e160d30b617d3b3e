"""What an instance lets go of, and never: a run that can still be resumed, an image that a run links to."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "payloads" / "ec2" / "housekeeping.py"


@pytest.fixture(scope="module")
def housekeeping():
    """The payload is not a package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("housekeeping", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def home(tmp_path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path


def make_run(housekeeping, home: Path, name: str, days_ago: float, *, finished: bool) -> Path:
    folder = home / "runs" / name
    housekeeping.begin(folder)
    (folder / "checkpoints").mkdir()
    if finished:
        housekeeping.finish(folder)
    moment = time.time() - days_ago * housekeeping.DAY
    for path in (*folder.iterdir(), folder):
        os.utime(path, (moment, moment))
    return folder


def image(home: Path, name: str, size: int, days_unused: float = 0) -> Path:
    path = home / "cache" / name
    path.write_bytes(bytes(size))
    moment = time.time() - days_unused * 24 * 3600
    os.utime(path, (moment, moment))
    return path


def test_finished_runs_go_after_a_week_and_others_when_aws_has_forgotten_them(housekeeping, home, capsys):
    make_run(housekeeping, home, "finished-8", 8, finished=True)
    make_run(housekeeping, home, "finished-6", 6, finished=True)
    make_run(housekeeping, home, "interrupted-29", 29, finished=False)
    make_run(housekeeping, home, "interrupted-31", 31, finished=False)
    housekeeping.prune(home)
    assert sorted(path.name for path in (home / "runs").iterdir()) == ["finished-6", "interrupted-29"]
    assert "pruned 2 old runs" in capsys.readouterr().out


def test_a_run_with_a_new_checkpoint_is_not_over(housekeeping, home):
    run = make_run(housekeeping, home, "long", 40, finished=False)
    os.utime(run / "checkpoints")
    housekeeping.prune(home)
    assert run.exists()


def test_a_finished_run_that_is_started_again_is_under_way(housekeeping, home):
    run = make_run(housekeeping, home, "again", 8, finished=True)
    housekeeping.begin(run)
    housekeeping.prune(home)
    assert run.exists()


def test_images_go_that_were_unused_longest_until_the_cache_is_small_enough(housekeeping, home):
    old, older, new = (image(home, name, 100, days) for name, days in (("old", 2), ("older", 3), ("new", 1)))
    housekeeping.prune(home, cache_bytes=250)
    assert (older.exists(), old.exists(), new.exists()) == (False, True, True)
    housekeeping.prune(home, cache_bytes=100)
    assert (old.exists(), new.exists()) == (False, True)


def test_an_image_that_a_run_links_to_stays(housekeeping, home):
    linked, free = image(home, "linked", 100, 9), image(home, "free", 100, 1)
    run = make_run(housekeeping, home, "interrupted", 1, finished=False)
    (run / "data").mkdir()
    os.link(linked, run / "data" / "1.jpg")
    housekeeping.prune(home, cache_bytes=0)
    assert (linked.exists(), free.exists()) == (True, False)
    housekeeping.finish(run)
    housekeeping.prune(home, cache_bytes=0)
    assert not linked.exists()


def test_an_instance_that_is_new_has_nothing_to_prune(housekeeping, tmp_path, capsys):
    housekeeping.prune(tmp_path)
    assert capsys.readouterr().out == ""
