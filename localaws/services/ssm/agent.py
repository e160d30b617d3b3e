"""The part of the SSM agent that runs one command. Standard library only: the local AWS runs it as a program.

    python agent.py STDOUT STDERR RESULT PROGRAM [ARGUMENT...]

It follows `executers.go` and `executers_unix.go` of the agent's source, version 3.3:

- The program leads a process group of its own. A cancelled command (SIGUSR1) gets SIGKILL for that group, and its exit
  code is 137.
- A command goes on for as long as anything holds its standard output or standard error, for example a process in the
  background. What such a process writes belongs to the output.
- Processes that hold neither go on after the command's end, as long as the instance runs.

RESULT is written when the command has ended: `exit 3`, `signal 9` or `stopped`.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
STOPPED = "stopped"


def _adopt_orphans() -> None:
    """Have the processes that the command leaves behind become children of this one, if the system can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _copy(source: int, target: Path, over: threading.Event) -> None:
    """Copy what comes from a pipe to a file until the last process has closed it, or the command is over."""
    with os.fdopen(source, "rb", buffering=0) as pipe, target.open("ab", buffering=0) as file:
        while (part := pipe.read(1 << 16)) and not over.is_set():
            file.write(part)


def _report(result: Path, words: str) -> None:
    part = result.with_name(f"{result.name}.part")
    part.write_text(words)
    part.rename(result)


def main(stdout: str, stderr: str, result: str, *argv: str) -> None:
    over, stopped = threading.Event(), threading.Event()
    process: list[subprocess.Popen] = []

    def end(number: int) -> None:
        for each in process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(each.pid, number)

    def stop(*_: object) -> None:
        over.set()
        stopped.set()
        end(signal.SIGKILL)

    signal.signal(signal.SIGUSR1, stop)
    signal.signal(signal.SIGTERM, lambda *_: end(signal.SIGTERM))  # the instance stops
    _adopt_orphans()
    pipes = [os.pipe(), os.pipe()]
    process.append(
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipes[0][1], stderr=pipes[1][1], process_group=0)
    )
    for _, write in pipes:
        os.close(write)
    copies = [
        threading.Thread(target=_copy, args=(read, Path(path), over), daemon=True)
        for (read, _), path in zip(pipes, (stdout, stderr), strict=True)
    ]
    for copy in copies:
        copy.start()
    if stopped.is_set():  # before there was a process to end
        end(signal.SIGKILL)
    code = process[0].wait()
    while not stopped.is_set() and any(copy.is_alive() for copy in copies):
        for copy in copies:
            copy.join(0.1)  # a signal is looked at in between
    _report(Path(result), STOPPED if stopped.is_set() else f"exit {code}" if code >= 0 else f"signal {-code}")
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
