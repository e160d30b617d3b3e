"""Processes are ended whole, reported once, and found again after a crash: never somebody else's."""

import ast
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from localaws.services.sagemaker.endpoints import sandbox
from localaws.supervisor import Supervisor, start_time

IGNORING = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(1000)"
)
SLEEPING = "import time; print('ready', flush=True); time.sleep(1000)"
# Starts a child in a session of its own, which only the mark in the environment still ties to it.
WITH_WORKER = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'], start_new_session=True); "
    "print('worker', child.pid, flush=True); "
)


@pytest.fixture
def supervisor(tmp_path):
    found = Supervisor(tmp_path)
    yield found
    found.stop_all()


@pytest.fixture
def run(supervisor, tmp_path, wait_until):
    """Start a line of Python and wait for its first line of output, unless `quiet`."""

    def start(code: str, owner: str = "test", quiet: bool = False, **more):
        log = tmp_path / f"{owner}-{len(list(tmp_path.glob('*.log')))}.log"
        child = supervisor.spawn(
            owner, [sys.executable, "-c", code], env={"PATH": os.environ["PATH"]}, cwd=tmp_path, log=log, **more
        )
        if not quiet:
            wait_until(lambda: log.exists() and "\n" in log.read_text(), "it says something")
        return child

    return start


def worker_of(child) -> int:
    return int(child.log.read_text().split()[1])


def test_a_child_ends_by_itself_and_its_end_is_told_once(supervisor, run):
    told = []
    child = run("print('done'); raise SystemExit(7)", quiet=True, on_exit=told.append)
    assert child.wait(30) == 7
    assert supervisor.stop(child) == 7
    assert told == [7]
    assert (child.running, child.returncode, supervisor.children()) == (False, 7, [])
    assert child.log.read_text() == "done\n"


def test_stopping_begins_gently_and_ends_by_force(supervisor, run):
    told = []
    assert supervisor.stop(run(SLEEPING, on_exit=told.append), grace=30) == -signal.SIGTERM
    assert supervisor.stop(run(IGNORING, on_exit=told.append), grace=0.2) == -signal.SIGKILL
    assert told == [-signal.SIGTERM, -signal.SIGKILL]


def test_what_a_child_leaves_running_ends_with_it(supervisor, run):
    ended = run(WITH_WORKER)
    ended.wait(30)
    assert start_time(worker_of(ended)) is None, "its program was over"
    stopped = run(WITH_WORKER + "time.sleep(1000)")
    supervisor.stop(stopped)
    assert start_time(worker_of(stopped)) is None, "it was stopped"


def test_a_child_gets_its_own_environment_and_no_other(supervisor, run, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "the-callers-own")
    child = run("import os; print(sorted(os.environ))")
    child.wait(30)
    names = set(ast.literal_eval(child.log.read_text()))
    assert names - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} == {"LOCALAWS_PROCESS", "PATH"}, "systems add their own"


def test_owners_are_stopped_apart(supervisor, run):
    mine, other = run(SLEEPING, owner="mine"), run(SLEEPING, owner="other")
    supervisor.stop_owner("mine")
    assert (mine.running, other.running) == (False, True)
    assert supervisor.children("other") == [other]


def test_the_end_of_all_waits_for_what_has_to_be_said_and_lets_nothing_new_start(supervisor, run, tmp_path):
    told, allowed = [], threading.Event()

    def slowly(returncode: int) -> None:
        allowed.wait(30)
        told.append(returncode)

    run(SLEEPING, on_exit=slowly)
    ending = threading.Thread(target=supervisor.stop_all)
    ending.start()
    allowed.set()
    ending.join()
    assert told == [-signal.SIGTERM]
    with pytest.raises(RuntimeError, match="stopping"):
        supervisor.spawn("late", ["true"], env={}, cwd=tmp_path, log=tmp_path / "late.log")


def test_a_program_that_is_not_there_is_an_error_and_leaves_no_trace(supervisor, tmp_path):
    with pytest.raises(FileNotFoundError):
        supervisor.spawn("nobody", [str(tmp_path / "nothing")], env={}, cwd=tmp_path, log=tmp_path / "log")
    assert supervisor.children() == []


def test_a_new_supervisor_ends_what_a_crashed_one_left(tmp_path, run, supervisor):
    child = run(WITH_WORKER + "time.sleep(1000)", owner="endpoint x")
    assert Supervisor(tmp_path).reap_leftovers() == ["endpoint x"]
    assert start_time(child.pid) is None
    assert start_time(worker_of(child)) is None
    assert Supervisor(tmp_path).reap_leftovers() == []


def test_a_process_that_only_has_the_number_of_a_left_one_is_let_live(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", SLEEPING], stdout=subprocess.DEVNULL)
    try:
        entry = {"owner": "gone", "pid": other.pid, "started": "1", "token": "no such token"}
        Path(tmp_path, "processes.json").write_text(json.dumps([entry]))
        assert Supervisor(tmp_path).reap_leftovers() == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_process_without_the_mark_ends_with_the_namespace_that_it_is_in(supervisor, tmp_path, wait_until):
    """Ray's agents write their title over their environment: two were left after each stop."""
    code = f"""
import os, pathlib, subprocess, sys, threading
unmarked = [sys.executable, "-c", "import threading; threading.Event().wait()"]
left = subprocess.Popen(unmarked, env={{}}, start_new_session=True)
pathlib.Path({str(tmp_path / "said")!r}).write_text(f"{{os.environ['LOCALAWS_NETWORK']}} {{left.pid}}\\n")
threading.Event().wait()
"""
    command = [sys.executable, "-I", sandbox.__file__, "--isolated", "--", sys.executable, "-c", code]
    child = supervisor.spawn("isolated", command, env={}, cwd=tmp_path, log=tmp_path / "log")
    said = tmp_path / "said"
    wait_until(lambda: said.exists() and said.read_text().endswith("\n"), "the process says its number")
    network, pid = said.read_text().split()
    supervisor.stop(child)
    if network != sandbox.NAMESPACE:
        os.kill(int(pid), signal.SIGKILL)
        pytest.skip("this user may not create a network namespace")
    assert start_time(int(pid)) is None


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="this system does not report memory by process"
)
def test_memory_is_that_of_the_whole_family_and_never_less_than_the_exact_sum(run):
    held = 60_000_000
    child = run(
        f"import subprocess, sys, time; own = b'x' * {held}; "
        f'worker = \'held = b"x" * {held}; print("ready", flush=True); import time; time.sleep(1000)\'; '
        "subprocess.Popen([sys.executable, '-c', worker], start_new_session=True); time.sleep(1000)"
    )

    exact, bound = child.memory_bytes(), child.memory_bytes(enough=10**12)

    assert 2 * held <= exact <= bound
    assert child.memory_bytes(enough=held) <= bound, "more than enough: the exact sum"
