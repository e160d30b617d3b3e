"""Steps: one line per step, a log of all output, the last lines of a failed step, and an orderly end at Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.steps import SHOWN_LINES, Step, StepFailed, Steps
from tests.conftest import ROOT

WAIT = 120.0


def step(program: str) -> Step:
    return Step("Count", [sys.executable, "-c", program], "count")


def until(condition) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_step_is_one_line_with_its_seconds_and_its_result_and_the_log_has_the_rest(tmp_path: Path, capsys):
    steps = Steps(tmp_path / "logs" / "up.log")

    steps.run(step("print('▸ one'); print('two'); print('✓ counted: 2'); print('  a detail')"))

    said = capsys.readouterr()
    assert re.fullmatch(r"✓ Count \(\d+ s\): counted: 2\n", said.out)
    assert said.err == ""
    log = (tmp_path / "logs" / "up.log").read_text()
    assert "▸ one\ntwo\n✓ counted: 2\n  a detail\n" in log
    assert "=== exit status 0" in log


def test_the_log_has_what_a_step_wrote_to_stderr_in_order(tmp_path: Path):
    steps = Steps(tmp_path / "up.log")

    steps.run(step("import sys; print(1); print(2, file=sys.stderr); print(3)"))

    assert "1\n2\n3\n" in steps.log.read_text()


def test_verbose_shows_every_line(tmp_path: Path, capsys):
    Steps(tmp_path / "up.log", verbose=True).run(step("print('one'); print('two')"))

    assert re.fullmatch(r"▸ Count\n  one\n  two\n✓ Count \(\d+ s\)\n", capsys.readouterr().out)


def test_a_failed_step_shows_its_last_lines_and_the_path_and_keeps_its_exit_status(tmp_path: Path, capsys):
    steps = Steps(tmp_path / "up.log")

    with pytest.raises(StepFailed, match=r"Count failed.*make count") as failure:
        steps.run(step("for n in range(40): print('line', n)\nraise SystemExit(7)"))

    assert failure.value.code == 7
    said = capsys.readouterr().err.splitlines()
    assert re.match(r"✗ Count \(\d+ s\)", said[0]) and str(tmp_path / "up.log") in said[0]
    assert said[1:] == [f"  line {n}" for n in range(40 - SHOWN_LINES, 40)]
    assert "line 0\n" in steps.log.read_text()


def test_a_step_that_a_signal_ends_has_the_exit_status_of_a_shell(tmp_path: Path):
    with pytest.raises(StepFailed) as failure:
        Steps(tmp_path / "up.log").run(step("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))

    assert failure.value.code == 137


def test_lines_are_shown_as_they_are_and_not_as_markup(tmp_path: Path, capsys):
    Steps(tmp_path / "up.log", verbose=True).run(step("print('[red]no[/] [id=7]')"))

    assert "[red]no[/] [id=7]" in capsys.readouterr().out


PROGRAM = """
import sys
from pathlib import Path
from deploy.steps import Interrupted, Step, Steps
try:
    Steps(Path(sys.argv[1])).run(Step("Wait", [sys.executable, "-c", sys.argv[2]], "wait"))
except Interrupted:
    sys.exit(130)
"""


def runner(log: Path, program: str, **more) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(log), program], cwd=ROOT, **more)


def waiting(log: Path) -> None:
    until(lambda: log.exists() and "\nwaiting\n" in log.read_text())


def test_ctrl_c_reaches_the_step_and_waits_until_it_has_ended_in_order(tmp_path: Path):
    log, orderly = tmp_path / "up.log", tmp_path / "orderly"
    process = runner(
        log,
        "import time, pathlib\n"
        "try:\n    print('waiting', flush=True); time.sleep(600)\n"
        f"except KeyboardInterrupt:\n    time.sleep(1); pathlib.Path({str(orderly)!r}).touch(); print('✗ it goes on')",
        stderr=subprocess.PIPE,
        text=True,
    )
    waiting(log)

    process.send_signal(signal.SIGINT)

    _, said = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert orderly.exists()
    assert said == "  ✗ it goes on\n", "its last message, and not the unfinished output"


def test_the_child_processes_of_a_step_end_too(tmp_path: Path):
    log, number = tmp_path / "up.log", tmp_path / "number"
    process = runner(
        log,
        "import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(number)!r}).write_text(str(child.pid)); print('waiting', flush=True); child.wait()",
    )
    waiting(log)

    process.send_signal(signal.SIGINT)

    assert process.wait(WAIT) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


def test_a_step_that_ignores_ctrl_c_is_killed_at_the_third(tmp_path: Path):
    log = tmp_path / "up.log"
    process = runner(
        log,
        "import signal, time\nsignal.signal(signal.SIGINT, lambda *_: print('no', flush=True))\n"
        "print('waiting', flush=True)\nwhile True: time.sleep(1)",
    )
    waiting(log)

    for count in (1, 2):
        process.send_signal(signal.SIGINT)
        until(lambda count=count: log.read_text().splitlines().count("no") == count)
    process.send_signal(signal.SIGINT)

    assert process.wait(WAIT) == 130


def test_on_a_terminal_a_bar_moves_with_terraforms_changes_and_leaves_one_line(tmp_path: Path):
    log = tmp_path / "up.log"
    ours, its = pty.openpty()
    program = (
        "import time\nprint('  Plan: 2 to add, 0 to change, 0 to destroy.', flush=True)\n"
        "print('  module.a.b: Creation complete after 3s', flush=True); time.sleep(1); print('✓ all there')"
    )
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = runner(log, program, stdout=its, stderr=its, env=environment)
    os.close(its)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 4096)
        except OSError:
            break
    assert process.wait(WAIT) == 0
    text = seen.decode()
    assert "━" in text
    assert "module.a.b: Creation complete" in text
    assert text.rstrip().splitlines()[-1].rstrip().endswith(": all there")
